"""Resolves instruments from every notation that senders use. Pure.

`BTCUSDT`, `BTC/USDT`, `BTC-USDT`, `BTC_USDT`, `BINANCE:BTCUSDT`, `BINANCE_DLY:BTCUSDT`, `BTCUSDT.P`,
`BTCUSDTPERP`, `BTC-USDT-SWAP`, `BTC/USDT:USDT`. Shares are `AAPL`, `NASDAQ:AAPL`, `BRK.B`. An ambiguous name
is refused: a guess would trade the wrong market. `docs/signals.md` has the full rules.
"""

import re

from chalicelib.errors import Refused
from chalicelib.trading import MarketType, Symbol

STABLE = ("FDUSD", "USDT", "USDC", "USDE", "USD1", "BUSD", "TUSD")
"""Quotes at the end of no share's ticker. They are recognised without a separator."""

OTHER_QUOTES = ("USD", "EUR", "GBP", "JPY", "KRW", "TRY", "BRL", "AUD", "BTC", "ETH", "BNB")
"""Quotes that some tickers end in (ABNB, GBTC, FETH): see `_split_joined`."""

QUOTES = frozenset(
    {
        *STABLE,
        *OTHER_QUOTES,
        "DAI",
        "RUB",
        "UAH",
        "CHF",
        "CAD",
        "MXN",
        "PLN",
        "ZAR",
        "EURI",
        "RLUSD",
        "PYUSD",
        "USDS",
    }
)
"""Quotes that a name may have after a separator."""

CRYPTO_VENUES = re.compile(
    "BINANCE|BINANCEUS|BYBIT|OKX|OKEX|KUCOIN|KRAKEN|COINBASE|BITGET|GATE|GATEIO|MEXC|BITFINEX|BITSTAMP|HTX|HUOBI|GEMINI|CRYPTOCOM|BINGX"
    "|PHEMEX|BITMEX|DERIBIT|UPBIT|BITHUMB|WHITEBIT|POLONIEX|BITMART|LBANK|CRYPTO"
)
"""A joined name from one of these venues is a pair, whatever its ending."""

SHARE_VENUES = re.compile(
    "NASDAQ|NYSE|AMEX|ARCA|BATS|CBOE|OTC|LSE|LSIN|XETR|FWB|EURONEXT|MIL|BME|SIX|OMXSTO|OMXHEX|OMXCOP|OSL|TSX|TSXV|NSE|BSE|HKEX|TSE|KRX"
    "|SSE|SZSE|TWSE|ASX|NZX|SGX|BIST|JSE|GPW|MOEX|TADAWUL|BMFBOVESPA|BMV"
)
"""A name from one of these venues is a share, whatever its ending."""

_LONGEST_SHARE = 5
"""Letters of the longest US ticker. A longer name that ends in a quote is a pair."""

_LONGEST = 40
_LETTERS = r"A-Z0-9\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Characters of a base. Binance lists perpetuals such as 币安人生USDT.

Scripts with letters that look like Latin ones are excluded.
"""

_VENUE = re.compile(r"([A-Z0-9_]+?)(?:_DLY?)?:(.+)")
_PERPETUAL = re.compile(r"(.+?)(?:\.P|[-_]?PERP|[-_]SWAP)")
_PAIR = re.compile(rf"([{_LETTERS}]{{1,20}})[/_-]([A-Z0-9]{{2,6}})(?::([A-Z0-9]{{2,6}}))?")
_NAME = re.compile(rf"[{_LETTERS}]{{1,26}}")
_SHARE = re.compile(r"(?:[A-Z]{1,12}|[0-9]{1,6}|[A-Z0-9]{1,5})(?:\.[A-Z]{1,3})?")
_TRADINGVIEW = re.compile(r"[A-Z0-9][A-Z0-9_.&-]{0,25}")
"""TradingView's own alphabet: `VOLV_B`, `BP.`, `M&M`, `360ONE`, `BIP.PR.A`, `BRK-B`."""

