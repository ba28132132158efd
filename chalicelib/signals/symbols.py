"""Instruments by every name senders use for them. Pure.

`BTCUSDT`, `BTC/USDT`, `BTC-USDT`, `BTC_USDT`, `BINANCE:BTCUSDT`, `BINANCE_DLY:BTCUSDT`, `BTCUSDT.P`, `BTCUSDTPERP`, `BTC-USDT-SWAP`,
`BTC/USDT:USDT`; shares as `AAPL`, `NASDAQ:AAPL`, `BRK.B`. A name that can be read in two ways is refused: a guess trades the wrong
market. `docs/signals.md` has the rules in full.
"""

import re

from chalicelib.errors import Refused
from chalicelib.trading import MarketType, Symbol

STABLE = ("FDUSD", "USDT", "USDC", "USDE", "USD1", "BUSD", "TUSD")
"""Quotes that end no share's ticker, so that they are recognised without a separator."""

OTHER_QUOTES = ("USD", "EUR", "GBP", "JPY", "KRW", "TRY", "BRL", "AUD", "BTC", "ETH", "BNB")
"""Quotes that tickers end in too (ABNB, GBTC, FETH): see `_joined`."""

QUOTES = frozenset({*STABLE, *OTHER_QUOTES, "DAI", "RUB", "UAH", "CHF", "CAD", "MXN", "PLN", "ZAR", "EURI", "RLUSD", "PYUSD", "USDS"})
"""Quotes a name may have after a separator."""

CRYPTO_VENUES = re.compile(
    "BINANCE|BINANCEUS|BYBIT|OKX|OKEX|KUCOIN|KRAKEN|COINBASE|BITGET|GATE|GATEIO|MEXC|BITFINEX|BITSTAMP|HTX|HUOBI|GEMINI|CRYPTOCOM|BINGX"
    "|PHEMEX|BITMEX|DERIBIT|UPBIT|BITHUMB|WHITEBIT|POLONIEX|BITMART|LBANK|CRYPTO"
)
"""A joined name from one of these is a pair, however it ends."""

SHARE_VENUES = re.compile(
    "NASDAQ|NYSE|AMEX|ARCA|BATS|CBOE|OTC|LSE|LSIN|XETR|FWB|EURONEXT|MIL|BME|SIX|OMXSTO|OMXHEX|OMXCOP|OSL|TSX|TSXV|NSE|BSE|HKEX|TSE|KRX"
    "|SSE|SZSE|TWSE|ASX|NZX|SGX|BIST|JSE|GPW|MOEX|TADAWUL|BMFBOVESPA|BMV"
)
"""A name from one of these is a share, however it ends."""

_LONGEST_SHARE = 5
"""Letters of the longest US ticker: a longer name that ends in a quote is a pair."""

_LONGEST = 40
_LETTERS = r"A-Z0-9\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Of a base. Binance lists perpetuals such as 币安人生USDT. Scripts with letters that look like Latin ones stay out."""

_VENUE = re.compile(r"([A-Z0-9_]+?)(?:_DLY?)?:(.+)")
_PERPETUAL = re.compile(r"(.+?)(?:\.P|[-_]?PERP|[-_]SWAP)")
_PAIR = re.compile(rf"([{_LETTERS}]{{1,20}})[/_-]([A-Z0-9]{{2,6}})(?::([A-Z0-9]{{2,6}}))?")
_NAME = re.compile(rf"[{_LETTERS}]{{1,26}}")
_SHARE = re.compile(r"(?:[A-Z]{1,12}|[0-9]{1,6}|[A-Z0-9]{1,5})(?:\.[A-Z]{1,3})?")


