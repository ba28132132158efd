"""OKX v5, SPOT and SWAP: okx.com/docs-v5."""

import base64
import hashlib
import hmac
from datetime import datetime
from decimal import Decimal
from typing import Any

from simulator.engine import Account, Engine, Fill, Order, Reject
from simulator.instruments import FUTURES, SPOT, Book
from simulator.limits import Limits
from simulator.messages import Answer, ApiError, Request, number, text

_REJECTS = {
    "symbol": ("51001", "Instrument ID does not exist."),
    "lot": ("51121", "Order quantity must be a multiple of the lot size."),
    "minimum": ("51020", "Your order should meet or exceed the minimum order amount."),
    "maximum": ("51202", "Market order amount exceeds the maximum amount."),
    # okx.com/docs-v5, "Error Code": 51202, above `maxMktSz`.
    "market_maximum": ("51202", "Market order amount exceeds the maximum amount."),
    "tick": ("51006", "Order price is not within the price limit."),
    "notional": ("51020", "Your order should meet or exceed the minimum order amount."),
    "funds": ("51008", "Order failed. Insufficient USDT balance in account"),
    "duplicate": ("51016", "Client order ID already exists."),
    "reduce_only": (
        "51169",
        "Order failed because you don't have any positions in this direction to reduce or close.",
    ),
    "account_mode": ("51010", "You can't complete this request under your current account mode."),
    "position_mode": ("51000", "Parameter posSide error"),
    "gone": ("51400", "Cancellation failed as the order has been filled, canceled or does not exist."),
    "mode_locked": (
        "59000",
        "Setting failed. Cancel any open orders, close positions, and stop trading bots first.",
    ),
}
# Calls per 2 s, by path; those for orders count per instrument.
_LIMITS = {
    "/api/v5/trade/order": 60,
    "/api/v5/trade/cancel-order": 60,
    "/api/v5/trade/order-algo": 20,
    "/api/v5/trade/cancel-algos": 20,
    "/api/v5/account/balance": 10,
    "/api/v5/account/positions": 10,
    "/api/v5/account/config": 5,
    "/api/v5/account/leverage-info": 20,
    "/api/v5/account/set-leverage": 20,
    "/api/v5/account/set-position-mode": 5,
    "/api/v5/trade/fills-history": 10,
}
_OTHERS_PER_2_S = 60
_PRICES_PER_2_S = 20  # by address
_ORDERS_PER_2_S = 1000


def failed(code: str, message: str, status: int = 200) -> ApiError:
    return ApiError(Answer({"code": code, "msg": message, "data": []}, status))


