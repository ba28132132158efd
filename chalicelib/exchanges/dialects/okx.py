"""OKX v5: spot, and USDT perpetuals (`SWAP`).

Swaps are counted in contracts. Trigger orders are in a separate book (algo orders). Once triggered, they
become an ordinary order with an id of its own. The reply to an order only acknowledges it, so its state must
be fetched. Rules from okx.com/docs-v5: trade, account, errors.
"""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, ClassVar

from chalicelib.errors import NotDoable
from chalicelib.exchanges.api import Api, Parameters
from chalicelib.exchanges.dialects import codes
from chalicelib.exchanges.dialects.dialect import (
    RECEIVE_WINDOW_MS,
    is_about_long,
    new_order_state,
    position_mode_differs,
    tickers_by_name,
)
from chalicelib.exchanges.markets import Listing, Listings
from chalicelib.exchanges.outcomes import Absent, Meaning
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
    "live": OrderStatus.OPEN,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "mmp_canceled": OrderStatus.CANCELLED,
    # Of the book of trigger orders. A triggered order is read from the order it became.
    "pause": OrderStatus.OPEN,
    "effective": OrderStatus.OPEN,
    "partially_effective": OrderStatus.OPEN,
    "order_failed": OrderStatus.REJECTED,
    "partially_failed": OrderStatus.REJECTED,
}
_AT_MARKET = "-1"
_POOLED_LEVELS = ("3", "4")  # account levels: 1 spot, 2 futures, 3 multi-currency margin, 4 portfolio margin
# `net` is the single position of one-way mode.
_POSITION_SIDES = {"long": PositionSide.LONG, "short": PositionSide.SHORT}
# Trigger orders are listed by kind. To cancel everything, all kinds must be listed.
_ALGO_KINDS = ("trigger", "conditional,oco", "move_order_stop")
_PAGE = 100
_CANCELS_AT_ONCE, _ALGO_CANCELS_AT_ONCE = 20, 10