def resolve(raw: str, market_type: MarketType | None = None, currency: str | None = None) -> Symbol:
    """The instrument a name stands for.

    Args:
        raw: As sent, in any case.
        market_type: Where it is to be traded, when that is known.
        currency: The quote the sender named beside the symbol; decides where a name alone does not.

    Raises:
        Refused: `unknown_symbol`; `ambiguous_symbol` with the readings as `choices`; `perpetual_on_spot`; `inverse_contract` for a
            contract that is not settled in its quote; `currency_mismatch`.
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
    base, quote, settled = _split(name, shown, venue, perpetual=perpetual, currency=currency)
    perpetual = perpetual or settled is not None
    if quote and currency and quote != currency:
        raise Refused("currency_mismatch", symbol=shown, currency=currency)
    if perpetual and (quote not in STABLE or settled not in (None, quote)):
        raise Refused("inverse_contract", symbol=shown)
    symbol = Symbol(raw=raw.strip(), base=base, quote=quote, perpetual=perpetual, venue=venue.lower() if venue else None)
    check_market(symbol, market_type)
    return symbol


def check_market(symbol: Symbol, market_type: MarketType | None) -> None:
    """Refuses with `perpetual_on_spot` a name that means a perpetual where spot is traded. Contract §1: never a guess."""
    if symbol.perpetual and market_type is MarketType.SPOT:
        raise Refused("perpetual_on_spot", symbol=symbol.raw)


def check_exchange(symbol: Symbol, exchange: str | None) -> None:
    """Refuses with `share_on_exchange` a name without a quote (`AAPL`, `SOL`) where only pairs are traded."""
    if symbol.quote is None and exchange not in (None, "paper"):
        raise Refused("share_on_exchange", symbol=symbol.raw, exchange=exchange)


def _venue(text: str) -> tuple[str | None, str]:
    # In `BTC/USDT:USDT` the colon names the settlement, so a venue is what stands before the first colon without a separator.
    found = _VENUE.fullmatch(text)
    return (found.group(1), found.group(2)) if found else (None, text)


def _split(name: str, shown: str, venue: str | None, *, perpetual: bool, currency: str | None) -> tuple[str, str | None, str | None]:
    """Base, quote and settlement currency."""
    if venue and SHARE_VENUES.fullmatch(venue):
        if perpetual or not _SHARE.fullmatch(name):
            raise Refused("unknown_symbol", symbol=shown)
        return name, None, None
    if pair := _PAIR.fullmatch(name):
        base, quote, settled = pair.groups()
        if quote not in QUOTES and quote != currency:
            raise Refused("unknown_symbol", symbol=shown)
        return base, quote, settled
    if name in QUOTES:
        raise Refused("ambiguous_symbol", symbol=shown, choices=f"{name}/USDT" if name not in STABLE else f"BTC/{name}")
    crypto = perpetual or bool(venue and CRYPTO_VENUES.fullmatch(venue))
    if joined := _joined(name, shown, currency, certain=crypto):
        return *joined, None
    # A stable coin inside what would be a share is a dated or otherwise unreadable contract: BTCUSDT240628, BTCUSDTM.
    stem, dot, _ = name.partition(".")
    if dot and _joined(stem, shown, currency, certain=False):
        raise Refused("unknown_symbol", symbol=shown)  # BTCUSD.X is neither a perpetual nor a share
    if crypto or not _SHARE.fullmatch(name) or any(coin in name for coin in ("USDT", "USDC")):
        raise Refused("unknown_symbol", symbol=shown)
    return name, None, None


def _joined(name: str, shown: str, currency: str | None, *, certain: bool) -> tuple[str, str] | None:
    """Splits `BTCUSDT`; None if it does not end in a quote, or could be a share's ticker.

    Args:
        name: Without venue and suffix.
        shown: For messages.
        currency: The quote the sender named beside the symbol.
        certain: It cannot be a share, since a crypto venue or a perpetual suffix came with it.
    """
    if not _NAME.fullmatch(name):
        return None
    if currency in QUOTES and name.endswith(currency):
        return name.removesuffix(currency), currency
    quote = next((quote for quote in STABLE if name.endswith(quote)), None)
    if quote in ("BUSD", "TUSD"):
        # BNBUSD is BNB/USD or BN/BUSD, DOTUSD is DOT/USD or DO/TUSD: nothing in the name tells which.
        choices = f"{name[:-4]}/{quote}, {name[:-3]}/USD"
        raise Refused("ambiguous_symbol", symbol=shown, choices=choices)
    if quote is None and (certain or len(name) > _LONGEST_SHARE):
        quote = next((quote for quote in OTHER_QUOTES if name.endswith(quote)), None)
    if quote is None or name == quote:
        return None
    return name.removesuffix(quote), quote