class Okx:
    """Answers calls to www.okx.com."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits

    def api_key(self, request: Request) -> str:
        return request.headers.get("ok-access-key", "")

    def duplicate(self, request: Request) -> Answer:
        return _item_failed("duplicate")

    def too_many(self, request: Request) -> Answer:
        return Answer({"code": "50011", "msg": "Too Many Requests", "data": []}, 429)

    def handle(self, request: Request) -> Answer:
        try:
            return Answer({"code": "0", "msg": "", "data": self._route(request)})
        except Reject as reject:
            return _item_failed(reject.kind)
        except ApiError as failure:
            return failure.answer

    def _route(self, request: Request) -> Any:
        given = request.json if request.method == "POST" else request.parameters
        if request.path == "/api/v5/public/instruments":
            market = {"SPOT": SPOT, "SWAP": FUTURES}.get(given["instType"])
            return [
                _listed(book)
                for (exchange, kind, _), book in self._engine.books.items()
                if (exchange, kind) == ("okx", market)
            ]
        if request.path == "/api/v5/market/ticker":
            allowed, _, _ = self._limits.take("address", "okx-prices", _PRICES_PER_2_S, 2)
            if not allowed:
                raise failed("50011", "Too Many Requests", 429)
            book = self._book(given["instId"])
            return [{"instId": given["instId"], "last": text(book.last), "ts": str(self._engine.now())}]
        if request.path == "/api/v5/market/tickers":
            # www.okx.com/docs-v5, "Get tickers": 20 calls in 2 s by address, instType required.
            allowed, _, _ = self._limits.take("address", "okx-tickers", 20, 2)
            if not allowed:
                raise failed("50011", "Too Many Requests", 429)
            if given.get("instType") not in {"SPOT", "SWAP", "FUTURES", "OPTION"}:
                raise failed("51000", "Parameter instType error", 400)
            market = {"SPOT": SPOT, "SWAP": FUTURES}.get(given["instType"], "")
            return [
                _ticker(book, given["instType"], self._engine.now())
                for key, book in self._engine.books.items()
                if key[:2] == ("okx", market)
            ]
        account = self._authenticate(request)
        self._count(account, request.path, request.method, given)
        if "exptime" in request.headers and int(request.headers["exptime"]) < self._engine.now():
            raise failed("50036", "The expTime can't be earlier than the current system time.")
        name = (
            f"_{request.method}_{request.path.removeprefix('/api/v5/')}".lower()
            .replace("/", "_")
            .replace("-", "_")
        )
        handler = getattr(self, name, None)
        if handler is None:
            raise ApiError(Answer({"code": "404", "msg": f"the simulator knows no {name}", "data": []}, 404))
        return handler(account, given)

    def _authenticate(self, request: Request) -> Account:
        headers = request.headers
        account = self._engine.accounts.get(("okx", self.api_key(request)))
        if account is None:
            raise failed("50111", "Invalid OK-ACCESS-KEY", 401)
        if headers.get("ok-access-passphrase") != account.passphrase:
            raise failed("50105", "OK-ACCESS-PASSPHRASE incorrect", 401)
        stamp = headers["ok-access-timestamp"]
        signed = (
            stamp
            + request.method
            + request.path
            + (f"?{request.query}" if request.query else "")
            + request.body
        )
        wanted = base64.b64encode(
            hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).digest()
        ).decode()
        if not hmac.compare_digest(wanted, headers.get("ok-access-sign", "")):
            raise failed("50113", "Invalid Sign", 401)
        if abs(self._engine.now() - datetime.fromisoformat(stamp).timestamp() * 1000) > 30_000:
            raise failed("50102", "Timestamp request expired", 401)
        if request.method == "POST" and "trade" not in account.permissions:
            raise failed("50120", "This API key doesn't have permission to use this function", 401)
        return account

    def _count(self, account: Account, path: str, method: str, given: Any) -> None:
        instrument = given.get("instId", "") if isinstance(given, dict) and "/trade/" in path else ""
        allowed, _, _ = self._limits.take(
            account.key, f"okx-{method}-{path}-{instrument}", _LIMITS.get(path, _OTHERS_PER_2_S), 2
        )
        if not allowed:
            raise failed("50011", "Too Many Requests", 429)
        if method == "POST" and path in {"/api/v5/trade/order", "/api/v5/trade/order-algo"}:
            allowed, _, _ = self._limits.take(account.key, "okx-orders", _ORDERS_PER_2_S, 2)
            if not allowed:
                raise failed("50061", "The maximum sub-account request rate has been exceeded.", 429)

    def _book(self, instrument: str) -> Book:
        market = FUTURES if instrument.endswith("-SWAP") else SPOT
        return self._engine.book("okx", market, instrument.removesuffix("-SWAP").replace("-", ""))

    # Orders

    def _post_trade_order(self, account: Account, given: dict[str, Any]) -> Any:
        limit = given["ordType"] != "market"
        order = self._order(
            account, given, given.get("clOrdId", ""), number(given.get("px")) if limit else None
        )
        order.tif = {"ioc": "IOC", "fok": "FOK"}.get(given["ordType"], "GTC")
        order.post_only = given["ordType"] == "post_only"
        self._refuse_duplicate(order)
        self._engine.place(order)
        return [
            {
                "ordId": str(order.id),
                "clOrdId": order.client_id,
                "tag": "",
                "sCode": "0",
                "sMsg": "",
                "ts": str(order.created),
            }
        ]

    def _post_trade_order_algo(self, account: Account, given: dict[str, Any]) -> Any:
        price = None if given["orderPx"] == "-1" else number(given["orderPx"])
        order = self._order(account, given, given.get("algoClOrdId", ""), price)
        order.algo, order.stop = True, number(given["triggerPx"])
        order.above = order.stop > order.book.last
        self._refuse_duplicate(order)
        self._engine.place(order)
        return [
            {"algoId": str(order.id), "algoClOrdId": order.client_id, "sCode": "0", "sMsg": "", "tag": ""}
        ]

    def _order(self, account: Account, given: dict[str, Any], client_id: str, price: Decimal | None) -> Order:
        book = self._book(given["instId"])
        if account.level == "1" and book.market == FUTURES:
            raise Reject("account_mode")
        # okx.com/docs-v5, "Place order", tdMode: `cash` is the mode without margin. If all currencies share
        # one margin pool (levels 3 and 4), spot orders are `cross`.
        spot_mode = "cross" if account.level in {"3", "4"} else "cash"
        if given["tdMode"] not in ({spot_mode} if book.market == SPOT else {"cross", "isolated"}):
            raise ApiError(
                Answer(
                    {"code": "1", "msg": "", "data": [{"sCode": "51000", "sMsg": "Parameter tdMode error"}]}
                )
            )
        quantity = Decimal(given["sz"]) * book.contract
        if (
            book.market == SPOT
            and price is None
            and given["side"] == "buy"
            and given.get("tgtCcy") != "base_ccy"
        ):
            quantity = (quantity / book.last) // book.step * book.step
        return Order(
            id=0,
            account=account,
            book=book,
            client_id=client_id,
            side=given["side"],
            quantity=quantity,
            price=price,
            reduce_only=given.get("reduceOnly") in {True, "true"},
            position={"long": "long", "short": "short"}.get(given.get("posSide", "net"), "net"),
            margin_mode=given["tdMode"],
            kind=given["ordType"],
        )

    def _refuse_duplicate(self, order: Order) -> None:
        """Refuses a duplicate client id. An id is free again after the end of its order."""
        known = self._engine.by_client(order.account, order.book.market, order.client_id, algo=order.algo)
        if order.client_id and known is not None and known.open:
            raise Reject("duplicate")

    def _get_trade_order(self, account: Account, given: dict[str, str]) -> Any:
        return [_report(self._named(account, given, "clOrdId", "ordId", algo=False))]

    def _get_trade_order_algo(self, account: Account, given: dict[str, str]) -> Any:
        return [_algo_report(self._named(account, given, "algoClOrdId", "algoId", algo=True))]

    def _named(
        self, account: Account, given: dict[str, str], client: str, exchange: str, *, algo: bool
    ) -> Order:
        if given.get(client):
            markets = [self._book(given["instId"]).market] if "instId" in given else [SPOT, FUTURES]
            found = next(
                (
                    each
                    for market in markets
                    if (each := self._engine.by_client(account, market, given[client], algo=algo))
                ),
                None,
            )
        else:
            found = self._engine.by_id(account, given.get(exchange, ""), algo=algo)
        if found is None:
            raise failed("51603", "Order does not exist")
        return found

    def _post_trade_cancel_order(self, account: Account, given: dict[str, Any]) -> Any:
        return [self._cancel(account, given, "clOrdId", "ordId", algo=False)]

    def _post_trade_cancel_batch_orders(self, account: Account, given: list[dict[str, Any]]) -> Any:
        return self._cancel_many(account, given, "clOrdId", "ordId", algo=False)

    def _post_trade_cancel_algos(self, account: Account, given: list[dict[str, Any]]) -> Any:
        return self._cancel_many(account, given, "algoClOrdId", "algoId", algo=True)

    def _cancel(
        self, account: Account, given: dict[str, Any], client: str, exchange: str, *, algo: bool
    ) -> dict[str, Any]:
        try:
            order = self._named(account, given, client, exchange, algo=algo)
        except ApiError:
            raise Reject("gone") from None
        self._engine.cancel(order)
        return {exchange: str(order.id), client: order.client_id, "sCode": "0", "sMsg": ""}

    def _cancel_many(
        self, account: Account, given: list[dict[str, Any]], client: str, exchange: str, *, algo: bool
    ) -> Any:
        done, refused = [], []
        for each in given:
            try:
                done.append(self._cancel(account, each, client, exchange, algo=algo))
            except Reject as reject:
                code, message = _REJECTS[reject.kind]
                refused.append({exchange: each.get(exchange, ""), "sCode": code, "sMsg": message})
        if refused:
            raise ApiError(Answer({"code": "2" if done else "1", "msg": "", "data": done + refused}))
        return done

    def _get_trade_orders_pending(self, account: Account, given: dict[str, str]) -> Any:
        return self._page(
            [_report(each) for each in self._open(account, given) if not each.algo], given, "ordId"
        )

    def _get_trade_orders_algo_pending(self, account: Account, given: dict[str, str]) -> Any:
        kinds = given["ordType"].split(",")
        return self._page(
            [_algo_report(each) for each in self._open(account, given) if each.algo and each.kind in kinds],
            given,
            "algoId",
        )

    def _open(self, account: Account, given: dict[str, str]) -> list[Order]:
        market = {"SPOT": SPOT, "SWAP": FUTURES}[given["instType"]]
        return account.open_orders(market, self._book(given["instId"]).name if given.get("instId") else None)

    def _page(self, rows: list[Any], given: dict[str, str], key: str) -> list[Any]:
        """Returns a page, newest first, after (older than) an id."""
        rows = sorted(rows, key=lambda row: -int(row[key]))
        older = [row for row in rows if "after" not in given or int(row[key]) < int(given["after"])]
        return older[: int(given.get("limit", 100))]

    def _get_trade_fills_history(self, account: Account, given: dict[str, str]) -> Any:
        orders = [each for each in account.orders if given.get("ordId") in {None, str(each.id)}]
        wanted = [each for each in orders if given.get("instId") in {None, _id(each.book)}]
        fills = [
            fill
            for order in reversed(wanted)
            for fill in reversed(order.fills)
            if fill.at >= int(given.get("begin", 0))
        ]
        return [_trade(fill) for fill in fills[: int(given.get("limit", 100))]]

    # The account

    def _get_account_balance(self, account: Account, given: dict[str, str]) -> Any:
        details = []
        for currency, total in account.wallet(SPOT).items():
            free = text(self._engine.free(account, SPOT, currency))
            details.append(
                {
                    "ccy": currency,
                    "cashBal": text(total),
                    "availBal": free,
                    "availEq": free,
                    "eq": text(total),
                }
            )
        return [{"details": details, "totalEq": "", "uTime": str(self._engine.now())}]

    def _get_account_positions(self, account: Account, given: dict[str, str]) -> Any:
        rows = []
        for (name, side), position in account.positions.items():
            book = self._engine.books["okx", FUTURES, name]
            pos_side, _, mode = side.partition("-")
            contracts = position.quantity / book.contract
            rows.append(
                {
                    "instId": _id(book),
                    "instType": "SWAP",
                    "posSide": pos_side,
                    "pos": text(contracts if pos_side == "net" else abs(contracts)),
                    "avgPx": text(position.entry) if position.quantity else "",
                    "lever": str(account.leverage.get(name, 10)),
                    "upl": text(self._engine.profit(account, name, side)),
                    "mgnMode": mode or "cross",
                }
            )
        return rows

    def _get_account_config(self, account: Account, given: dict[str, str]) -> Any:
        granted = {"read": "read_only", "trade": "trade", "withdraw": "withdraw"}
        mode = "long_short_mode" if account.hedged else "net_mode"
        perm = ",".join(granted[each] for each in sorted(account.permissions))
        return [{"posMode": mode, "acctLv": account.level, "perm": perm, "ip": ""}]

    def _post_account_set_position_mode(self, account: Account, given: dict[str, str]) -> Any:
        if account.open_orders(FUTURES) or any(position.quantity for position in account.positions.values()):
            raise failed(*_REJECTS["mode_locked"])
        account.hedged = given["posMode"] == "long_short_mode"
        return [{"posMode": given["posMode"]}]

    def _get_account_leverage_info(self, account: Account, given: dict[str, str]) -> Any:
        sides = ["long", "short"] if account.hedged and given["mgnMode"] == "isolated" else ["net"]
        lever = str(account.leverage.get(self._book(given["instId"]).name, 10))
        return [
            {"instId": given["instId"], "mgnMode": given["mgnMode"], "posSide": side, "lever": lever}
            for side in sides
        ]

    def _post_account_set_leverage(self, account: Account, given: dict[str, str]) -> Any:
        leverage = int(given["lever"])
        if not 1 <= leverage <= 100:
            raise failed("59102", "Leverage exceeds the maximum leverage")
        account.leverage[self._book(given["instId"]).name] = leverage
        return [
            {
                "instId": given["instId"],
                "lever": given["lever"],
                "mgnMode": given["mgnMode"],
                "posSide": given.get("posSide", ""),
            }
        ]


def _item_failed(kind: str) -> Answer:
    code, message = _REJECTS[kind]
    return Answer(
        {
            "code": "1",
            "msg": "All operations failed",
            "data": [{"ordId": "", "clOrdId": "", "sCode": code, "sMsg": message}],
        }
    )


def _id(book: Book) -> str:
    return f"{book.base}-{book.quote}" + ("-SWAP" if book.market == FUTURES else "")


def _report(order: Order) -> dict[str, Any]:
    status = {"open": "live", "partial": "partially_filled", "filled": "filled", "cancelled": "canceled"}[
        order.status
    ]
    currency = order.fills[0].fee_currency if order.fills else ""
    return {
        "instId": _id(order.book),
        "instType": "SWAP" if order.book.market == FUTURES else "SPOT",
        "ordId": str(order.id),
        "clOrdId": order.client_id,
        "algoId": str(order.parent.id) if order.parent else "",
        "algoClOrdId": order.parent.client_id if order.parent else "",
        "side": order.side,
        "posSide": order.position,
        "ordType": {"LIMIT": "limit", "MARKET": "market"}.get(order.kind, order.kind),
        "sz": text(order.quantity / order.book.contract),
        "px": text(order.price),
        "accFillSz": text(order.filled / order.book.contract),
        "avgPx": text(order.average),
        "state": status,
        "fee": text(-order.fee),
        "feeCcy": currency,
        "reduceOnly": str(order.reduce_only).lower(),
        "cTime": str(order.created),
        "uTime": str(order.updated),
    }


def _algo_report(order: Order) -> dict[str, Any]:
    child = order.child
    return {
        "instId": _id(order.book),
        "algoId": str(order.id),
        "algoClOrdId": order.client_id,
        "clOrdId": "",
        "ordId": str(child.id) if child else "",
        "ordIdList": [str(child.id)] if child else [],
        "side": order.side,
        "posSide": order.position,
        "ordType": order.kind,
        "sz": text(order.quantity / order.book.contract),
        "triggerPx": text(order.stop),
        "orderPx": text(order.price) if order.price else "-1",
        "state": "effective" if child else "live" if order.open else "canceled",
        "cTime": str(order.created),
        "uTime": str(order.updated),
    }


def _trade(fill: Fill) -> dict[str, Any]:
    return {
        "instId": _id(fill.order.book),
        "tradeId": str(fill.id),
        "ordId": str(fill.order.id),
        "clOrdId": fill.order.client_id,
        "side": fill.order.side,
        "fillPx": text(fill.price),
        "fillSz": text(fill.quantity / fill.order.book.contract),
        "fee": text(-fill.fee),
        "feeCcy": fill.fee_currency,
        "ts": str(fill.at),
        "execType": "M" if fill.maker else "T",
    }


def _ticker(book: Book, kind: str, now: int) -> dict[str, str]:
    return {
        "instType": kind,
        "instId": _listed(book)["instId"],
        "last": text(book.last),
        "high24h": text(book.high),
        "low24h": text(book.low),
        "ts": str(now),
    }


def _listed(book: Book) -> dict[str, Any]:
    futures = book.market == FUTURES
    return {
        "instId": _id(book),
        "instType": "SWAP" if futures else "SPOT",
        "baseCcy": "" if futures else book.base,
        "quoteCcy": "" if futures else book.quote,
        "settleCcy": book.quote if futures else "",
        "uly": f"{book.base}-{book.quote}" if futures else "",
        "ctVal": text(book.contract) if futures else "",
        "ctMult": "1" if futures else "",
        "ctValCcy": book.base if futures else "",
        "ctType": "linear" if futures else "",
        "lotSz": text(book.step / book.contract),
        "minSz": text(book.minimum / book.contract),
        "maxLmtSz": text(book.maximum / book.contract),
        # okx.com/docs-v5, "Get instruments": contracts, on spot an amount of USDT.
        "maxMktSz": text((book.market_maximum or book.maximum) / book.contract)
        if futures
        else text(book.market_value or Decimal(10**9)),
        "tickSz": text(book.tick),
        "lever": "100" if futures else "",
        "state": "live",
        "listTime": "1548133413000",
        "expTime": "",
        "alias": "",
        "optType": "",
        "stk": "",
        "instIdCode": 1,
    }