class Okx:
    """See `ExchangeDialect`. Also OKX's sites for the EEA and the United States.

    Args:
        name: The site, `okx`, `myokx` (EEA) or `okxus`.
    """

    answers_at_once: ClassVar[bool] = False
    order_weight: ClassVar[int] = 0
    native_oco: ClassVar[bool] = False
    error_rules: ClassVar[Sequence[Meaning]] = codes.OKX

    def __init__(self, market_type: MarketType, name: str = "okx") -> None:
        self.name = name
        self._futures = market_type is MarketType.FUTURES
        self._kind = "SWAP" if self._futures else "SPOT"

    def ccxt_name(self) -> str:
        """See `ExchangeDialect`."""
        return self.name

    def options(self) -> dict[str, Any]:
        """See `ExchangeDialect`."""
        return {"fetchMarkets": {"types": ["swap" if self._futures else "spot"]}}

    def use_test_environment(self, client: Any) -> None:
        """Switches to demo trading: the same address with a header."""
        client.set_sandbox_mode(True)

    def parse_error(self, reply: Any) -> tuple[str | None, str]:
        """See `ErrorRules`. `{"code": "1", "data": [{"sCode": "51008", "sMsg": ...}]}`.

        Codes 1 and 2 mean that the items contain the codes.
        """
        if not isinstance(reply, dict):
            return None, ""
        items = reply.get("data") or []
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict) and str(item.get("sCode", "0")) != "0":
                return str(item["sCode"]), str(item.get("sMsg", ""))
        code = str(reply.get("code", ""))
        return (None, "") if code == "0" else (code, str(reply.get("msg", "")))

    def pacing(self, headers: Mapping[str, str]) -> Pacing:
        """See `ErrorRules`. OKX sends no limit headers."""
        named = {name.lower(): value for name, value in headers.items()}
        return (
            Pacing(retry_after=float(named["retry-after"]))
            if named.get("retry-after", "").isdigit()
            else Pacing()
        )

    def weight(self, method: str, parameters: Parameters) -> int:  # noqa: ARG002
        """See `ErrorRules`. Only public calls count per address."""
        return 1 if method.startswith("public") else 0

    def instrument_name(self, market_id: str) -> str:
        """See `ExchangeDialect`. `BTC-USDT-SWAP` is BTCUSDT."""
        return market_id.removesuffix("-SWAP").replace("-", "")

    def place(self, api: Api, order: OrderRequest, listing: Listing) -> OrderState:
        """See `ExchangeDialect`.

        OKX itself drops the request once it is older than the receive window.
        """
        request: dict[str, Any] = {
            "instId": listing.market_id,
            "tdMode": (order.margin_mode or "cross") if self._futures else self._spot_mode(api),
            "side": order.side.value,
            "sz": text(order.quantity / listing.contract_size),
        }
        if self._futures and order.hedged:
            # In hedge mode the position side says what reduces. `reduceOnly` is ignored there.
            request["posSide"] = (
                "long" if is_about_long(order.side, reduce_only=order.reduce_only) else "short"
            )
        elif self._futures:
            request["reduceOnly"] = order.reduce_only
        if not self._futures and order.price is None:
            # Without this field the size of a market buy would be an amount of quote currency.
            request["tgtCcy"] = "base_ccy"
        if order.stop_price is not None:
            return self._place_trigger(api, order, request)
        request |= {"clOrdId": order.client_order_id, "ordType": _order_kind(order)}
        if order.price is not None:
            request["px"] = text(order.price)
        return new_order_state(order, self._send(api, "privatePostTradeOrder", request)["ordId"])

    def find(self, api: Api, client_order_id: str, listing: Listing, *, trigger: bool) -> OrderState | None:
        """See `ExchangeDialect`."""
        query = {"instId": listing.market_id}
        if not trigger:
            return self._state(
                _single_item(api.read("privateGetTradeOrder", {**query, "clOrdId": client_order_id})), listing
            )
        row = _single_item(api.read("privateGetTradeOrderAlgo", {"algoClOrdId": client_order_id}))
        state = self._state(row, listing)
        became_id = _triggered_id(row)
        if became_id is None:
            return state
        became = self._state(
            _single_item(api.read("privateGetTradeOrder", {**query, "ordId": became_id})), listing
        )
        return replace(
            state,
            status=became.status,
            filled=became.filled,
            average_price=became.average_price,
            fee=became.fee,
            fee_currency=became.fee_currency,
            updated_at=became.updated_at,
        )

    def cancel(self, api: Api, order: OrderState, listing: Listing) -> None:
        """See `ExchangeDialect`. A triggered order is cancelled as the order it became."""
        query = {"instId": listing.market_id}
        if not order.trigger:
            api.change("privatePostTradeCancelOrder", {**query, "clOrdId": order.client_order_id})
            return
        with contextlib.suppress(Absent):
            which = (
                {"algoId": order.exchange_order_id}
                if order.exchange_order_id
                else {"algoClOrdId": order.client_order_id}
            )
            api.change("privatePostTradeCancelAlgos", [{**query, **which}])
            return
        became_id = _triggered_id(
            _single_item(api.read("privateGetTradeOrderAlgo", {"algoClOrdId": order.client_order_id}))
        )
        if became_id is None:
            raise Absent(self.name)
        api.change("privatePostTradeCancelOrder", {**query, "ordId": became_id})

    def cancel_all(self, api: Api, listing: Listing | None) -> None:
        """See `ExchangeDialect`.

        OKX has no such request, so open orders are listed and cancelled in batches.
        """
        orders, triggers = self._open(api, listing)
        for method, rows, key, size in (
            ("privatePostTradeCancelBatchOrders", orders, "ordId", _CANCELS_AT_ONCE),
            ("privatePostTradeCancelAlgos", triggers, "algoId", _ALGO_CANCELS_AT_ONCE),
        ):
            for batch in _batches(({"instId": row["instId"], key: row[key]} for row in rows), size):
                # An order that has just ended fails alone. The others of its batch are still cancelled.
                with contextlib.suppress(Absent):
                    api.change(method, batch)

    def open_orders(self, api: Api, listing: Listing | None, listings: Listings) -> Sequence[OrderState]:
        """See `ExchangeDialect`."""
        orders, triggers = self._open(api, listing)
        known = (
            (row, listing or listings.get(self.instrument_name(row["instId"])))
            for row in (*orders, *triggers)
        )
        return [self._state(row, each) for row, each in known if each is not None]

    def fills(self, api: Api, order: OrderState, listing: Listing) -> Sequence[Fill]:
        """See `ExchangeDialect`. OKX returns the newest first, with negative fees."""
        order_id = order.exchange_order_id
        if order.trigger:
            order_id = _triggered_id(
                _single_item(api.read("privateGetTradeOrderAlgo", {"algoClOrdId": order.client_order_id}))
            )
        if not order_id:
            return []
        rows = api.read(
            "privateGetTradeFillsHistory",
            {"instType": self._kind, "instId": listing.market_id, "ordId": order_id},
        )["data"]
        return [_fill(row, listing) for row in reversed(rows)]

    def trades(self, api: Api, listing: Listing, side: Side, since: datetime) -> Sequence[Trade]:
        """See `ExchangeDialect`. At most 100, the newest."""
        query = {
            "instType": self._kind,
            "instId": listing.market_id,
            "begin": str(int(since.timestamp() * 1000)),
        }
        rows = api.read("privateGetTradeFillsHistory", query)["data"]
        return [
            Trade(row["clOrdId"], row["ordId"], _fill(row, listing))
            for row in reversed(rows)
            if row["side"] == side.value
        ]

    def balances(self, api: Api) -> Sequence[Balance]:
        """See `ExchangeDialect`."""
        (account,) = api.read("privateGetAccountBalance")["data"]
        found = [
            Balance(row["ccy"], amount(row.get("availEq") or row["availBal"]), amount(row["cashBal"]))
            for row in account["details"]
        ]
        return [balance for balance in found if balance.total]

    def positions(self, api: Api, listings: Listings) -> Sequence[Position]:
        """See `ExchangeDialect`. Signed in one-way mode. In hedge mode positive, and `posSide` marks a short.

        A cross and an isolated position of one instrument may exist at the same time. An order reduces the
        one that its `tdMode` names. Source: OKX v5, "Get positions" (`mgnMode`) and "Place order" (`tdMode`).
        """
        found = []
        for row in api.read("privateGetAccountPositions", {"instType": self._kind})["data"]:
            listing = listings.get(self.instrument_name(row["instId"]))
            contracts = amount(row["pos"])
            if listing is not None and contracts:
                signed = (-contracts if row["posSide"] == "short" else contracts) * listing.contract_size
                prices = positive(row["avgPx"]), positive(row["lever"]), decimal(row["upl"])
                which = _POSITION_SIDES.get(row["posSide"]), row["mgnMode"]
                found.append(Position(listing.instrument.name, MarketType.FUTURES, signed, *prices, *which))
        return found

    def last_price(self, api: Api, listing: Listing) -> str:
        """See `ExchangeDialect`."""
        return str(_single_item(api.read("publicGetMarketTicker", {"instId": listing.market_id}))["last"])

    def tickers(self, api: Api) -> Mapping[str, Ticker]:
        """See dialect.ExchangeDialect.

        Source: OKX v5, "Get tickers", 20 calls in 2 s by address. Contracts margined in coins
        (`BTC-USD-SWAP`) are left out: their name would be that of another instrument.
        """
        rows = api.read("publicGetMarketTickers", {"instType": "SWAP" if self._futures else "SPOT"})["data"]
        return tickers_by_name(
            (row for row in rows if not row["instId"].endswith("-USD-SWAP")),
            lambda row: self.instrument_name(row["instId"]),
            "last",
            "high24h",
            "low24h",
        )

    def set_position_mode(self, api: Api, listing: Listing, *, hedged: bool) -> None:  # noqa: ARG002  account-wide here
        """See `ExchangeDialect`."""
        wanted = "long_short_mode" if hedged else "net_mode"
        if self._account(api)["posMode"] != wanted:
            if not api.settings.manage_modes:
                raise position_mode_differs(self.name, hedged=hedged)
            api.change("privatePostAccountSetPositionMode", {"posMode": wanted})

    def set_margin(
        self, api: Api, listing: Listing, margin_mode: str | None, leverage: int | None, *, hedged: bool
    ) -> None:
        """See `ExchangeDialect`. The margin mode is sent with each order.

        Leverage is set per margin mode. In isolated hedge mode it is set per position side.
        """
        if leverage is None:
            return
        mode = margin_mode or "cross"
        query = {"instId": listing.market_id, "mgnMode": mode}
        for row in api.read("privateGetAccountLeverageInfo", query)["data"]:
            if positive(row["lever"]) != leverage:
                side = {"posSide": row["posSide"]} if hedged and mode == "isolated" else {}
                api.change("privatePostAccountSetLeverage", {**query, "lever": str(leverage), **side})

    def permissions(self, api: Api, credentials: Credentials) -> KeyPermissions:  # noqa: ARG002  the demo environment answers too
        """See `ExchangeDialect`. The account's settings contain the key's permissions: `read_only,trade`."""
        row = self._account(api)
        granted = set(row["perm"].split(","))
        addresses = tuple(address for address in row.get("ip", "").split(",") if address)
        return KeyPermissions(
            read=True, trade="trade" in granted, withdraw="withdraw" in granted, addresses=addresses
        )

    def _account(self, api: Api) -> Mapping[str, Any]:
        """Returns the account's settings and caches its level."""
        row = _single_item(api.read("privateGetAccountConfig"))
        api.settings.level = row.get("acctLv")
        return row

    def _spot_mode(self, api: Api) -> str:
        """Returns `cross` if all currencies share one margin pool, which takes no `cash` orders. Else `cash`.

        Source: okx.com/docs-v5, "Place order", `tdMode`.
        """
        level = api.settings.level or self._account(api).get("acctLv")
        return "cross" if level in _POOLED_LEVELS else "cash"

    def _place_trigger(self, api: Api, order: OrderRequest, request: dict[str, Any]) -> OrderState:
        if order.time_in_force not in {None, "GTC"}:
            raise NotDoable("time_in_force_with_stop", exchange=self.name, time_in_force=order.time_in_force)
        if not self._futures and order.order_type is OrderType.STOP_MARKET and order.side is Side.BUY:
            # `tgtCcy` is documented for `conditional` and `oco` orders, not for `trigger`. If OKX ignored it,
            # the size would be an amount of quote currency. Remove this check once an order in OKX's demo
            # environment has shown the meaning.
            raise NotDoable("spot_stop_buy_unsupported", exchange=self.name)
        stop, price = order.stop_price, order.price
        request |= {"ordType": "trigger", "algoClOrdId": order.client_order_id, "triggerPxType": "last"}
        request |= {"triggerPx": text(stop) if stop else "", "orderPx": text(price) if price else _AT_MARKET}
        return new_order_state(order, self._send(api, "privatePostTradeOrderAlgo", request)["algoId"])

    def _send(self, api: Api, method: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        # ccxt sends `headers` with every request. No other request may expire.
        api.client.headers = {
            **(api.client.headers or {}),
            "expTime": str(int(time.time() * 1000) + RECEIVE_WINDOW_MS),
        }
        try:
            return _single_item(api.change(method, request))
        finally:
            api.client.headers = {
                name: value for name, value in api.client.headers.items() if name != "expTime"
            }

    def _open(
        self, api: Api, listing: Listing | None
    ) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
        query = {"instType": self._kind, **({"instId": listing.market_id} if listing else {})}
        orders = self._pages(api, "privateGetTradeOrdersPending", query, "ordId")
        kinds = ({**query, "ordType": kind} for kind in _ALGO_KINDS)
        return orders, [
            row
            for kind in kinds
            for row in self._pages(api, "privateGetTradeOrdersAlgoPending", kind, "algoId")
        ]

    def _pages(self, api: Api, method: str, query: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        while True:
            after = {"after": rows[-1][key]} if rows else {}
            page = api.read(method, {**query, "limit": str(_PAGE), **after})["data"]
            rows += page
            if len(page) < _PAGE:
                return rows

    def _state(self, row: Mapping[str, Any], listing: Listing) -> OrderState:
        trigger = bool(row.get("algoId")) and "triggerPx" in row
        price = (
            positive(row.get("px"))
            if not trigger
            else positive(row["orderPx"])
            if row["orderPx"] != _AT_MARKET
            else None
        )
        limit = price is not None and row.get("ordType") != "market"
        size = listing.contract_size
        filled = amount(row.get("accFillSz")) * size
        fee = decimal(row.get("fee"))
        return OrderState(
            client_order_id=row["algoClOrdId"] if trigger else row["clOrdId"],
            exchange_order_id=row["algoId"] if trigger else row["ordId"],
            status=_STATUS[row["state"]],
            instrument_name=listing.instrument.name,
            side=Side(row["side"]),
            order_type=(OrderType.STOP_LIMIT if limit else OrderType.STOP_MARKET)
            if trigger
            else OrderType.LIMIT
            if limit
            else OrderType.MARKET,
            quantity=Decimal(row["sz"]) * size,
            filled=filled,
            average_price=positive(row.get("avgPx")),
            price=price,
            stop_price=positive(row["triggerPx"]) if trigger else None,
            fee=-fee if fee is not None and filled else None,
            fee_currency=row.get("feeCcy") or None if filled else None,
            trigger=trigger,
            updated_at=moment(row.get("uTime") or row.get("cTime")),
        )


def _order_kind(order: OrderRequest) -> str:
    """Returns OKX's order type, which includes post-only and time in force."""
    if order.order_type is OrderType.MARKET:
        return "market"
    if order.post_only:
        return "post_only"
    return {"IOC": "ioc", "FOK": "fok"}.get(order.time_in_force or "", "limit")


def _single_item(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the only item of a reply.

    Raises:
        ValueError: The reply has no item or several.
    """
    (item,) = reply["data"]
    return dict(item)


def _fill(row: Mapping[str, Any], listing: Listing) -> Fill:
    quantity = Decimal(row["fillSz"]) * listing.contract_size
    return Fill(
        row["tradeId"],
        Decimal(row["fillPx"]),
        quantity,
        -amount(row["fee"]),
        row["feeCcy"],
        moment(row["ts"]),
    )


def _triggered_id(row: Mapping[str, Any]) -> str | None:
    """Returns the id of the order that a trigger order has become. None while it waits."""
    if row["state"] not in {"effective", "partially_effective"}:
        return None
    listed = row.get("ordIdList") or []
    return row.get("ordId") or (listed[0] if listed else None) or None


def _batches(rows: Iterable[Mapping[str, Any]], size: int) -> Iterable[list[Mapping[str, Any]]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch
