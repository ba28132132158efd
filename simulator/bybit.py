"""Bybit v5, unified account, spot and linear: bybit-exchange.github.io/docs/v5."""

import hashlib
import hmac
from decimal import Decimal
from typing import Any

from simulator.engine import Account, Engine, Fill, Order, Reject
from simulator.instruments import FUTURES, SPOT, Book
from simulator.limits import Limits
from simulator.messages import Answer, ApiError, Request, number, text

_REJECTS = {
    "symbol": ("170121", "Invalid symbol."),
    "lot": ("170137", "Order volume decimal too long."),
    "minimum": ("170136", "Order quantity exceeded lower limit."),
    "maximum": ("170135", "Order quantity exceeded upper limit."),
    "market_maximum": ("170135", "Order quantity exceeded upper limit."),
    "tick": ("170134", "Order price decimal too long."),
    "notional": ("170140", "Order value exceeded lower limit."),
    "funds": ("170131", "Balance insufficient."),
    "duplicate": ("170141", "Duplicate clientOrderId"),
    "gone": ("170213", "Order does not exist."),
}
_LINEAR_REJECTS = {
    "symbol": ("10001", "params error: symbol invalid"),
    "lot": ("10001", "Qty invalid"),
    "minimum": ("10001", "The number of contracts exceeds minimum limit allowed"),
    "maximum": ("10001", "The number of contracts exceeds maximum limit allowed"),
    # As reported by pybit#284: the same code above `maxMktOrderQty`.
    "market_maximum": ("10001", "The number of contracts exceeds maximum limit allowed: too large"),
    "tick": ("10001", "params error: price invalid"),
    "notional": ("110094", "Order does not meet minimum order value 5USDT"),
    "funds": ("110007", "ab not enough for new order"),
    "duplicate": ("110072", "OrderLinkedID is duplicate"),
    "would_trigger": ("110092", "expect Rising, but trigger_price <= current"),
    "reduce_only": ("110017", "current position is zero, cannot fix reduce-only order qty"),
    "position_mode": ("10001", "position idx not match position mode"),
    "mode_locked": ("110024", "You have an existing position, so the position mode cannot be switched"),
    "locked": ("3400045", "Set margin mode failed"),
    "gone": ("110001", "order not exists or too late to cancel"),
}
_STATUS = {
    "untriggered": "Untriggered",
    "open": "New",
    "partial": "PartiallyFilled",
    "filled": "Filled",
    "cancelled": "Cancelled",
    "rejected": "Rejected",
}
# Calls per second and account, by path and market.
_LIMITS = {
    "/v5/order/create": {SPOT: 20, FUTURES: 10},
    "/v5/order/cancel": {SPOT: 20, FUTURES: 10},
    "/v5/order/cancel-all": {SPOT: 20, FUTURES: 10},
    "/v5/position/set-leverage": {SPOT: 10, FUTURES: 10},
}
_READS_PER_SECOND = 50


def failed(code: str, message: str) -> Answer:
    """Bybit reports errors with HTTP 200."""
    return Answer({"retCode": int(code), "retMsg": message, "result": {}, "retExtInfo": {}, "time": 0})


