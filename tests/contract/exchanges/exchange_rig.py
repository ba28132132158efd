"""A rig: one account on one exchange, and its market.

The contract's tests need only this of an exchange. To test another exchange, such as the paper exchange,
write a rig for it and add it to conftest.DESKS.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any, Protocol

from chalicelib.exchanges import registry
from chalicelib.exchanges.client_ids import client_order_id
from chalicelib.exchanges.protocol import Exchange, Instrument, OrderRequest, Side
from chalicelib.trading import MarketType, OrderType
from simulator.client import Simulator
from simulator.fixtures import stored_markets

BUY, SELL = Side.BUY, Side.SELL


class ExchangeRig(Protocol):
    """An account with 100 000 USDT and, on spot, 2 BTC; BTCUSDT stands at 50 000."""

    exchange: Exchange
    instrument: Instrument
    market_type: MarketType

    def move(self, price: str, size: str | None = None) -> None:
        """Moves the price of BTCUSDT; `size` is what the book offers there."""
        ...

    def order(self, side: Side, quantity: str, **fields: Any) -> OrderRequest:
        """A market order for BTCUSDT with a client id of its own; `fields` change it."""
        ...


@dataclass
class SimulatedRig:
    """A rig on one of the simulated exchanges."""

    name: str
    market_type: MarketType
    simulator: Simulator
    balances: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"spot": {"USDT": "100000", "BTC": "2"}, "futures": {"USDT": "100000"}}
    )
    ids: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        if self.market_type is MarketType.FUTURES:
            self.balances = {"futures": self.balances["futures"]}
        self.credentials = self.simulator.account(self.name, balances=self.balances)
        self.exchange = self.open()
        self.instrument = self.exchange.instrument("BTC", "USDT")

    def open(self, **settings: Any) -> Any:
        """The account, with a fresh session; timeouts short enough for tests."""
        settings = {"timeout": (1.0, 2.0), "pause_s": 0.02, **settings}
        credentials = settings.pop("credentials", self.credentials)
        return registry.open_exchange(
            self.name, self.market_type, credentials, stored_markets(self.name, self.market_type), **settings
        )

    def move(self, price: str, size: str | None = None) -> None:
        self.simulator.price("BTCUSDT", price, exchange=self.name, market=self.market_type.value, size=size)

    def order(self, side: Side, quantity: str, **fields: Any) -> OrderRequest:
        return make_order(
            self.instrument, client_order_id("signal", self.name, next(self.ids)), side, quantity, **fields
        )

    def modes(self, **given: Any) -> None:
        """Changes the account's settings by hand: `hedged`, `margin_mode`, OKX's `level`."""
        self.simulator.call("POST", "modes", api_key=self.credentials.api_key, **given)

    @property
    def holdings(self) -> dict[str, Any]:
        return self.simulator.holdings(self.credentials)


def make_order(
    instrument: Instrument, client_id: str, side: Side, quantity: str, **fields: Any
) -> OrderRequest:
    """An order of the type its prices make it."""
    numbers = {
        name: Decimal(value) if name in {"price", "stop_price"} else value for name, value in fields.items()
    }
    stop, limit = "stop_price" in fields, "price" in fields
    kind = (
        (OrderType.STOP_LIMIT if limit else OrderType.STOP_MARKET)
        if stop
        else OrderType.LIMIT
        if limit
        else OrderType.MARKET
    )
    return OrderRequest(client_id, instrument, side, kind, Decimal(quantity), **numbers)
