"""Any other ccxt exchange, through ccxt's unified methods. Not conformance-tested.

The codes of such an exchange are unknown. Only limits and refused keys are recognised, by HTTP status. Every
other failure of an order is `OutcomeUnknown` and is resolved by looking the order up. The position mode of
the account is not changed.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from chalicelib.errors import NotDoable
from chalicelib.exchanges.api import Api, Parameters
from chalicelib.exchanges.dialects.dialect import new_order_state, number
from chalicelib.exchanges.markets import Listing, Listings
from chalicelib.exchanges.outcomes import Absent, Kind, Meaning
from chalicelib.exchanges.protocol import (
    Balance,
    Credentials,
    Fill,
    KeyPermissions,
    OrderRequest,
    OrderState,
    OrderStatus,
    Pacing,
    Position,
    Side,
    Ticker,
    Trade,
)
from chalicelib.exchanges.wire import amount, decimal, moment, positive, text
from chalicelib.trading import MarketType, OrderType, PositionSide

_STATUS = {
    "open": OrderStatus.OPEN,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "expired": OrderStatus.CANCELLED,
    "canceling": OrderStatus.OPEN,
    "rejected": OrderStatus.REJECTED,
}


class Generic:
    """See `ExchangeDialect`.

    Args:
        name: ccxt's name of the exchange, `kraken`.
    """

    answers_at_once: ClassVar[bool] = False
    order_weight: ClassVar[int] = 2
    native_oco: ClassVar[bool] = False
    error_rules: ClassVar[Sequence[Meaning]] = (
        Meaning("http 429", Kind.LIMITED, seconds=10, scope="address"),
        Meaning("http 401", Kind.REFUSED, "exchange_key_rejected"),
    )

    def __init__(self, name: str, market_type: MarketType) -> None:
        self.name = name
        self._futures = market_type is MarketType.FUTURES

    def ccxt_name(self) -> str:
        """See `ExchangeDialect`."""
        return self.name

    def options(self) -> dict[str, Any]:
        """See `ExchangeDialect`."""
        return {"defaultType": "swap" if self._futures else "spot"}

    def use_test_environment(self, client: Any) -> None:
        """See `ExchangeDialect`. ccxt refuses if the exchange has no test environment."""
        client.set_sandbox_mode(True)

    def parse_error(self, reply: Any) -> tuple[str | None, str]:  # noqa: ARG002  every exchange words its errors its own way
        """See `ErrorRules`."""
        return None, ""

    def pacing(self, headers: Mapping[str, str]) -> Pacing:
        """See `ErrorRules`."""
        named = {name.lower(): value for name, value in headers.items()}
        return Pacing(retry_after=number(named.get("retry-after")))

    def weight(self, method: str, parameters: Parameters) -> int:  # noqa: ARG002  nothing is known of them
        """See `ErrorRules`."""
        return 1

    def instrument_name(self, market_id: str) -> str:
        """See `ExchangeDialect`. Derived from ccxt's symbol, `BTC/USDT:USDT`."""
        return market_id.partition(":")[0].replace("/", "")

    def place(self, api: Api, order: OrderRequest, listing: Listing) -> OrderState:
        """See `ExchangeDialect`."""
        client = _with_market(api, listing)
        parameters: dict[str, Any] = {"clientOrderId": order.client_order_id}
        if order.stop_price is not None:
            parameters |= {
                "triggerPrice": text(order.stop_price),
                "triggerDirection": "ascending" if order.trigger_above else "descending",
            }
        if order.reduce_only:
            parameters["reduceOnly"] = True
        if order.post_only:
            parameters["postOnly"] = True
        if order.time_in_force is not None:
            parameters["timeInForce"] = order.time_in_force
        if self._futures and order.margin_mode is not None:
            parameters["marginMode"] = order.margin_mode
        if order.hedged:
            parameters["hedged"] = True
        kind = "market" if order.price is None else "limit"
        quantity, price = (
            text(order.quantity / listing.contract_size),
            None if order.price is None else text(order.price),
        )
        reply = api.run(
            lambda: client.create_order(listing.symbol, kind, order.side.value, quantity, price, parameters),
            changes=True,
        )
        return new_order_state(order, str(reply["id"])) if reply.get("id") else _missing()

    def find(self, api: Api, client_order_id: str, listing: Listing, *, trigger: bool) -> OrderState | None:
        """See `ExchangeDialect`.

        Searches open, then closed orders: few exchanges query by client order id.
        """
        client = _with_market(api, listing)
        parameters = {"trigger": True} if trigger else {}
        methods: list[Callable[..., Any]] = [client.fetch_open_orders]
        methods += [getattr(client, method) for method, has in _CLOSED if client.has.get(has)]
        for method in methods:
            for row in api.run(partial(method, listing.symbol, None, None, parameters), changes=False):
                if row.get("clientOrderId") == client_order_id:
                    return self._state(row, listing)
        return None

    def cancel(self, api: Api, order: OrderState, listing: Listing) -> None:
        """See `ExchangeDialect`. Uses the exchange's id, which every exchange takes."""
        client = _with_market(api, listing)
        if order.exchange_order_id is None:
            raise Absent(self.name)
        parameters = {"trigger": True} if order.trigger else {}
        api.run(
            lambda: client.cancel_order(order.exchange_order_id, listing.symbol, parameters), changes=True
        )

    def cancel_all(self, api: Api, listing: Listing | None) -> None:
        """See `ExchangeDialect`. One instrument only: without one, exchanges may leave orders open."""
        if listing is None:
            raise NotDoable("exchange_needs_symbol", exchange=self.name)
        for order in self.open_orders(api, listing, Listings(listing.instrument.market_type, {})):
            self.cancel(api, order, listing)

    def open_orders(self, api: Api, listing: Listing | None, listings: Listings) -> Sequence[OrderState]:  # noqa: ARG002
        """See `ExchangeDialect`. One instrument only, as `cancel_all`."""
        if listing is None:
            raise NotDoable("exchange_needs_symbol", exchange=self.name)
        client = _with_market(api, listing)
        return [
            self._state(row, listing)
            for row in api.run(lambda: client.fetch_open_orders(listing.symbol), changes=False)
        ]

    def fills(self, api: Api, order: OrderState, listing: Listing) -> Sequence[Fill]:
        """See `ExchangeDialect`."""
        client = _with_market(api, listing)
        rows = api.run(lambda: client.fetch_my_trades(listing.symbol), changes=False)
        return [_fill(row, listing) for row in rows if row["order"] == order.exchange_order_id]

    def trades(self, api: Api, listing: Listing, side: Side, since: datetime) -> Sequence[Trade]:
        """See `ExchangeDialect`. ccxt's trades contain only the exchange's order id."""
        client = _with_market(api, listing)
        rows = api.run(
            lambda: client.fetch_my_trades(listing.symbol, int(since.timestamp() * 1000)), changes=False
        )
        return [
            Trade(None, str(row["order"]), _fill(row, listing)) for row in rows if row["side"] == side.value
        ]

    def balances(self, api: Api) -> Sequence[Balance]:
        """See `ExchangeDialect`."""
        reply = api.run(api.client.fetch_balance, changes=False)
        found = [
            Balance(currency, amount(reply["free"].get(currency)), amount(total))
            for currency, total in reply["total"].items()
        ]
        return [balance for balance in found if balance.total]

    def positions(self, api: Api, listings: Listings) -> Sequence[Position]:
        """See `ExchangeDialect`."""
        found = []
        for row in api.run(api.client.fetch_positions, changes=False):
            listing = listings.get(self.instrument_name(row["symbol"]))
            size = amount(row["contracts"])
            if listing is not None and size:
                signed = (-size if row["side"] == "short" else size) * listing.contract_size
                prices = decimal(row["entryPrice"]), decimal(row["leverage"]), decimal(row["unrealizedPnl"])
                which = PositionSide(row["side"]) if row.get("hedged") else None, row.get("marginMode")
                found.append(Position(listing.instrument.name, MarketType.FUTURES, signed, *prices, *which))
        return found

    def last_price(self, api: Api, listing: Listing) -> str:
        """See `ExchangeDialect`."""
        client = _with_market(api, listing)
        return str(api.run(lambda: client.fetch_ticker(listing.symbol), changes=False)["last"])

    def tickers(self, api: Api) -> Mapping[str, Ticker]:  # noqa: ARG002
        """None: ccxt's unified list needs the whole metadata loaded first, at each look."""
        return {}

    def set_position_mode(self, api: Api, listing: Listing, *, hedged: bool) -> None:
        """Changes nothing."""

    def set_margin(
        self,
        api: Api,
        listing: Listing,
        margin_mode: str | None,
        leverage: int | None,
        *,
        hedged: bool,  # noqa: ARG002
    ) -> None:
        """Sets the leverage. The margin mode is sent with the order if the exchange takes it."""
        client = _with_market(api, listing)
        if leverage is not None and client.has.get("setLeverage"):
            parameters = {"marginMode": margin_mode} if margin_mode else {}
            api.run(lambda: client.set_leverage(leverage, listing.symbol, parameters), changes=True)

    def permissions(self, api: Api, credentials: Credentials) -> KeyPermissions:  # noqa: ARG002
        """See `ExchangeDialect`.

        There is no common query: a readable account proves that the key is valid.
        """
        self.balances(api)
        return KeyPermissions(read=True, trade=True, withdraw=None, verified=False)

    def _state(self, row: Mapping[str, Any], listing: Listing) -> OrderState:
        trigger = bool(positive(row.get("triggerPrice")))
        limit = row["type"] == "limit"
        filled = amount(row.get("filled")) * listing.contract_size
        status = _STATUS[row["status"]]
        fee, currency = _fee(row)
        return OrderState(
            client_order_id=row["clientOrderId"],
            exchange_order_id=str(row["id"]),
            status=OrderStatus.PARTIALLY_FILLED if filled and status is OrderStatus.OPEN else status,
            instrument_name=listing.instrument.name,
            side=Side(row["side"]),
            order_type=(OrderType.STOP_LIMIT if limit else OrderType.STOP_MARKET)
            if trigger
            else OrderType.LIMIT
            if limit
            else OrderType.MARKET,
            quantity=Decimal(row["amount"]) * listing.contract_size,
            filled=filled,
            average_price=positive(row.get("average")),
            price=positive(row.get("price")) if limit else None,
            stop_price=positive(row.get("triggerPrice")),
            fee=fee,
            fee_currency=currency,
            trigger=trigger,
            updated_at=moment(row.get("lastUpdateTimestamp") or row.get("timestamp")),
        )


# ccxt's method, and its name in the exchange's list of abilities.
_CLOSED = (("fetch_closed_orders", "fetchClosedOrders"), ("fetch_canceled_orders", "fetchCanceledOrders"))


def _with_market(api: Api, listing: Listing) -> Any:
    """Returns the ccxt exchange with this market loaded, so that it loads no others."""
    client = api.client
    if listing.ccxt is not None and listing.symbol not in (client.markets or {}):
        client.set_markets([*(client.markets or {}).values(), dict(listing.ccxt)])
    return client


def _fill(row: Mapping[str, Any], listing: Listing) -> Fill:
    quantity = Decimal(row["amount"]) * listing.contract_size
    return Fill(str(row["id"]), Decimal(row["price"]), quantity, *_fee(row), moment(row["timestamp"]))


def _fee(row: Mapping[str, Any]) -> tuple[Decimal | None, str | None]:
    fee = row.get("fee") or {}
    return decimal(fee.get("cost")), fee.get("currency")


def _missing() -> OrderState:
    raise KeyError("id")