_DATED = re.compile(r"(?:USDT|USDC)(?:[_.-]?\d|M\b|M\d|PERP)|[_-]\d{6}$")
"""A dated contract, which is not supported: a stable coin followed by a digit, `M` or `PERP`.

The stable coin is required because USDCAD is forex.
"""

_SUFFIX_WORDS = frozenset(("P", "PERP", "PERPETUAL", "SWAP", "SPOT", "FUTURES", "FUT", "LINEAR", "INVERSE"))
_UNUSUAL = {"XBT": "BTC"}
"""Bases that the exchanges usually name differently.

Refused, because they would be separate instruments here.
"""


def resolve(
    raw: str, market_type: MarketType | None = None, currency: str | None = None, *, paper: bool = False
) -> Symbol:
    """Returns the instrument that a name stands for.

    Args:
        raw: As sent, in any case.
        market_type: The market to trade on. None if not known yet.
        currency: The quote that the sender gave in a separate field. Decides ambiguous names.
        paper: The instrument is for a paper account, which permits every symbol of TradingView.

    Raises:
        Refused: `unknown_symbol`; `ambiguous_symbol` with the readings as `choices`; `perpetual_on_spot`;
            `inverse_contract` for a contract that is not settled in its quote; `currency_mismatch`.
    """
    text = raw.strip().upper()
    shown = raw.strip()[:_LONGEST]
    if len(text) > _LONGEST or not all(char.isascii() or char.isalnum() for char in text):
        raise Refused("unknown_symbol", symbol=shown)
    currency = currency.upper() if currency else None
    venue, name = _venue(text)
    perpetual = bool(found := _PERPETUAL.fullmatch(name))
    if found:
        name = found.group(1)
    base, quote, settled = _split(name, shown, venue, perpetual=perpetual, currency=currency, paper=paper)
    if base in _UNUSUAL and quote:
        raise Refused("unknown_symbol", symbol=shown, hint="hint_write", example=f"{_UNUSUAL[base]}{quote}")
    perpetual = perpetual or settled is not None
    if quote and currency and quote != currency:
        raise Refused("currency_mismatch", symbol=shown, currency=currency)
    if perpetual and (quote not in STABLE or settled not in (None, quote)):
        raise Refused("inverse_contract", symbol=shown)
    symbol = Symbol(
        raw=raw.strip(), base=base, quote=quote, perpetual=perpetual, venue=venue.lower() if venue else None
    )
    check_market(symbol, market_type)
    return symbol


def check_market(symbol: Symbol, market_type: MarketType | None) -> None:
    """Refuses, with `perpetual_on_spot`, the name of a perpetual where spot is traded. Contract §1."""
    if symbol.perpetual and market_type is MarketType.SPOT:
        raise Refused("perpetual_on_spot", symbol=symbol.raw)


def check_exchange(symbol: Symbol, exchange: str | None) -> None:
    """Refuses, with `share_on_exchange`, a name without a quote (`AAPL`, `SOL`) where only pairs trade."""
    if symbol.quote is None and exchange not in (None, "paper"):
        raise Refused("share_on_exchange", symbol=symbol.raw, exchange=exchange)


def _venue(text: str) -> tuple[str | None, str]:
    """Returns venue and name. The venue is None if the text names none.

    A venue contains no separator: in `BTC/USDT:USDT`, the colon precedes the settlement currency.

    Raises:
        Refused: `unknown_symbol` if the parts around the colon do not fit: `AAPL:NASDAQ`, `BTCUSDT:PERP`.
    """
    found = _VENUE.fullmatch(text)
    if found is None:
        return None, text
    venue, name = found.groups()
    if not (SHARE_VENUES.fullmatch(venue) or CRYPTO_VENUES.fullmatch(venue)):
        behind = name.removesuffix("_DLY").removesuffix("_DL")
        other_way_round = SHARE_VENUES.fullmatch(behind) or CRYPTO_VENUES.fullmatch(behind)
        if (
            other_way_round
            or behind in _SUFFIX_WORDS
            or any(len(venue) > len(coin) and venue.endswith(coin) for coin in STABLE)
        ):
            raise Refused("unknown_symbol", symbol=text[:_LONGEST], hint="hint_colon")
    return venue, name


