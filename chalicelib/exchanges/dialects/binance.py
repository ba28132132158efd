"""Binance: spot, and USDⓈ-M futures.

Conditional futures orders are in a separate book (`algoOrder`). Once triggered, they become an ordinary order
with an id of its own. Rules from developers.binance.com: spot and USDⓈ-M REST API, error codes, filters.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from chalicelib.errors import Refused
from chalicelib.exchanges.api import Api, Parameters
from chalicelib.exchanges.dialects import codes
from chalicelib.exchanges.dialects.dialect import (
    RECEIVE_WINDOW_MS,
    is_about_long,
    number,
    position_mode_differs,
    tickers_by_name,
)
from chalicelib.exchanges.markets import Listing, Listings
from chalicelib.exchanges.outcomes import Absent, Already, Meaning
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
from chalicelib.exchanges.wire import amount, flag, moment, positive, text
from chalicelib.trading import MarketType, OrderType, PositionSide

_STATUS = {
    "NEW": OrderStatus.OPEN,
    "PENDING_NEW": OrderStatus.OPEN,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "PENDING_CANCEL": OrderStatus.OPEN,
    "EXPIRED": OrderStatus.CANCELLED,
    "EXPIRED_IN_MATCH": OrderStatus.CANCELLED,
    "REJECTED": OrderStatus.REJECTED,
    # Of the book of conditional orders. A triggered order is read from the order it became.
    "TRIGGERING": OrderStatus.OPEN,
    "TRIGGERED": OrderStatus.OPEN,
    "FINISHED": OrderStatus.OPEN,
}
_TYPES = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "STOP_LOSS": OrderType.STOP_MARKET,
    "STOP_MARKET": OrderType.STOP_MARKET,
    "TAKE_PROFIT_MARKET": OrderType.STOP_MARKET,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT_LIMIT": OrderType.STOP_LIMIT,
    "STOP": OrderType.STOP_LIMIT,
}
# `BOTH` is the single position of one-way mode.
_POSITION_SIDES = {"LONG": PositionSide.LONG, "SHORT": PositionSide.SHORT}
# The same word names a market order on spot and a limit order on futures.
_TAKE_PROFIT = {MarketType.SPOT: OrderType.STOP_MARKET, MarketType.FUTURES: OrderType.STOP_LIMIT}


# Weights of calls that do not weigh 1, by ccxt's names: for all symbols, and for one.
_WEIGHTS_OF_ALL = {
    "fapiPublicGetTicker24hr": 40,
    "privateGetOpenOrders": 80,
    "fapiPrivateGetOpenOrders": 40,
    "fapiPrivateGetOpenAlgoOrders": 40,
}
_WEIGHTS = {
    "publicGetTickerPrice": 2,
    "publicGetTicker24hr": 80,
    "privateGetAccount": 20,
    "privateGetOrder": 4,
    "privateGetOpenOrders": 6,
    "privateGetMyTrades": 20,
    "fapiPrivateV3GetBalance": 5,
    "fapiPrivateV3GetPositionRisk": 5,
    "fapiPrivateGetAccountConfig": 5,
    "fapiPrivateGetSymbolConfig": 5,
    "fapiPrivateGetUserTrades": 5,
    "fapiPrivatePostOrder": 0,
    "fapiPrivatePostAlgoOrder": 0,
}


class Binance:
    """See `ExchangeDialect`. Also Binance.US, which has spot only and an older interface.

    Args:
        name: The site, `binance` or `binanceus`.
    """

    answers_at_once: ClassVar[bool] = True
    error_rules: ClassVar[Sequence[Meaning]] = codes.BINANCE

    def __init__(self, market_type: MarketType, name: str = "binance") -> None:
        self.name = name
        self._market_type = market_type
        self._futures = market_type is MarketType.FUTURES
        # ccxt's names of the signed endpoints: privatePostOrder, fapiPrivatePostOrder.
        self._private = "fapiPrivate" if self._futures else "private"

    @property
    def order_weight(self) -> int:
        """See `ExchangeDialect`."""
        return 0 if self._futures else 1

    @property
    def native_oco(self) -> bool:
        """Whether an OCO group goes in one call: conditional spot orders lock what they will sell.

        Binance.US documents no list of two market orders (docs.binance.us, "OCO").
        """
        return not self._futures and self.name == "binance"

    def ccxt_name(self) -> str:
        """See `ExchangeDialect`."""
        return "binanceusdm" if self._futures else self.name

    def options(self) -> dict[str, Any]:
        """See `ExchangeDialect`."""
        kind = "linear" if self._futures else "spot"
        return {
            "recvWindow": RECEIVE_WINDOW_MS,
            "fetchMarkets": {"types": [kind]},
            "fetchMargins": False,
            "fetchCurrencies": False,
        }

    def use_test_environment(self, client: Any) -> None:
        """Switches to demo trading: Binance's futures test network no longer takes orders.

        Binance.US has no test environment.
        """
        if self.name != "binance":
            raise Refused("not_for_kind", field="api_key", kind="demo")
        client.enable_demo_trading(True)

    def parse_error(self, reply: Any) -> tuple[str | None, str]:
        """See `ErrorRules`. Errors are `{"code": -1013, "msg": ...}`. Some successes have code 200."""
        if not isinstance(reply, dict) or str(reply.get("code", "200")) in {"0", "200"}:
            return None, ""
        return str(reply["code"]), str(reply.get("msg", ""))

    def pacing(self, headers: Mapping[str, str]) -> Pacing:
        """See `ErrorRules`. `X-MBX-USED-WEIGHT-1M`, `X-MBX-ORDER-COUNT-10S`, `Retry-After`."""
        named = {name.lower(): value for name, value in headers.items()}
        counts = {
            name.rsplit("-", 1)[1]: number(value)
            for name, value in named.items()
            if name.startswith("x-mbx-order-count-")
        }
        return Pacing(
            used_weight=number(named.get("x-mbx-used-weight-1m")),
            order_counts=tuple(
                sorted((interval, count) for interval, count in counts.items() if count is not None)
            ),
            retry_after=number(named.get("retry-after")),
        )

    def weight(self, method: str, parameters: Parameters) -> int:
        """See `ErrorRules`. Weights as documented. Futures orders weigh nothing."""
        if not parameters and method in _WEIGHTS_OF_ALL:
            return _WEIGHTS_OF_ALL[method]
        return _WEIGHTS.get(method, 1)

    def instrument_name(self, market_id: str) -> str:
        """See `ExchangeDialect`. Binance's names equal ours."""
        return market_id

    def place(self, api: Api, order: OrderRequest, listing: Listing) -> OrderState:
        """See `ExchangeDialect`."""
        request: dict[str, Any] = {
            "symbol": listing.market_id,
            "side": order.side.value.upper(),
            "type": self._type(order),
            "quantity": text(order.quantity),
        }
        if order.oco_sibling is not None:
            return self._place_oco(api, order, order.oco_sibling, listing)
        if order.price is not None:
            request["price"] = text(order.price)
        if self._takes_time_in_force(order):
            request["timeInForce"] = "GTX" if order.post_only else order.time_in_force or "GTC"
        if self._futures:
            self._add_position(request, order)
        if self._futures and order.stop_price is not None:
            request |= {
                "algoType": "CONDITIONAL",
                "triggerPrice": text(order.stop_price),
                "clientAlgoId": order.client_order_id,
            }
            return self._state(api.change("fapiPrivatePostAlgoOrder", request), listing)
        if order.stop_price is not None:
            request["stopPrice"] = text(order.stop_price)
        request |= {
            "newClientOrderId": order.client_order_id,
            "newOrderRespType": "RESULT" if self._futures else "FULL",
        }
        return self._state(api.change(f"{self._private}PostOrder", request), listing)

    def find(self, api: Api, client_order_id: str, listing: Listing, *, trigger: bool) -> OrderState | None:
        """See `ExchangeDialect`."""
        if not (trigger and self._futures):
            return self._state(
                api.read(
                    f"{self._private}GetOrder",
                    {"symbol": listing.market_id, "origClientOrderId": client_order_id},
                ),
                listing,
            )
        # The endpoint of one conditional order needs no symbol. Its reply contains it.
        conditional = api.read("fapiPrivateGetAlgoOrder", {"clientAlgoId": client_order_id})
        state = self._state(conditional, listing)
        if not conditional.get("actualOrderId"):
            return state
        became = self._state(
            api.read(
                "fapiPrivateGetOrder", {"symbol": listing.market_id, "orderId": conditional["actualOrderId"]}
            ),
            listing,
        )
        return _fired_state(state, became)

    def cancel(self, api: Api, order: OrderState, listing: Listing) -> None:
        """See `ExchangeDialect`.

        A triggered conditional order is cancelled by the id of the order it became.
        """
        if self._futures and order.trigger:
            with contextlib.suppress(Absent):
                api.change("fapiPrivateDeleteAlgoOrder", {"clientAlgoId": order.client_order_id})
                return
            if order.exchange_order_id is None:
                raise Absent(self.name)
            conditional = api.read("fapiPrivateGetAlgoOrder", {"clientAlgoId": order.client_order_id})
            if not conditional.get("actualOrderId"):
                raise Absent(self.name)
            api.change(
                "fapiPrivateDeleteOrder",
                {"symbol": listing.market_id, "orderId": conditional["actualOrderId"]},
            )
            return
        api.change(
            f"{self._private}DeleteOrder",
            {"symbol": listing.market_id, "origClientOrderId": order.client_order_id},
        )

    def cancel_all(self, api: Api, listing: Listing | None) -> None:
        """See `ExchangeDialect`.

        Binance cancels per symbol. Without one, the open orders give the symbols.
        """
        symbols = [listing.market_id] if listing else sorted({row["symbol"] for row in self._open(api, {})})
        for symbol in symbols:
            methods = (
                ("fapiPrivateDeleteAllOpenOrders", "fapiPrivateDeleteAlgoOpenOrders")
                if self._futures
                else ("privateDeleteOpenOrders",)
            )
            for method in methods:
                # Spot answers "Unknown order sent." if there is nothing to cancel.
                with contextlib.suppress(Absent):
                    api.change(method, {"symbol": symbol})

    def open_orders(self, api: Api, listing: Listing | None, listings: Listings) -> Sequence[OrderState]:
        """See `ExchangeDialect`."""
        rows = self._open(api, {"symbol": listing.market_id} if listing else {})
        known = ((row, listing or listings.get(self.instrument_name(row["symbol"]))) for row in rows)
        return [self._state(row, each) for row, each in known if each is not None]

    def fills(self, api: Api, order: OrderState, listing: Listing) -> Sequence[Fill]:
        """See `ExchangeDialect`."""
        order_id = order.exchange_order_id
        if self._futures and order.trigger:
            order_id = api.read("fapiPrivateGetAlgoOrder", {"clientAlgoId": order.client_order_id}).get(
                "actualOrderId"
            )
        if not order_id:
            return []
        method = "fapiPrivateGetUserTrades" if self._futures else "privateGetMyTrades"
        return [_fill(row) for row in api.read(method, {"symbol": listing.market_id, "orderId": order_id})]

    def trades(self, api: Api, listing: Listing, side: Side, since: datetime) -> Sequence[Trade]:
        """See `ExchangeDialect`.

        Trades contain only the exchange's order id, so each order is queried for its client order id.
        """
        method = "fapiPrivateGetUserTrades" if self._futures else "privateGetMyTrades"
        rows = api.read(
            method,
            {"symbol": listing.market_id, "startTime": str(int(since.timestamp() * 1000)), "limit": "1000"},
        )
        chosen = [
            row
            for row in rows
            if (flag(row["isBuyer"]) if "isBuyer" in row else row["side"] == "BUY") is (side is Side.BUY)
        ]
        names = {
            order_id: self._client_id(api, order_id, listing)
            for order_id in {str(row["orderId"]) for row in chosen}
        }
        return [Trade(names[str(row["orderId"])], str(row["orderId"]), _fill(row)) for row in chosen]

    def _client_id(self, api: Api, order_id: str, listing: Listing) -> str | None:
        """Returns an order's client order id. None while the exchange does not show the order."""
        try:
            row = api.read(f"{self._private}GetOrder", {"symbol": listing.market_id, "orderId": order_id})
        except Absent:
            return None
        return str(row["clientOrderId"])

    def balances(self, api: Api) -> Sequence[Balance]:
        """See `ExchangeDialect`."""
        if self._futures:
            rows = api.read("fapiPrivateV3GetBalance")
            found = [
                Balance(row["asset"], amount(row["availableBalance"]), amount(row["balance"])) for row in rows
            ]
        else:
            rows = api.read(
                "privateGetAccount", {"omitZeroBalances": "true"} if self.name == "binance" else {}
            )["balances"]
            found = [
                Balance(row["asset"], amount(row["free"]), amount(row["free"]) + amount(row["locked"]))
                for row in rows
            ]
        return [balance for balance in found if balance.total]

    def positions(self, api: Api, listings: Listings) -> Sequence[Position]:
        """See `ExchangeDialect`. Short positions have a negative amount in both modes.

        The leverage is part of the symbol's settings, not of this reply. Only an isolated position has an
        isolated wallet. Source: Binance USDⓈ-M futures, "Position Information V3".
        """
        return [
            Position(
                self.instrument_name(row["symbol"]),
                MarketType.FUTURES,
                amount(row["positionAmt"]),
                positive(row["entryPrice"]),
                positive(row.get("leverage")),
                amount(row["unRealizedProfit"]),
                _POSITION_SIDES.get(row["positionSide"]),
                "isolated" if positive(row.get("isolatedWallet")) else "cross",
            )
            for row in api.read("fapiPrivateV3GetPositionRisk")
            if amount(row["positionAmt"]) and listings.get(self.instrument_name(row["symbol"]))
        ]

    def last_price(self, api: Api, listing: Listing) -> str:
        """See `ExchangeDialect`."""
        method = "fapiPublicV2GetTickerPrice" if self._futures else "publicGetTickerPrice"
        return str(api.read(method, {"symbol": listing.market_id})["price"])

    def tickers(self, api: Api) -> Mapping[str, Ticker]:
        """See dialect.ExchangeDialect.

        Sources: Binance spot, "24hr Ticker Price Change Statistics": all symbols weigh 80, and `type=MINI` is
        a shorter form, which Binance.US does not document. USDⓈ-M futures, the page of the same name: 40.
        """
        method = "fapiPublicGetTicker24hr" if self._futures else "publicGetTicker24hr"
        rows = api.read(
            method, {"type": "MINI"} if method.startswith("public") and self.name == "binance" else {}
        )
        return tickers_by_name(
            rows, lambda row: self.instrument_name(row["symbol"]), "lastPrice", "highPrice", "lowPrice"
        )

    def set_position_mode(self, api: Api, listing: Listing, *, hedged: bool) -> None:  # noqa: ARG002  account-wide here
        """See `ExchangeDialect`. Reads the mode from an endpoint that weighs 5.

        The endpoint that sets the mode weighs 30 to read.
        """
        if flag(api.read("fapiPrivateGetAccountConfig")["dualSidePosition"]) is not hedged:
            if not api.settings.manage_modes:
                raise position_mode_differs(self.name, hedged=hedged)
            with contextlib.suppress(Already):
                api.change("fapiPrivatePostPositionSideDual", {"dualSidePosition": str(hedged).lower()})

    def set_margin(
        self,
        api: Api,
        listing: Listing,
        margin_mode: str | None,
        leverage: int | None,
        *,
        hedged: bool,  # noqa: ARG002
    ) -> None:
        """See `ExchangeDialect`."""
        symbol = {"symbol": listing.market_id}
        (current,) = api.read("fapiPrivateGetSymbolConfig", symbol)
        wanted = {"cross": "CROSSED", "isolated": "ISOLATED", None: current["marginType"]}[margin_mode]
        if current["marginType"] != wanted:
            with contextlib.suppress(Already):
                api.change("fapiPrivatePostMarginType", {**symbol, "marginType": wanted})
        if leverage is not None and Decimal(current["leverage"]) != leverage:
            api.change("fapiPrivatePostLeverage", {**symbol, "leverage": str(leverage)})

    def permissions(self, api: Api, credentials: Credentials) -> KeyPermissions:
        """See `ExchangeDialect`. Uses the key's restrictions.

        Demo keys have no restrictions to read and cannot withdraw, so the account is queried instead.
        """
        if credentials.demo or self.name != "binance":
            self.balances(api)
            return KeyPermissions(
                read=True, trade=True, withdraw=False if credentials.demo else None, verified=False
            )
        row = api.read("sapiGetAccountApiRestrictions")
        trade = flag(row.get("enableFutures" if self._futures else "enableSpotAndMarginTrading"))
        return KeyPermissions(flag(row["enableReading"]), trade, flag(row["enableWithdrawals"]))

    def _place_oco(self, api: Api, order: OrderRequest, other: OrderRequest, listing: Listing) -> OrderState:
        """Places an OCO group of two conditional market orders, one above the market and one below.

        Source: Binance spot, "New Order list - OCO".
        """
        request = {
            "symbol": listing.market_id,
            "side": order.side.value.upper(),
            "quantity": text(order.quantity),
        }
        for each in (order, other):
            assert each.stop_price is not None
            place = "above" if each.trigger_above else "below"
            request |= {f"{place}Type": self._type(each), f"{place}StopPrice": text(each.stop_price)}
            request[f"{place}ClientOrderId"] = each.client_order_id
        # Without a list id, ccxt sends its own broker id.
        request |= {"listClientOrderId": order.client_order_id, "newOrderRespType": "FULL"}
        reply = api.change("privatePostOrderListOco", request)
        [report] = [row for row in reply["orderReports"] if row["clientOrderId"] == order.client_order_id]
        return self._state(report, listing)

    def _type(self, order: OrderRequest) -> str:
        match order.order_type:
            case OrderType.MARKET:
                return "MARKET"
            case OrderType.LIMIT:
                return "LIMIT_MAKER" if order.post_only and not self._futures else "LIMIT"
        # A stop triggers in the order's own direction, a take-profit in the opposite one. The pair of side
        # and trigger direction tells them apart.
        stop = (order.side is Side.BUY) is bool(order.trigger_above)
        market = order.order_type is OrderType.STOP_MARKET
        if self._futures:
            return ("STOP" if stop else "TAKE_PROFIT") + ("_MARKET" if market else "")
        return ("STOP_LOSS" if stop else "TAKE_PROFIT") + ("" if market else "_LIMIT")

    def _takes_time_in_force(self, order: OrderRequest) -> bool:
        limit = order.order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        return limit and (self._futures or not order.post_only)

    def _add_position(self, request: dict[str, Any], order: OrderRequest) -> None:
        if order.hedged:
            # Hedge mode has no reduce-only. The position side says it, and Binance never reverses a position
            # there.
            request["positionSide"] = (
                "LONG" if is_about_long(order.side, reduce_only=order.reduce_only) else "SHORT"
            )
        elif order.reduce_only:
            request["reduceOnly"] = "true"

    def _open(self, api: Api, symbol: Mapping[str, str]) -> list[dict[str, Any]]:
        rows = list(api.read(f"{self._private}GetOpenOrders", symbol))
        return rows + list(api.read("fapiPrivateGetOpenAlgoOrders", symbol)) if self._futures else rows

    def _state(self, row: Mapping[str, Any], listing: Listing) -> OrderState:
        kind = row.get("type") or row["orderType"]
        order_type = _TAKE_PROFIT[self._market_type] if kind == "TAKE_PROFIT" else _TYPES[kind]
        filled = amount(row.get("executedQty"))
        fee, fee_currency = _fee(row.get("fills") or [])
        return OrderState(
            client_order_id=row.get("clientAlgoId") or row["clientOrderId"],
            exchange_order_id=str(row.get("algoId") or row["orderId"]),
            status=_STATUS[row.get("algoStatus") or row["status"]],
            instrument_name=listing.instrument.name,
            side=Side(row["side"].lower()),
            order_type=order_type,
            quantity=Decimal(row.get("quantity") or row["origQty"]),
            filled=filled,
            average_price=positive(row.get("avgPrice"))
            or (amount(row.get("cummulativeQuoteQty")) / filled if filled else None),
            price=positive(row.get("price")),
            stop_price=positive(row.get("triggerPrice") or row.get("stopPrice")),
            fee=fee,
            fee_currency=fee_currency,
            trigger=order_type in {OrderType.STOP_LIMIT, OrderType.STOP_MARKET},
            updated_at=moment(row.get("updateTime") or row.get("transactTime") or row.get("time")),
        )


def _fill(row: Mapping[str, Any]) -> Fill:
    price, quantity = Decimal(row["price"]), Decimal(row["qty"])
    return Fill(
        str(row["id"]),
        price,
        quantity,
        amount(row["commission"]),
        row["commissionAsset"],
        moment(row["time"]),
    )


def _fired_state(conditional: OrderState, became: OrderState) -> OrderState:
    """Returns a triggered conditional order with the fills of the order that it became."""
    return replace(
        conditional,
        status=became.status,
        filled=became.filled,
        average_price=became.average_price,
        fee=became.fee,
        fee_currency=became.fee_currency,
        updated_at=became.updated_at,
    )


def _fee(fills: Sequence[Mapping[str, Any]]) -> tuple[Decimal | None, str | None]:
    """Returns an order's fee from its fills, if taken in one currency. None and None otherwise."""
    currencies = {fill["commissionAsset"] for fill in fills}
    if len(currencies) != 1:
        return None, None
    return sum((amount(fill["commission"]) for fill in fills), Decimal(0)), currencies.pop()
