"""Bybit v5, unified account: spot, and USDT perpetuals (`linear`).

The reply to an order only acknowledges it, so its state must be fetched. Rules from
bybit-exchange.github.io/docs/v5: order, position, account, error codes.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from chalicelib.errors import NotDoable
from chalicelib.exchanges.api import Api, Parameters
from chalicelib.exchanges.dialects import codes
from chalicelib.exchanges.dialects.dialect import (
    RECEIVE_WINDOW_MS,
    is_about_long,
    new_order_state,
    number,
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
from chalicelib.exchanges.wire import amount, decimal, moment, positive, rounded, text
from chalicelib.trading import MarketType, OrderType, PositionSide

_STATUS = {
    "New": OrderStatus.OPEN,
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Untriggered": OrderStatus.OPEN,
    "Triggered": OrderStatus.OPEN,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "PartiallyFilledCanceled": OrderStatus.CANCELLED,
    "Deactivated": OrderStatus.CANCELLED,
    "Rejected": OrderStatus.REJECTED,
}
# Portfolio margin shares the margin of all positions, as cross margin does:
# bybit-exchange.github.io/docs/v5/enum#marginmode.
_MARGIN_MODES = {"ISOLATED_MARGIN": "isolated", "REGULAR_MARGIN": "cross", "PORTFOLIO_MARGIN": "cross"}
_SETTLE_COINS = ("USDT", "USDC")
_PAGE = "50"
_ONE_WAY, _HEDGE = 0, 3
# `positionIdx` 0 is the single position of one-way mode.
_POSITION_SIDES = {"1": PositionSide.LONG, "2": PositionSide.SHORT}


class Bybit:
    """See `ExchangeDialect`. Also Bybit EU, which has spot only.

    Args:
        name: The site, `bybit` or `bybiteu`.
    """

    answers_at_once: ClassVar[bool] = False
    order_weight: ClassVar[int] = 2
    native_oco: ClassVar[bool] = False
    error_rules: ClassVar[Sequence[Meaning]] = codes.BYBIT

    def __init__(self, market_type: MarketType, name: str = "bybit") -> None:
        self.name = name
        self._futures = market_type is MarketType.FUTURES
        self._category = {"category": "linear" if self._futures else "spot"}

    def ccxt_name(self) -> str:
        """See `ExchangeDialect`."""
        return self.name

    def options(self) -> dict[str, Any]:
        """See `ExchangeDialect`.

        Sets the account kind, which ccxt would otherwise query before the first private call.
        """
        kind = "linear" if self._futures else "spot"
        known = {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
        return {"recvWindow": RECEIVE_WINDOW_MS, "fetchMarkets": {"types": [kind]}, **known}

    def use_test_environment(self, client: Any) -> None:
        """Switches to demo trading, api-demo.bybit.com."""
        client.enable_demo_trading(True)

    def parse_error(self, reply: Any) -> tuple[str | None, str]:
        """See `ErrorRules`. Every reply is `{"retCode": 0, "retMsg": "OK", "result": ...}`."""
        if not isinstance(reply, dict) or "retCode" not in reply:
            return ("", "") if isinstance(reply, dict) else (None, "")
        return (
            (None, "")
            if str(reply["retCode"]) == "0"
            else (str(reply["retCode"]), str(reply.get("retMsg", "")))
        )

    def pacing(self, headers: Mapping[str, str]) -> Pacing:
        """See `ErrorRules`. `X-Bapi-Limit-Status` is the rest of this second for this kind of call."""
        named = {name.lower(): value for name, value in headers.items()}
        return Pacing(
            remaining=number(named.get("x-bapi-limit-status")), retry_after=number(named.get("retry-after"))
        )

    def weight(self, method: str, parameters: Parameters) -> int:  # noqa: ARG002  every call weighs the same
        """See `ErrorRules`. Each call counts as one."""
        return 1

    def instrument_name(self, market_id: str) -> str:
        """See `ExchangeDialect`. Bybit's names equal ours, except perpetuals settled in USDC: `BTCPERP`."""
        return (
            f"{market_id.removesuffix('PERP')}USDC"
            if self._futures and market_id.endswith("PERP")
            else market_id
        )

    def place(self, api: Api, order: OrderRequest, listing: Listing) -> OrderState:
        """See `ExchangeDialect`."""
        limit = order.order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        request: dict[str, Any] = {
            **self._market(listing),
            "side": order.side.value.capitalize(),
            "orderType": "Limit" if limit else "Market",
            "qty": text(order.quantity),
            "orderLinkId": order.client_order_id,
        }
        if order.price is not None and limit:
            request["price"] = text(order.price)
        if limit:
            request["timeInForce"] = "PostOnly" if order.post_only else order.time_in_force or "GTC"
        elif not self._futures:
            # Without this field the quantity of a market buy would be an amount of quote currency.
            request["marketUnit"] = "baseCoin"
        if order.stop_price is not None:
            request["triggerPrice"] = text(order.stop_price)
            request |= (
                {"triggerDirection": 1 if order.trigger_above else 2}
                if self._futures
                else {"orderFilter": "StopOrder"}
            )
        if self._futures:
            long = is_about_long(order.side, reduce_only=order.reduce_only)
            request |= {
                "reduceOnly": order.reduce_only,
                "positionIdx": (1 if long else 2) if order.hedged else 0,
            }
        result = api.change("privatePostV5OrderCreate", request)["result"]
        return new_order_state(order, result["orderId"])

    def find(self, api: Api, client_order_id: str, listing: Listing, *, trigger: bool) -> OrderState | None:  # noqa: ARG002  one book
        """See `ExchangeDialect`. Reads open and recent orders first, then the history.

        Orders move into the history after minutes.
        """
        query = {**self._market(listing), "orderLinkId": client_order_id}
        for method in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            rows = api.read(method, query)["result"]["list"]
            if rows:
                return self._state(rows[0], listing)
        return None

    def cancel(self, api: Api, order: OrderState, listing: Listing) -> None:
        """See `ExchangeDialect`. A triggered spot order is an ordinary order and is cancelled as such."""
        request = {**self._market(listing), "orderLinkId": order.client_order_id}
        if not self._futures and order.trigger:
            with contextlib.suppress(Absent):
                api.change("privatePostV5OrderCancel", {**request, "orderFilter": "StopOrder"})
                return
        api.change("privatePostV5OrderCancel", request)

    def cancel_all(self, api: Api, listing: Listing | None) -> None:
        """See `ExchangeDialect`. Futures: all orders of a symbol or settlement coin at once.

        Spot: one kind of order after the other, because the default covers ordinary orders only.
        """
        if listing is not None:
            scopes = [{"symbol": listing.market_id}]
        else:
            scopes = [{"settleCoin": coin} for coin in _SETTLE_COINS] if self._futures else [{}]
        kinds = (
            [{}] if self._futures else [{"orderFilter": kind} for kind in ("Order", "StopOrder", "tpslOrder")]
        )
        for scope in scopes:
            for kind in kinds:
                with contextlib.suppress(Absent):
                    api.change("privatePostV5OrderCancelAll", {**self._category, **scope, **kind})

    def open_orders(self, api: Api, listing: Listing | None, listings: Listings) -> Sequence[OrderState]:
        """See `ExchangeDialect`."""
        if listing is not None:
            scopes = [{"symbol": listing.market_id}]
        else:
            scopes = [{"settleCoin": coin} for coin in _SETTLE_COINS] if self._futures else [{}]
        rows = [
            row
            for scope in scopes
            for row in self._pages(api, "privateGetV5OrderRealtime", {**scope, "openOnly": "0"})
        ]
        known = ((row, listing or listings.get(self.instrument_name(row["symbol"]))) for row in rows)
        # A query for open orders only still returns some that have just ended.
        return [
            state
            for state in (self._state(row, each) for row, each in known if each is not None)
            if not state.status.final
        ]

    def fills(self, api: Api, order: OrderState, listing: Listing) -> Sequence[Fill]:
        """See `ExchangeDialect`. Bybit returns the newest first."""
        rows = self._pages(
            api,
            "privateGetV5ExecutionList",
            {"symbol": listing.market_id, "orderLinkId": order.client_order_id},
        )
        # Funding and settlement are executions too, without an order of ours.
        trades = [
            row
            for row in rows
            if row.get("execType", "Trade") == "Trade" and row["orderLinkId"] == order.client_order_id
        ]
        return [_fill(row, listing) for row in reversed(trades)]

    def trades(self, api: Api, listing: Listing, side: Side, since: datetime) -> Sequence[Trade]:
        """See `ExchangeDialect`."""
        query = {"symbol": listing.market_id, "startTime": str(int(since.timestamp() * 1000))}
        rows = self._pages(api, "privateGetV5ExecutionList", query)
        chosen = [
            row
            for row in rows
            if row.get("execType", "Trade") == "Trade" and row["side"] == side.value.capitalize()
        ]
        return [Trade(row["orderLinkId"], row["orderId"], _fill(row, listing)) for row in reversed(chosen)]

    def balances(self, api: Api) -> Sequence[Balance]:
        """See `ExchangeDialect`. Free is the balance without spot orders and margin.

        For a settlement coin, free is what the account has available.

        All coins of a unified account are margin for its positions. `totalAvailableBalance` is the margin
        balance in USD including unrealised profit and loss, less haircut and initial margin. In isolated
        margin the field is empty, because a position then loses its own margin only. Source: Bybit v5, "Get
        Wallet Balance".
        """
        (account,) = api.read("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"})["result"][
            "list"
        ]
        available = decimal(account.get("totalAvailableBalance"))
        found = []
        for row in account["coin"]:
            total = amount(row["walletBalance"])
            held = sum(
                (amount(row.get(name)) for name in ("locked", "totalOrderIM", "totalPositionIM")), Decimal(0)
            )
            free = total - held
            if available is not None and row["coin"] in _SETTLE_COINS:
                of_account = available / _usd_price(row)
                # Spot pays with the coin itself, which excludes unrealised profit.
                free = of_account if self._futures else min(free, of_account)
            found.append(Balance(row["coin"], max(rounded(free), Decimal(0)), total))
        return [balance for balance in found if balance.total]

    def positions(self, api: Api, listings: Listings) -> Sequence[Position]:
        """See `ExchangeDialect`.

        Sizes are positive and the side marks a short. The margin mode is the account's.
        """
        found = []
        for coin in _SETTLE_COINS:
            for row in self._pages(api, "privateGetV5PositionList", {"settleCoin": coin}):
                size, name = amount(row["size"]), self.instrument_name(row["symbol"])
                if size and listings.get(name):
                    signed = -size if row["side"] == "Sell" else size
                    prices = (
                        positive(row["avgPrice"]),
                        positive(row.get("leverage")),
                        amount(row.get("unrealisedPnl")),
                    )
                    found.append(
                        Position(
                            name,
                            MarketType.FUTURES,
                            signed,
                            *prices,
                            _POSITION_SIDES.get(str(row["positionIdx"])),
                        )
                    )
        return found

    def last_price(self, api: Api, listing: Listing) -> str:
        """See `ExchangeDialect`."""
        return str(
            api.read("publicGetV5MarketTickers", self._market(listing))["result"]["list"][0]["lastPrice"]
        )

    def tickers(self, api: Api) -> Mapping[str, Ticker]:
        """See dialect.ExchangeDialect.

        Source: Bybit v5, "Get Tickers"; without `symbol` all of the category.
        """
        rows = api.read("publicGetV5MarketTickers", self._category)["result"]["list"]
        return tickers_by_name(
            rows, lambda row: self.instrument_name(row["symbol"]), "lastPrice", "highPrice24h", "lowPrice24h"
        )

    def set_position_mode(self, api: Api, listing: Listing, *, hedged: bool) -> None:
        """See `ExchangeDialect`.

        Set per symbol: two positions (1 and 2) in hedge mode, one (0) in one-way mode.
        """
        rows = api.read("privateGetV5PositionList", self._market(listing))["result"]["list"]
        if any(str(row["positionIdx"]) != "0" for row in rows) is not hedged:
            with contextlib.suppress(Already):
                api.change(
                    "privatePostV5PositionSwitchMode",
                    {**self._market(listing), "mode": _HEDGE if hedged else _ONE_WAY},
                )

    def set_margin(
        self,
        api: Api,
        listing: Listing,
        margin_mode: str | None,
        leverage: int | None,
        *,
        hedged: bool,  # noqa: ARG002
    ) -> None:
        """See `ExchangeDialect`. The margin mode is the whole account's, the leverage a symbol's."""
        if margin_mode is not None:
            wanted = {"cross": "REGULAR_MARGIN", "isolated": "ISOLATED_MARGIN"}[margin_mode]
            actual = _MARGIN_MODES.get(api.read("privateGetV5AccountInfo")["result"]["marginMode"], "cross")
            if actual != margin_mode:
                if not api.settings.manage_modes:
                    raise NotDoable(
                        "account_margin_mode_differs", exchange=self.name, actual=actual, wanted=margin_mode
                    )
                with contextlib.suppress(Already):
                    api.change("privatePostV5AccountSetMarginMode", {"setMarginMode": wanted})
        if leverage is not None:
            rows = api.read("privateGetV5PositionList", self._market(listing))["result"]["list"]
            if any(positive(row.get("leverage")) != leverage for row in rows) or not rows:
                both = {"buyLeverage": str(leverage), "sellLeverage": str(leverage)}
                with contextlib.suppress(Already):
                    api.change("privatePostV5PositionSetLeverage", {**self._market(listing), **both})

    def permissions(self, api: Api, credentials: Credentials) -> KeyPermissions:
        """See `ExchangeDialect`.

        Permissions are lists by area: `{"Spot": ["SpotTrade"], "Wallet": ["Withdraw"]}`.
        Demo trading has no key query (bybit-exchange.github.io/docs/v5/demo, "Available API List"), so the
        balance is queried instead.
        """
        if credentials.demo:
            self.balances(api)
            return KeyPermissions(read=True, trade=True, withdraw=False, verified=False)
        result = api.read("privateGetV5UserQueryApi")["result"]
        granted = result["permissions"]
        trade = str(result["readOnly"]) == "0" and bool(
            granted.get("ContractTrade") if self._futures else granted.get("Spot")
        )
        addresses = tuple(address for address in result.get("ips", ()) if address != "*")
        return KeyPermissions(
            read=True, trade=trade, withdraw="Withdraw" in granted.get("Wallet", ()), addresses=addresses
        )

    def _market(self, listing: Listing) -> dict[str, Any]:
        return {**self._category, "symbol": listing.market_id}

    def _pages(self, api: Api, method: str, query: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            result = api.read(method, {**self._category, **query, "limit": _PAGE, **cursor})["result"]
            rows += result["list"]
            if not result.get("nextPageCursor") or not result["list"]:
                return rows
            cursor = {"cursor": result["nextPageCursor"]}

    def _state(self, row: Mapping[str, Any], listing: Listing) -> OrderState:
        trigger = bool(positive(row.get("triggerPrice")))
        limit = row["orderType"] == "Limit"
        filled = amount(row["cumExecQty"])
        side = Side(row["side"].lower())
        return OrderState(
            client_order_id=row["orderLinkId"],
            exchange_order_id=row["orderId"],
            status=_STATUS[row["orderStatus"]],
            instrument_name=listing.instrument.name,
            side=side,
            order_type=(OrderType.STOP_LIMIT if limit else OrderType.STOP_MARKET)
            if trigger
            else OrderType.LIMIT
            if limit
            else OrderType.MARKET,
            quantity=Decimal(row["qty"]),
            filled=filled,
            average_price=positive(row.get("avgPrice")),
            price=positive(row["price"]) if limit else None,
            stop_price=positive(row.get("triggerPrice")),
            fee=amount(row.get("cumExecFee")) if filled else None,
            fee_currency=_fee_currency(row, listing) if filled else None,
            trigger=trigger,
            updated_at=moment(row.get("updatedTime")),
        )


def _fill(row: Mapping[str, Any], listing: Listing) -> Fill:
    price, quantity = Decimal(row["execPrice"]), Decimal(row["execQty"])
    return Fill(
        row["execId"],
        price,
        quantity,
        amount(row["execFee"]),
        _fee_currency(row, listing),
        moment(row["execTime"]),
    )


def _fee_currency(row: Mapping[str, Any], listing: Listing) -> str:
    """Returns the currency of a fee.

    It is taken from the received asset: the base of a spot buy, else the quote.
    """
    if row.get("feeCurrency"):
        return str(row["feeCurrency"])
    spot_purchase = listing.instrument.market_type is MarketType.SPOT and row["side"] == "Buy"
    return listing.instrument.base if spot_purchase else listing.instrument.quote


def _usd_price(row: Mapping[str, Any]) -> Decimal:
    """Returns a coin's price in USD from the account's own balance of it. 1 if the balance is zero."""
    value, equity = positive(row.get("usdValue")), positive(row.get("equity"))
    return value / equity if value and equity else Decimal(1)
