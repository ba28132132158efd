"""Symbols in every form, and ambiguous ones that are refused."""

import pytest

from chalicelib import symbols
from chalicelib.errors import Refused
from chalicelib.trading import MarketType


def parts(raw: str, **context):
    symbol = symbols.resolve(raw, **context)
    return symbol.base, symbol.quote, symbol.perpetual, symbol.venue


def refused(raw: str, **context) -> Refused:
    with pytest.raises(Refused) as caught:
        symbols.resolve(raw, **context)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("raw", "perpetual", "venue"),
    [
        ("BTCUSDT", False, None),
        ("btcusdt", False, None),
        (" BTCUSDT ", False, None),
        ("BTC/USDT", False, None),
        ("BTC-USDT", False, None),
        ("BTC_USDT", False, None),
        ("BINANCE:BTCUSDT", False, "binance"),
        ("BINANCE_DL:BTCUSDT", False, "binance"),
        ("BINANCE_DLY:BTCUSDT", False, "binance"),
        ("OKX:BTC-USDT", False, "okx"),
        ("BTCUSDT.P", True, None),
        ("BINANCE:BTCUSDT.P", True, "binance"),
        ("BYBIT_DLY:BTCUSDT.P", True, "bybit"),
        ("BTCUSDTPERP", True, None),
        ("BTC-USDT-PERP", True, None),
        ("BTCUSDT_PERP", True, None),
        ("BTC-USDT-SWAP", True, None),
        ("BTC/USDT:USDT", True, None),
        ("BINANCE:BTC/USDT:USDT", True, "binance"),
    ],
)
def test_complaint_11_every_form_of_one_pair(raw, perpetual, venue):
    """Each form of a pair that TradingView, ccxt or an exchange uses is the same pair, a perpetual where it
    says so.
    """
    assert parts(raw) == ("BTC", "USDT", perpetual, venue)
    assert symbols.resolve(raw).name == "BTCUSDT"
    assert symbols.resolve(raw).raw == raw.strip()


@pytest.mark.parametrize(
    ("raw", "base", "quote"),
    [
        ("1000PEPEUSDT", "1000PEPE", "USDT"),
        ("USDCUSDT", "USDC", "USDT"),
        ("PERPUSDT", "PERP", "USDT"),
        ("SUSDT", "S", "USDT"),
        ("BTCFDUSD", "BTC", "FDUSD"),
        ("ETHBTC", "ETH", "BTC"),
        ("BTCUSD", "BTC", "USD"),
        ("EURUSD", "EUR", "USD"),
        ("BINANCE:OPBTC", "OP", "BTC"),
        ("BTC/DAI", "BTC", "DAI"),
        ("BNB/USD", "BNB", "USD"),
        ("BTC/BUSD", "BTC", "BUSD"),
    ],
)
def test_pairs_by_their_quote(raw, base, quote):
    """A pair is split at the longest quote it ends in, or at its separator."""
    assert parts(raw)[:2] == (base, quote)


@pytest.mark.parametrize(
    ("raw", "name", "venue"),
    [
        ("AAPL", "AAPL", None),
        ("aapl", "AAPL", None),
        ("NASDAQ:AAPL", "AAPL", "nasdaq"),
        ("NASDAQ_DLY:AAPL", "AAPL", "nasdaq"),
        ("BRK.B", "BRK.B", None),
        ("NYSE:BRK.B", "BRK.B", "nyse"),
        ("0700.HK", "0700.HK", None),
        ("600519", "600519", None),
        ("RELIANCE", "RELIANCE", None),
        ("ABNB", "ABNB", None),
        ("GBTC", "GBTC", None),
        ("FBTC", "FBTC", None),
        ("ABTC", "ABTC", None),
        ("NASDAQ:ABTC", "ABTC", "nasdaq"),
        ("FETH", "FETH", None),
        ("SUSD", "SUSD", None),
        ("V", "V", None),
    ],
)
def test_shares_have_no_quote(raw, name, venue):
    """A name that ends in no quote is a share, and so is a ticker of at most five letters that happens to end
    like one.
    """
    assert parts(raw) == (name, None, False, venue)
    assert symbols.resolve(raw).name == name


@pytest.mark.parametrize(
    "raw", ["BTCUSDT.P", "BTCUSDTPERP", "BTC-USDT-SWAP", "BTC/USDT:USDT", "BYBIT:ETHUSDT.P"]
)
def test_complaint_3_a_perpetual_never_trades_on_spot(raw):
    """A form that names a perpetual against SPOT is a 400.

    Against FUTURES, or with the market still open, it is read.
    """
    assert refused(raw, market_type=MarketType.SPOT).code == "perpetual_on_spot"
    assert symbols.resolve(raw, MarketType.FUTURES).perpetual
    assert symbols.resolve(raw).perpetual


def test_a_plain_pair_goes_with_either_market():
    """A form that names no market leaves the choice to `market_type`."""
    assert symbols.resolve("BTCUSDT", MarketType.SPOT) == symbols.resolve("BTCUSDT", MarketType.FUTURES)


def test_complaint_11_btc_perp_never_becomes_another_pair():
    """A perpetual that names no quote is refused, with a hint, instead of being completed by a guess."""
    assert refused("BTC-PERP").code == "ambiguous_symbol"
    assert refused("SOL-PERP").code == "unknown_symbol"


@pytest.mark.parametrize(
    "raw", ["BTCUSD.P", "BTCUSDPERP", "BTC-USD-SWAP", "BTC/USD:BTC", "BTC/USDT:BTC", "ETHBTC.P"]
)
def test_inverse_contracts_are_refused(raw):
    """A contract settled in a coin is not the USDT contract of the same name."""
    assert refused(raw).code == "inverse_contract"