class Bybit:
    """Answers calls to api.bybit.com and api-demo.bybit.com."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits

    def api_key(self, request: Request) -> str:
        return request.headers.get("x-bapi-api-key", "")

    def duplicate(self, request: Request) -> Answer:
        return failed(*(_REJECTS if '"spot"' in request.body else _LINEAR_REJECTS)["duplicate"])

    def too_many(self, request: Request) -> Answer:
        return Answer({"retCode": 10006, "retMsg": "Too many visits!", "result": {}}, 429)

    def handle(self, request: Request) -> Answer:
        allowed, _, _ = self._limits.take("address", "bybit-calls", 600, 5)
        if not allowed:
            return Answer("403, access too frequent", 403)
        given = request.json if request.method == "POST" else request.parameters
        market = SPOT if given.get("category") == "spot" else FUTURES
        headers: dict[str, str] = {}
        try:
            result = self._route(request, market, given, headers)
        except Reject as reject:
            answer = failed(*(_REJECTS if market == SPOT else _LINEAR_REJECTS)[reject.kind])
        except ApiError as failure:
            answer = failure.answer
        else:
            answer = Answer(
                {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": self._engine.now()}
            )
        answer.headers.update(headers)
        return answer

    def _route(self, request: Request, market: str, given: dict[str, Any], headers: dict[str, str]) -> Any:
        if request.path == "/v5/market/instruments-info":
            books = [
                book
                for (exchange, kind, _), book in self._engine.books.items()
                if (exchange, kind) == ("bybit", market)
            ]
            listed = [] if given.get("status") == "PreLaunch" else [_listed(book) for book in books]
            return {"category": given["category"], "list": listed, "nextPageCursor": ""}
        if request.path == "/v5/market/tickers":
            # bybit-exchange.github.io/docs/v5/market/tickers: `category` is required, `symbol` is not for
            # spot and linear.
            if given.get("category") not in {"spot", "linear"}:
                raise ApiError(failed("10001", "params error: category invalid"))
            if "symbol" in given:
                books = [self._engine.book("bybit", market, given["symbol"])]
            else:
                books = [book for key, book in self._engine.books.items() if key[:2] == ("bybit", market)]
            return {"category": given["category"], "list": [_ticker(book) for book in books]}
        account = self._authenticate(request)
        if "demo" in request.host and request.path == "/v5/user/query-api":
            # bybit-exchange.github.io/docs/v5/demo, "Available API List": the key query is not among them.
            raise ApiError(failed("10032", "Demo trading are not supported."))
        self._count(account, request.path, market, headers)
        handler = getattr(
            self, "_" + request.path.removeprefix("/v5/").replace("/", "_").replace("-", "_"), None
        )
        if handler is None:
            raise ApiError(Answer("404 page not found", 404))
        return handler(account, market, given)

    def _authenticate(self, request: Request) -> Account:
        headers = request.headers
        account = self._engine.accounts.get(("bybit", self.api_key(request)))
        if account is None:
            raise ApiError(failed("10003", "API key is invalid."))
        stamp, window = headers["x-bapi-timestamp"], headers.get("x-bapi-recv-window", "5000")
        signed = stamp + account.key + window + (request.body if request.method == "POST" else request.query)
        wanted = hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, headers.get("x-bapi-sign", "")):
            raise ApiError(failed("10004", f"error sign! origin_string[{signed}]"))
        age = self._engine.now() - int(stamp)
        if age > int(window) or age < -1000:
            raise ApiError(
                failed("10002", "invalid request, please check your server timestamp or recv_window param.")
            )
        if request.method == "POST" and "trade" not in account.permissions:
            raise ApiError(failed("10005", "Permission denied, please check your API key permissions."))
        return account

    def _count(self, account: Account, path: str, market: str, headers: dict[str, str]) -> None:
        limit = _LIMITS.get(path, {}).get(market, _READS_PER_SECOND)
        allowed, count, wait = self._limits.take(account.key, f"bybit-{path}-{market}", limit, 1)
        reset = self._engine.now() + int(wait * 1000)
        headers |= {
            "X-Bapi-Limit": str(limit),
            "X-Bapi-Limit-Status": str(max(limit - count, 0)),
            "X-Bapi-Limit-Reset-Timestamp": str(reset),
        }
        if not allowed:
            raise ApiError(failed("10006", "Too many visits. Exceeded the API Rate Limit."))

    # Orders

    def _order_create(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        book = self._engine.book("bybit", market, given["symbol"])
        client_id = given.get("orderLinkId", "")
        if client_id and self._engine.by_client(account, market, client_id):
            # Client ids are unique for ever, ended orders included.
            raise Reject("duplicate")
        limit = given["orderType"] == "Limit"
        side = given["side"].lower()
        quantity = Decimal(given["qty"])
        if market == SPOT and not limit and side == "buy" and given.get("marketUnit") != "baseCoin":
            quantity = (quantity / book.last) // book.step * book.step
        stop = number(given.get("triggerPrice"))
        above = stop is not None and (
            given["triggerDirection"] == 1 if market == FUTURES else stop > book.last
        )
        order = Order(
            id=0,
            account=account,
            book=book,
            client_id=client_id,
            side=side,
            quantity=quantity,
            price=Decimal(given["price"]) if limit else None,
            stop=stop,
            above=above,
            tif="GTC" if given.get("timeInForce", "GTC") == "PostOnly" else given.get("timeInForce", "GTC"),
            post_only=given.get("timeInForce") == "PostOnly",
            reduce_only=bool(given.get("reduceOnly")),
            position={1: "long", 2: "short"}.get(int(given.get("positionIdx", 0)), "net"),
            kind=given.get("orderFilter", "Order"),
        )
        self._engine.place(order)
        return {"orderId": str(order.id), "orderLinkId": order.client_id}

    def _order_cancel(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        client_id = given.get("orderLinkId")
        order = (
            self._engine.by_client(account, market, client_id)
            if client_id
            else self._engine.by_id(account, given["orderId"])
        )
        waits = order is not None and order.status == "untriggered"
        if order is None or (market == SPOT and waits != (given.get("orderFilter", "Order") == "StopOrder")):
            raise Reject("gone")
        self._engine.cancel(order)
        return {"orderId": str(order.id), "orderLinkId": order.client_id}

    def _order_cancel_all(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        if market == FUTURES and not given.get("symbol") and not given.get("settleCoin"):
            raise ApiError(failed("10001", "params error: symbol, settleCoin or baseCoin needed"))
        chosen = [
            each
            for each in account.open_orders(market, given.get("symbol"))
            if given.get("settleCoin") in {None, each.book.quote}
        ]
        if market == SPOT:
            wanted = given.get("orderFilter", "Order")
            chosen = [
                each
                for each in chosen
                if ("StopOrder" if each.status == "untriggered" else "Order") == wanted
            ]
        for order in chosen:
            self._engine.cancel(order)
        return {
            "list": [{"orderId": str(each.id), "orderLinkId": each.client_id} for each in chosen],
            "success": "1",
        }

    def _order_realtime(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        if market == FUTURES and not given.get("symbol") and not given.get("settleCoin"):
            raise ApiError(failed("10001", "params error: symbol, settleCoin or baseCoin needed"))
        if "orderLinkId" in given or "orderId" in given:
            found = [
                each
                for each in self._asked(account, market, given)
                if each.book.name == given.get("symbol", each.book.name)
            ]
        else:
            found = account.open_orders(market, given.get("symbol"))
        found = [each for each in found if given.get("settleCoin") in {None, each.book.quote}]
        return self._page([_report(each) for each in found], given)

    def _order_history(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        return self._page([_report(each) for each in self._asked(account, market, given)], given)

    def _asked(self, account: Account, market: str, given: dict[str, Any]) -> list[Order]:
        client_id = given.get("orderLinkId")
        order = (
            self._engine.by_client(account, market, client_id)
            if client_id
            else self._engine.by_id(account, given.get("orderId", ""))
        )
        return [] if order is None else [order]

    def _execution_list(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        fills = [fill for order in account.orders if order.book.market == market for fill in order.fills]
        wanted = [
            each
            for each in fills
            if given.get("orderLinkId") in {None, each.order.client_id}
            and given.get("symbol") in {None, each.order.book.name}
            and each.at >= int(given.get("startTime", 0))
        ]
        return self._page([_trade(each) for each in reversed(wanted)], given)

    def _page(self, rows: list[Any], given: dict[str, Any]) -> Any:
        start, size = int(given.get("cursor") or 0), int(given.get("limit", 20))
        following = str(start + size) if start + size < len(rows) else ""
        return {
            "category": given.get("category"),
            "list": rows[start : start + size],
            "nextPageCursor": following,
        }

    # The account

    def _account_wallet_balance(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        coins = []
        # bybit-exchange.github.io/docs/v5/account/wallet-balance: in USD, empty in isolated margin. Other
        # coins count as zero here.
        isolated = account.margin_mode == "isolated"
        available = "" if isolated else text(self._engine.free(account, FUTURES, "USDT"))
        for currency, total in account.wallet(SPOT).items():
            locked = self._engine.held(account, SPOT, currency)
            margin = self._engine.margin_used(account) if currency == "USDT" else Decimal(0)
            coins.append(
                {
                    "coin": currency,
                    "walletBalance": text(total),
                    "equity": text(total),
                    "locked": text(locked),
                    "totalPositionIM": text(margin),
                    "totalOrderIM": "0",
                    "availableToWithdraw": "",
                }
            )
        return {"list": [{"accountType": "UNIFIED", "totalAvailableBalance": available, "coin": coins}]}

    def _account_info(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        return {
            "unifiedMarginStatus": 5,
            "marginMode": {"cross": "REGULAR_MARGIN", "isolated": "ISOLATED_MARGIN"}[account.margin_mode],
        }

    def _account_set_margin_mode(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        if any(position.quantity for position in account.positions.values()):
            raise Reject("locked")
        account.margin_mode = {"REGULAR_MARGIN": "cross", "ISOLATED_MARGIN": "isolated"}[
            given["setMarginMode"]
        ]
        return {"reasons": []}

    def _position_list(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        if given.get("symbol"):
            hedged = account.is_hedged(given["symbol"])
            keys = [(given["symbol"], side) for side in (("long", "short") if hedged else ("net",))]
        else:
            keys = [
                key
                for key, position in account.positions.items()
                if position.quantity and given["settleCoin"] == "USDT"
            ]
        rows = []
        for name, side in keys:
            position = account.position(name, side)
            rows.append(
                {
                    "symbol": name,
                    "positionIdx": {"net": 0, "long": 1, "short": 2}[side],
                    "side": "Buy" if position.quantity > 0 else "Sell" if position.quantity < 0 else "",
                    "size": text(abs(position.quantity)),
                    "avgPrice": text(position.entry),
                    "leverage": str(account.leverage.get(name, 10)),
                    "unrealisedPnl": text(self._engine.profit(account, name, side)),
                }
            )
        return self._page(rows, given)

    def _position_set_leverage(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        leverage = int(given["buyLeverage"])
        if not 1 <= leverage <= 100:
            raise ApiError(failed("110013", "cannot set leverage due to risk limit"))
        if account.leverage.get(given["symbol"], 10) == leverage:
            raise ApiError(failed("110043", "leverage not modified"))
        account.leverage[given["symbol"]] = leverage
        return {}

    def _position_switch_mode(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        name, wanted = given["symbol"], given["mode"] == 3
        if account.is_hedged(name) == wanted:
            raise ApiError(failed("110025", "Position mode is not modified"))
        if account.open_orders(FUTURES, name) or any(
            each.quantity for (symbol, _), each in account.positions.items() if symbol == name
        ):
            raise Reject("mode_locked")
        account.hedged_symbols[name] = wanted
        return {}

    def _user_query_api(self, account: Account, market: str, given: dict[str, Any]) -> Any:
        may = account.permissions
        trade = ["SpotTrade"] if "trade" in may else []
        wallet = ["AccountTransfer", *(["Withdraw"] if "withdraw" in may else [])]
        permissions = {
            "ContractTrade": ["Order", "Position"] if trade else [],
            "Spot": trade,
            "Wallet": wallet,
        }
        return {"readOnly": 0 if trade else 1, "permissions": permissions, "ips": ["*"]}


def _report(order: Order) -> dict[str, Any]:
    partly = order.status == "cancelled" and order.filled and order.book.market == SPOT
    stopped = order.status == "cancelled" and order.stop is not None and not order.filled
    return {
        "orderId": str(order.id),
        "orderLinkId": order.client_id,
        "symbol": order.book.name,
        "side": order.side.capitalize(),
        "orderType": "Limit" if order.price else "Market",
        "qty": text(order.quantity),
        "price": text(order.price or Decimal(0)),
        "triggerPrice": text(order.stop),
        "orderStatus": "PartiallyFilledCanceled"
        if partly
        else "Deactivated"
        if stopped
        else _STATUS[order.status],
        "cumExecQty": text(order.filled),
        "cumExecValue": text(order.cost),
        "cumExecFee": text(order.fee),
        "avgPrice": text(order.average),
        "reduceOnly": order.reduce_only,
        "positionIdx": {"net": 0, "long": 1, "short": 2}[order.position],
        "orderFilter": order.kind,
        "createdTime": str(order.created),
        "updatedTime": str(order.updated),
    }


def _trade(fill: Fill) -> dict[str, Any]:
    return {
        "execId": str(fill.id),
        "orderId": str(fill.order.id),
        "orderLinkId": fill.order.client_id,
        "symbol": fill.order.book.name,
        "side": fill.order.side.capitalize(),
        "execType": "Trade",
        "execPrice": text(fill.price),
        "execQty": text(fill.quantity),
        "execFee": text(fill.fee),
        "feeCurrency": fill.fee_currency if fill.order.book.market == SPOT else "",
        "execTime": str(fill.at),
        "isMaker": fill.maker,
    }


def _ticker(book: Book) -> dict[str, str]:
    return {
        "symbol": book.name,
        "lastPrice": text(book.last),
        "highPrice24h": text(book.high),
        "lowPrice24h": text(book.low),
    }


def _listed(book: Book) -> dict[str, Any]:
    row = {
        "symbol": book.name,
        "baseCoin": book.base,
        "quoteCoin": book.quote,
        "status": "Trading",
        "priceFilter": {"tickSize": text(book.tick)},
    }
    lot = {"minOrderQty": text(book.minimum), "maxOrderQty": text(book.maximum)}
    # bybit-exchange.github.io/docs/v5/market/instrument: `maxMktOrderQty` of linear. Spot uses the other
    # name.
    lot |= {
        "maxMarketOrderQty" if book.market == SPOT else "maxMktOrderQty": text(
            book.market_maximum or book.maximum
        )
    }
    if book.market == SPOT:
        lot |= {
            "basePrecision": text(book.step),
            "quotePrecision": "0.00000001",
            "minOrderAmt": text(book.notional),
            "maxOrderAmt": "9000000",
        }
        return row | {"lotSizeFilter": lot, "marginTrading": "none", "innovation": "0"}
    lot |= {"qtyStep": text(book.step), "minNotionalValue": text(book.notional)}
    leverage = {"minLeverage": "1", "maxLeverage": "100", "leverageStep": "0.01"}
    linear = {
        "contractType": "LinearPerpetual",
        "settleCoin": book.quote,
        "launchTime": "1584230400000",
        "deliveryTime": "0",
        "priceScale": "2",
    }
    return row | linear | {"lotSizeFilter": lot, "leverageFilter": leverage}
