"""Which exchanges there are, and how one is opened."""

from collections.abc import Mapping
from typing import Any

from chalicelib.exchanges import markets, transport
from chalicelib.exchanges.adapter import CcxtExchange, connect
from chalicelib.exchanges.binance import Binance
from chalicelib.exchanges.bybit import Bybit
from chalicelib.exchanges.dialect import ExchangeDialect
from chalicelib.exchanges.families import SPOT_ONLY, family
from chalicelib.exchanges.generic import Generic
from chalicelib.exchanges.markets import StoredMarket
from chalicelib.exchanges.okx import Okx
from chalicelib.exchanges.protocol import Credentials
from chalicelib.trading import MarketType

_TESTED: Mapping[str, type[Binance | Bybit | Okx]] = {"binance": Binance, "bybit": Bybit, "okx": Okx}
# Metadata is fetched in one large reply, off the order path.
_FETCH_TIMEOUT = (3.0, 30.0)


def is_conformance_tested(exchange: str) -> bool:
    """Whether an exchange's family has particulars of its own, which the contract suite and the fault matrix run against."""
    return family(exchange) in _TESTED


def open_exchange(
    exchange: str,
    market_type: MarketType,
    credentials: Credentials,
    stored: Mapping[str, StoredMarket],
    **settings: Any,
) -> CcxtExchange:
    """One account on an exchange, with a fresh session: open it per invocation.

    Args:
        exchange: Its name; one without particulars must be a ccxt exchange the artifact carries.
        stored: The exchange's markets of this type by instrument name, from `fetch_markets`.
        settings: See CcxtExchange.

    Raises:
        ModuleNotFoundError: If the artifact does not carry the exchange.
    """
    return CcxtExchange(_dialect(exchange, market_type), market_type, credentials, stored, **settings)


def fetch_markets(exchange: str, market_type: MarketType, *, demo: bool = False) -> dict[str, dict[str, Any]]:
    """Every market of an exchange in its stored form, by instrument name. For the scheduled refresh.

    Makes calls.

    Args:
        demo: Those of the test environment, which may differ.

    Raises:
        Exception: Whatever ccxt raises; the stored metadata stays good until a later refresh.
    """
    if market_type is MarketType.FUTURES and exchange in SPOT_ONLY:
        return {}
    particulars = _dialect(exchange, market_type)
    client = connect(particulars, Credentials("", "", demo=True) if demo else None)
    transport.mount(client, _FETCH_TIMEOUT)
    client.has["fetchCurrencies"] = False
    client.load_markets()
    return markets.market_items(client, market_type, whole=not is_conformance_tested(exchange))


def _dialect(exchange: str, market_type: MarketType) -> ExchangeDialect:
    tested = _TESTED.get(family(exchange))
    return tested(market_type, exchange) if tested else Generic(exchange, market_type)