@pytest.mark.parametrize(
    ("raw", "choices"),
    [
        ("BNBUSD", "BN/BUSD, BNB/USD"),
        ("DOTUSD", "DO/TUSD, DOT/USD"),
        ("BTCBUSD", "BTC/BUSD, BTCB/USD"),
        ("BTC", "BTC/USDT"),
        ("usdt", "BTC/USDT"),
    ],
)
def test_a_name_with_two_readings_is_refused(raw, choices):
    """A name that could be two pairs, or only a currency, is answered with the clear forms."""
    error = refused(raw)
    assert (error.code, error.values["choices"]) == ("ambiguous_symbol", choices)


def test_a_currency_beside_the_symbol_decides():
    """A group signal's currency decides where a joined name is split. A different one is refused."""
    assert parts("BNBUSD", currency="USD")[:2] == ("BNB", "USD")
    assert parts("BTCBUSD", currency="busd")[:2] == ("BTC", "BUSD")
    assert parts("AAPL", currency="USD")[:2] == ("AAPL", None)
    assert refused("BTCUSDT", currency="USDC").code == "currency_mismatch"
    assert refused("BTC/USDT", currency="BUSD").code == "currency_mismatch"
    assert refused("BTCUSDT", currency="T").code == "currency_mismatch"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "BTCUSDT240628",
        "BTC-USDT-240628",
        "BTC/USDT:USDT-240628",
        "BTCUSDTM2024",
        "BTCUSDTM",
        "BTC1!",
        "BTCUSDT.PS",
        "BTCUSD.X",
        "BTC/XYZ",
        "BINANCE:AAPL",
        "NASDAQ:BTC/USDT",
        "NASDAQ:AAPL.P",
        "AAPL.P",
        "BTC USDT",
        "ВТСUSDT",
        "BTCUSDT;DROP",
        ":BTCUSDT",
        "BINANCE:",
        "X" * 100,
    ],
)
def test_what_no_rule_reads_is_refused(raw):
    """Dated contracts, indices, foreign letters and the like are a 400, never the nearest thing."""
    assert refused(raw).code == "unknown_symbol"


def test_a_share_needs_an_exchange_that_has_shares():
    """A name without a quote is refused where only pairs are traded, and goes through on paper."""
    symbols.check_exchange(symbols.resolve("AAPL"), "paper")
    symbols.check_exchange(symbols.resolve("BTCUSDT"), "binance")
    with pytest.raises(Refused) as caught:
        symbols.check_exchange(symbols.resolve("SOL"), "binance")
    assert caught.value.code == "share_on_exchange"


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "USDCAD",
            "OANDA:USDCNH",
            "USDTRY",
            "EURUSD",
            "VOLV_B",
            "LSE:BP.",
            "NSE:BAJAJ_AUTO",
            "M_M",
            "360ONE",
            "TSX:BIP.PR.A",
            "BRK-B",
        ),
        *(
            "NSE:M&M",
            "NASDAQ:AAPL",
            "0700.HK",
            "SPX500USD",
            "XAUUSD",
            "LSE:BATS",
            "NSE:BSE",
            "7203",
            "BAJAJ-AUTO",
            "BF.B",
            "USDCHF",
        ),
    ],
)
def test_paper_takes_every_symbol_of_tradingview(raw):
    """Shares, forex, TradingView's characters and leading digits."""
    assert symbols.resolve(raw, paper=True).raw == raw


@pytest.mark.parametrize("paper", [True, False])
@pytest.mark.parametrize(
    "raw",
    [
        *(
            "BTCUSD_PERP",
            "BTCUSDT_251226",
            "BTCUSDT251226",
            "BTCUSDTM",
            "ES1!",
            "BTC1!",
            "BTCUSDT/ETHUSDT",
            "ETHUSD_240628",
            "BTC/XYZ",
        ),
        *(
            "AAPL:NASDAQ",
            "BTCUSDT:BINANCE",
            "BTCUSDT:PERP",
            "BTCUSDT:SPOT",
            "ETHUSDT:BTCUSDT",
            "AAPL:NYSE_DLY",
            "BTC:USDT:X",
        ),
        *("KRAKEN:XBTUSDT", "XBTUSD", "XBT/USDT", "BTCUSDT.PS", "AAPL MSFT", "NASDAQ:BTC/USDT"),
    ],
)
def test_what_is_refused_on_every_account(raw, paper):
    """Contracts that the parser does not know, and a colon whose sides do not fit."""
    with pytest.raises(Refused) as caught:
        symbols.resolve(raw, paper=paper)
    assert caught.value.status == 400


@pytest.mark.parametrize("raw", ["VOLV_B", "BAJAJ_AUTO", "360ONE", "M&M", "BRK-B"])
def test_only_paper_takes_tradingviews_alphabet(raw):
    """On an account of an exchange the strict reading holds."""
    assert refused(raw).code == "unknown_symbol"


def test_a_multiple_is_an_instrument_of_its_own():
    """SHIBUSDT and 1000SHIBUSDT.P are two instruments."""
    assert symbols.resolve("SHIBUSDT").name != symbols.resolve("1000SHIBUSDT.P").name


@pytest.mark.parametrize("raw", ["币安人生USDT", "BINANCE:币安人生USDT.P", "币安人生/USDT", "龙虾-USDT-SWAP"])
def test_bases_in_other_scripts(raw):
    """Exchanges list such perpetuals. Whether one of them does is checked by its market list."""
    symbol = symbols.resolve(raw)
    assert (symbol.base in {"币安人生", "龙虾"}, symbol.quote) == (True, "USDT")