def _split(
    name: str, shown: str, venue: str | None, *, perpetual: bool, currency: str | None, paper: bool
) -> tuple[str, str | None, str | None]:
    """Returns base, quote and settlement currency. Quote and settlement are None where the name has none."""
    if venue and SHARE_VENUES.fullmatch(venue):
        if perpetual or not _TRADINGVIEW.fullmatch(name):
            raise Refused("unknown_symbol", symbol=shown)
        return name, None, None
    crypto = perpetual or bool(venue and CRYPTO_VENUES.fullmatch(venue))
    anything = paper and not crypto
    if pair := _PAIR.fullmatch(name):
        base, quote, settled = pair.groups()
        if quote in QUOTES or quote == currency:
            return base, quote, settled
        if not anything or "/" in name or settled or _DATED.search(name):
            raise Refused("unknown_symbol", symbol=shown)
        return name, None, None
    if name in QUOTES:
        pairs = f"{name}/USDT" if name not in STABLE else f"BTC/{name}"
        raise Refused(
            "ambiguous_symbol",
            symbol=shown,
            choices=f"{pairs.replace('/', '-')}-PERP" if perpetual else pairs,
        )
    if joined := _split_joined(name, shown, currency, certain=crypto):
        return *joined, None
    _refuse_unreadable(
        name, shown, perpetual=perpetual, crypto=crypto, pattern=_TRADINGVIEW if anything else _SHARE
    )
    return name, None, None


def _refuse_unreadable(
    name: str, shown: str, *, perpetual: bool, crypto: bool, pattern: re.Pattern[str]
) -> None:
    """Raises Refused (`unknown_symbol`) unless a name without a quote looks like a share."""
    if perpetual and _SHARE.fullmatch(name):
        raise Refused("unknown_symbol", symbol=shown, hint="hint_write", example=f"{name}-USDT-PERP")
    stem, dot, _ = name.partition(".")
    if dot and _split_joined(stem, shown, None, certain=False):
        raise Refused("unknown_symbol", symbol=shown)  # BTCUSD.X is neither a perpetual nor a share
    if crypto or not pattern.fullmatch(name) or _DATED.search(name):
        raise Refused("unknown_symbol", symbol=shown)


def _split_joined(name: str, shown: str, currency: str | None, *, certain: bool) -> tuple[str, str] | None:
    """Splits `BTCUSDT` into base and quote. None if the name has no quote or could be a share's ticker.

    Args:
        name: Without venue and suffix.
        shown: For messages.
        currency: The quote that the sender gave in a separate field.
        certain: A crypto venue or a perpetual suffix excludes a share.
    """
    if not _NAME.fullmatch(name):
        return None
    if currency in QUOTES and name.endswith(currency):
        return name.removesuffix(currency), currency
    quote = next((quote for quote in STABLE if name.endswith(quote)), None)
    if quote in ("BUSD", "TUSD"):
        # BNBUSD is BNB/USD or BN/BUSD, DOTUSD is DOT/USD or DO/TUSD: the name alone cannot decide.
        choices = f"{name[:-4]}/{quote}, {name[:-3]}/USD"
        raise Refused("ambiguous_symbol", symbol=shown, choices=choices)
    if quote is None and (certain or len(name) > _LONGEST_SHARE):
        quote = next((quote for quote in OTHER_QUOTES if name.endswith(quote)), None)
    if quote is None or name == quote:
        return None
    return name.removesuffix(quote), quote
