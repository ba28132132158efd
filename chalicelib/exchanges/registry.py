"""The list of exchanges, and the function that opens one."""

from collections.abc import Callable, Mapping
from decimal import DecimalException
from typing import Any

from chalicelib.errors import Retryable
from chalicelib.exchanges import markets, transport
from chalicelib.exchanges.adapter import CcxtExchange, connect
from chalicelib.exchanges.api import Api
from chalicelib.exchanges.dialects.binance import Binance
from chalicelib.exchanges.dialects.bybit import Bybit
from chalicelib.exchanges.dialects.dialect import ExchangeDialect
from chalicelib.exchanges.dialects.families import SPOT_ONLY, family
from chalicelib.exchanges.dialects.generic import Generic
from chalicelib.exchanges.dialects.okx import Okx
from chalicelib.exchanges.markets import MarketLookup
from chalicelib.exchanges.outcomes import ErrorReply
from chalicelib.exchanges.protocol import Credentials, Pacing, Ticker
from chalicelib.trading import MarketType

_TESTED: Mapping[str, type[Binance | Bybit | Okx]] = {"binance": Binance, "bybit": Bybit, "okx": Okx}
# Metadata comes in one large reply, outside the order path.
_FETCH_TIMEOUT = (3.0, 30.0)
# Seconds to connect and to read. The next look follows soon, so a slow answer is not worth waiting for.
_TICKER_TIMEOUT = (2.0, 5.0)


def is_conformance_tested(exchange: str) -> bool:
    """Returns whether an exchange has a dialect that the contract suite and fault matrix test."""
    return family(exchange) in _TESTED


def open_exchange(
    exchange: str,
    market_type: MarketType,
    credentials: Credentials,
    stored: MarketLookup,
    **settings: Any,
) -> CcxtExchange:
    """Returns one account on an exchange, with a new HTTP session. Open one per invocation.

    Args:
        exchange: The exchange's name. Without a dialect, it must be a ccxt exchange in the build.
        stored: The exchange's markets of this type by instrument name, from `fetch_markets`.
        settings: See `CcxtExchange`.

    Raises:
        ModuleNotFoundError: The build does not contain the exchange.
    """
    return CcxtExchange(_dialect(exchange, market_type), market_type, credentials, stored, **settings)


def fetch_markets(exchange: str, market_type: MarketType, *, demo: bool = False) -> dict[str, dict[str, Any]]:
    """Returns every market of an exchange in its stored form, by instrument name. Sends requests.

    For the scheduled refresh.

    Args:
        demo: Whether to fetch the test environment's markets, which may differ.

    Raises:
        Exception: Any error of ccxt. The stored metadata stays valid until a later refresh.
    """
    if market_type is MarketType.FUTURES and exchange in SPOT_ONLY:
        return {}
    dialect = _dialect(exchange, market_type)
    client = connect(dialect, Credentials("", "", demo=True) if demo else None)
    transport.mount(client, _FETCH_TIMEOUT)
    client.has["fetchCurrencies"] = False
    client.load_markets()
    return markets.market_items(client, market_type, whole=not is_conformance_tested(exchange))


def fetch_tickers(
    exchange: str, market_type: MarketType, throttle: Callable[[int], None]
) -> tuple[Mapping[str, Ticker], Pacing]:
    """The public tickers of a market by instrument name, in one call, and what the answer says about limits.

    Args:
        throttle: Waits until a call of this weight may leave.

    Raises:
        Retryable: The exchange gave no readable answer; RateLimited among them.
        Refused: The exchange answers nobody here, as Binance does in some countries.
    """
    if market_type is MarketType.FUTURES and exchange in SPOT_ONLY:
        return {}, Pacing()
    dialect, nobody = _dialect(exchange, market_type), Credentials("", "", demo=False)
    client = connect(dialect, None)
    api = Api(exchange, client, transport.mount(client, _TICKER_TIMEOUT), dialect, nobody)
    api.pace = throttle
    try:
        return dialect.tickers(api), api.pacing
    except (ErrorReply, KeyError, TypeError, ValueError, AttributeError, DecimalException) as fault:
        # The kind of error only: its text may repeat the reply.
        raise Retryable(f"{exchange}: an unexpected reply, {type(fault).__name__}") from None


def _dialect(exchange: str, market_type: MarketType) -> ExchangeDialect:
    tested = _TESTED.get(family(exchange))
    return tested(market_type, exchange) if tested else Generic(exchange, market_type)
