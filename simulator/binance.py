"""Binance spot and USDⓈ-M futures: developers.binance.com."""

import hashlib
import hmac
from decimal import Decimal
from typing import Any

from simulator.engine import Account, Engine, Fill, Order, Reject
from simulator.instruments import FUTURES, SPOT, Book
from simulator.limits import Limits
from simulator.messages import Answer, ApiError, Request, number, text

# kind: spot code and message, futures code and message
_REJECTS = {
    "symbol": ("-1121", "Invalid symbol."),
    "lot": ("-1013", "Filter failure: LOT_SIZE"),
    "minimum": ("-1013", "Filter failure: LOT_SIZE"),
    "maximum": ("-1013", "Filter failure: LOT_SIZE"),
    # developers.binance.com, spot, "Filters": MARKET_LOT_SIZE.
    "market_maximum": ("-1013", "Filter failure: MARKET_LOT_SIZE"),
    "tick": ("-1013", "Filter failure: PRICE_FILTER"),
    "notional": ("-1013", "Filter failure: NOTIONAL"),
    "funds": ("-2010", "Account has insufficient balance for requested action."),
    "duplicate": ("-2010", "Duplicate order sent."),
    "would_trigger": ("-2010", "Stop price would trigger immediately."),
    "would_take": ("-2010", "Order would immediately match and take."),
    "gone": ("-2011", "Unknown order sent."),
    "absent": ("-2013", "Order does not exist."),
}
_FUTURES_REJECTS = {
    **_REJECTS,
    "lot": ("-1111", "Precision is over the maximum defined for this asset."),
    "minimum": ("-4003", "Quantity less than or equal to zero."),
    "maximum": ("-4005", "Quantity greater than max quantity."),
    # developers.binance.com, USDⓈ-M futures, "Error Codes": -4005 QTY_GREATER_THAN_MAX_QTY, for LOT_SIZE and
    # MARKET_LOT_SIZE alike.
    "market_maximum": ("-4005", "Quantity greater than max quantity."),
    "tick": ("-4014", "Price not increased by tick size."),
    "notional": ("-4164", "Order's notional must be no smaller than 100 (unless you choose reduce only)."),
    "funds": ("-2019", "Margin is insufficient."),
    "duplicate": ("-4116", "ClientOrderId is duplicated."),
    "would_trigger": ("-2021", "Order would immediately trigger."),
    "would_take": (
        "-5022",
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
    "reduce_only": ("-2022", "ReduceOnly Order is rejected."),
    "position_mode": ("-4061", "Order's position side does not match user's setting."),
    "locked": ("-4048", "Margin type cannot be changed if there exists position."),
    "mode_locked": ("-4068", "Position side cannot be changed if there exists position."),
}
_STATUS = {
    "open": "NEW",
    "untriggered": "NEW",
    "partial": "PARTIALLY_FILLED",
    "filled": "FILLED",
    "cancelled": "CANCELED",
    "rejected": "REJECTED",
}
_ORDER_COUNTS = {
    SPOT: ((100, 10, "10S"), (200_000, 86_400, "1D")),
    FUTURES: ((300, 10, "10S"), (1200, 60, "1M")),
}
_WEIGHT = {SPOT: 6000, FUTURES: 2400}
# The weights of calls that do not weigh 1: without a symbol, and with one.
_WEIGHTS_OF_ALL = {
    "GET /api/v3/openOrders": 80,
    "GET /api/v3/ticker/price": 4,
    "GET /fapi/v1/openOrders": 40,
    "GET /fapi/v1/openAlgoOrders": 40,
    "GET /fapi/v2/ticker/price": 2,
    # developers.binance.com, "24hr Ticker Price Change Statistics", spot and USDⓈ-M futures: all symbols.
    "GET /api/v3/ticker/24hr": 80,
    "GET /fapi/v1/ticker/24hr": 40,
}
_WEIGHTS = {
    "GET /api/v3/exchangeInfo": 20,
    "GET /api/v3/ticker/price": 2,
    "GET /api/v3/ticker/24hr": 2,
    "GET /api/v3/account": 20,
    "GET /api/v3/order": 4,
    "GET /api/v3/openOrders": 6,
    "GET /api/v3/myTrades": 20,
    "GET /fapi/v3/balance": 5,
    "GET /fapi/v3/positionRisk": 5,
    "GET /fapi/v1/accountConfig": 5,
    "GET /fapi/v1/symbolConfig": 5,
    "GET /fapi/v1/positionSide/dual": 30,
    "GET /fapi/v1/userTrades": 5,
    "POST /fapi/v1/order": 0,
    "POST /fapi/v1/algoOrder": 0,
}


def error(code: str, message: str, status: int = 400) -> ApiError:
    return ApiError(Answer({"code": int(code), "msg": message}, status))


class Binance:
    """Answers calls to api.binance.com and fapi.binance.com, and to their demo hosts."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits

    def api_key(self, request: Request) -> str:
        return request.headers.get("x-mbx-apikey", "")

    def duplicate(self, request: Request) -> Answer:
        code, message = (_FUTURES_REJECTS if request.path.startswith("/fapi") else _REJECTS)["duplicate"]
        return error(code, message).answer

    def too_many(self, request: Request) -> Answer:
        return Answer({"code": -1003, "msg": "Too many requests."}, 429, {"Retry-After": "1"})

    def handle(self, request: Request) -> Answer:
        market = FUTURES if request.path.startswith("/fapi") else SPOT
        call = f"{request.method} {request.path}"
        weighs = (_WEIGHTS if "symbol" in request.parameters else _WEIGHTS | _WEIGHTS_OF_ALL).get(call, 1)
        allowed, weight, wait = self._limits.take("address", f"binance-{market}", _WEIGHT[market], 60, weighs)
        headers = {"X-MBX-USED-WEIGHT-1M": str(weight)}
        if not allowed:
            return Answer(
                {"code": -1003, "msg": "Too many requests."},
                429,
                {"Retry-After": str(int(wait) + 1)} | headers,
            )
        try:
            body = self._route(request, market, headers)
        except Reject as reject:
            code, message = (_FUTURES_REJECTS if market == FUTURES else _REJECTS)[reject.kind]
            answer = error(code, message).answer
        except ApiError as failure:
            answer = failure.answer
        else:
            answer = Answer(body)
        answer.headers.update(headers)
        return answer

    def _route(self, request: Request, market: str, headers: dict[str, str]) -> Any:
        name = f"{request.method} {request.path.rsplit('/', 1)[1]}"
        given = request.parameters
        if name == "GET exchangeInfo":
            if request.path.startswith("/dapi/"):
                return {"symbols": []}  # no instrument has a margin in coins
            books = [
                book
                for (exchange, kind, _), book in self._engine.books.items()
                if (exchange, kind) == ("binance", market)
            ]
            return {"timezone": "UTC", "rateLimits": [], "symbols": [_listed(book) for book in books]}
        if name == "GET 24hr" and "symbol" not in given:
            return self._tickers(market, given)
        if name in {"GET price", "GET 24hr"}:
            book = self._engine.book("binance", market, given["symbol"])
            return {
                "symbol": book.name,
                "price": text(book.last),
                "lastPrice": text(book.last),
                "time": self._engine.now(),
            }
        account = self._authenticate(request, given)
        handler = getattr(self, f"_{name.lower().replace(' ', '_')}", None)
        if handler is None:
            raise error("-1000", f"the simulator knows no {name}", 404)
        if name in {"POST order", "POST algoOrder", "POST oco"}:
            self._count_order(account, market, headers)
        return handler(account, market, given)

    def _tickers(self, market: str, given: dict[str, str]) -> list[dict[str, Any]]:
        """Every symbol's day: the fields that `type=MINI` of spot has, and futures have among others."""
        unknown = given.keys() - ({"type"} if market == SPOT else set())
        if unknown:
            raise error("-1104", "Not all sent parameters were read.")
        if given.get("type", "FULL") not in {"FULL", "MINI"}:
            raise error("-1130", "Invalid data sent for a parameter.")
        now = self._engine.now()
        return [
            {
                "symbol": book.name,
                "openPrice": text(book.last),
                "highPrice": text(book.high),
                "lowPrice": text(book.low),
                "lastPrice": text(book.last),
                "volume": "0",
                "quoteVolume": "0",
                "openTime": now - 86_400_000,
                "closeTime": now,
                "firstId": -1,
                "lastId": -1,
                "count": 0,
            }
            for (exchange, kind, _), book in self._engine.books.items()
            if (exchange, kind) == ("binance", market)
        ]

    def _authenticate(self, request: Request, given: dict[str, str]) -> Account:
        account = self._engine.accounts.get(("binance", self.api_key(request)))
        if account is None:
            raise error("-2015", "Invalid API-key, IP, or permissions for action.", 401)
        signed, _, signature = (request.body or request.query).rpartition("&signature=")
        if request.body:
            signed = request.query + signed
        if not hmac.compare_digest(
            hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest(), signature
        ):
            raise error("-1022", "Signature for this request is not valid.")
        age = self._engine.now() - int(given["timestamp"])
        if age > int(given.get("recvWindow", 5000)) or age < -1000:
            raise error("-1021", "Timestamp for this request is outside of the recvWindow.")
        if request.method != "GET" and "trade" not in account.permissions:
            raise error("-2015", "Invalid API-key, IP, or permissions for action.", 401)
        return account

    def _count_order(self, account: Account, market: str, headers: dict[str, str]) -> None:
        for limit, seconds, interval in _ORDER_COUNTS[market]:
            allowed, count, wait = self._limits.take(account.key, f"binance-orders-{market}", limit, seconds)
            headers[f"X-MBX-ORDER-COUNT-{interval}"] = str(count)
            if not allowed:
                headers["Retry-After"] = str(int(wait) + 1)
                raise error("-1015", "Too many new orders.", 429)

    # Orders

    def _post_order(self, account: Account, market: str, given: dict[str, str]) -> Any:
        kind = given["type"]
        if market == FUTURES and kind not in {"LIMIT", "MARKET"}:
            raise error(
                "-4120",
                "Order type not supported for this endpoint. "
                "Please use the Algo Order API endpoints instead.",
            )
        order = self._order(
            account, market, given, client_id=given.get("newClientOrderId", ""), stop=given.get("stopPrice")
        )
        return _report(self._engine.place(order), fills=market == SPOT)

    def _post_oco(self, account: Account, market: str, given: dict[str, str]) -> Any:
        """Places an OCO: both orders, or neither."""
        orders = []
        for place in ("above", "below"):
            kind, stop = given[f"{place}Type"], given.get(f"{place}StopPrice")
            one = {
                "type": kind,
                "symbol": given["symbol"],
                "side": given["side"],
                "quantity": given["quantity"],
            }
            if kind not in {"STOP_LOSS", "TAKE_PROFIT"}:
                raise error("-1106", f"Parameter '{place}Type' sent when not required.")
            order = self._order(
                account, market, one, client_id=given.get(f"{place}ClientOrderId", ""), stop=stop
            )
            last = order.book.last
            if (
                order.above is not (place == "above")
                or order.stop is None
                or (order.stop > last) is not order.above
            ):
                raise error("-2010", "The relationship of the prices for the orders is not correct.")
            orders.append(order)
        first, second = orders
        self._engine.place(first)
        # The funds for the first order suffice for both.
        held, first.quantity = first.quantity, Decimal(0)
        try:
            self._engine.place(second)
        except Reject:
            self._engine.cancel(first)
            raise
        finally:
            first.quantity = held
        first.other, second.other = second, first
        lists = {
            "orderListId": first.id,
            "listClientOrderId": given.get("listClientOrderId", ""),
            "contingencyType": "OCO",
        }
        return lists | {"orderReports": [_report(order, fills=True) for order in orders]}

    def _post_algoorder(self, account: Account, market: str, given: dict[str, str]) -> Any:
        order = self._order(
            account, market, given, client_id=given.get("clientAlgoId", ""), stop=given["triggerPrice"]
        )
        return _algo_report(self._engine.place(order))

    def _order(
        self, account: Account, market: str, given: dict[str, str], *, client_id: str, stop: str | None
    ) -> Order:
        kind = given["type"]
        side = given["side"].lower()
        limit = "MARKET" not in kind and kind not in {
            "STOP_LOSS",
            *(("TAKE_PROFIT",) if market == SPOT else ()),
        }
        if limit and not given.get("price"):
            raise error("-1102", "Mandatory parameter 'price' was not sent, was empty/null, or malformed.")
        if limit and kind != "LIMIT_MAKER" and market == SPOT and "timeInForce" not in given:
            raise error(
                "-1102", "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."
            )
        tif = given.get("timeInForce", "GTC")
        order = Order(
            id=0,
            account=account,
            book=self._engine.book("binance", market, given["symbol"]),
            client_id=client_id or f"auto{self._engine.now()}",
            side=side,
            quantity=Decimal(given["quantity"]),
            price=Decimal(given["price"]) if limit else None,
            stop=number(stop),
            # A stop triggers with the market, a take-profit against it.
            above=(side == "buy") == kind.startswith("STOP") if stop else None,
            tif="GTC" if tif == "GTX" else tif,
            post_only=tif == "GTX" or kind == "LIMIT_MAKER",
            reduce_only=given.get("reduceOnly") == "true",
            position={"LONG": "long", "SHORT": "short"}.get(given.get("positionSide", "BOTH"), "net"),
            kind=kind,
            algo=stop is not None and market == FUTURES,
        )
        self._refuse_duplicate(order)
        return order

    def _refuse_duplicate(self, order: Order) -> None:
        """Refuses a duplicate client id. Ids are unique among open orders only."""
        known = self._engine.by_client(order.account, order.book.market, order.client_id, algo=order.algo)
        if known is not None and known.open:
            raise Reject("duplicate")

    def _named(self, account: Account, market: str, given: dict[str, str], missing: str) -> Order:
        client_id = given.get("origClientOrderId") or given.get("clientAlgoId")
        algo = "clientAlgoId" in given or "algoId" in given
        if client_id:
            found = self._engine.by_client(account, market, client_id, algo=algo)
        else:
            found = self._engine.by_id(account, given.get("orderId") or given.get("algoId", ""), algo=algo)
        if found is None:
            raise Reject(missing)
        return found

    def _get_order(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return _report(self._named(account, market, given, "absent"))

    def _get_algoorder(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return _algo_report(self._named(account, market, given, "absent"))

    def _delete_order(self, account: Account, market: str, given: dict[str, str]) -> Any:
        order = self._named(account, market, given, "gone")
        self._engine.cancel(order)
        return _report(order)

    def _delete_algoorder(self, account: Account, market: str, given: dict[str, str]) -> Any:
        order = self._named(account, market, given, "gone")
        self._engine.cancel(order)
        return {"algoId": order.id, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}

    def _get_openorders(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return [_report(each) for each in account.open_orders(market, given.get("symbol")) if not each.algo]

    def _get_openalgoorders(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return [_algo_report(each) for each in account.open_orders(market, given.get("symbol")) if each.algo]

    def _delete_openorders(self, account: Account, market: str, given: dict[str, str]) -> Any:
        orders = account.open_orders(market, given["symbol"])
        if not orders:
            raise Reject("gone")
        for order in orders:
            self._engine.cancel(order)
        return [_report(order) for order in orders]

    def _delete_allopenorders(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return self._cancel_futures(account, given, algo=False)

    def _delete_algoopenorders(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return self._cancel_futures(account, given, algo=True)

    def _cancel_futures(self, account: Account, given: dict[str, str], *, algo: bool) -> Any:
        for order in account.open_orders(FUTURES, given["symbol"]):
            if order.algo == algo:
                self._engine.cancel(order)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _get_mytrades(self, account: Account, market: str, given: dict[str, str]) -> Any:
        orders = [
            each
            for each in account.orders
            if each.book.market == market and each.book.name == given["symbol"]
        ]
        wanted = [each for each in orders if given.get("orderId") in {None, str(each.id)}]
        return [
            _trade(fill)
            for order in wanted
            for fill in order.fills
            if fill.at >= int(given.get("startTime", 0))
        ]

    _get_usertrades = _get_mytrades

    # The account

    def _get_account(self, account: Account, market: str, given: dict[str, str]) -> Any:
        wallet = account.wallet(SPOT)
        rows = [(currency, self._engine.held(account, SPOT, currency)) for currency in wallet]
        balances = [
            {"asset": currency, "free": text(wallet[currency] - held), "locked": text(held)}
            for currency, held in rows
        ]
        return {"canTrade": "trade" in account.permissions, "accountType": "SPOT", "balances": balances}

    def _get_balance(self, account: Account, market: str, given: dict[str, str]) -> Any:
        wallet = account.wallet(FUTURES)
        return [
            {
                "asset": currency,
                "balance": text(total),
                "availableBalance": text(self._engine.free(account, FUTURES, currency)),
            }
            for currency, total in wallet.items()
        ]

    def _get_positionrisk(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return [
            {
                "symbol": name,
                "positionSide": {"net": "BOTH"}.get(side, side.upper()),
                "positionAmt": text(position.quantity),
                "entryPrice": text(position.entry),
                "isolatedWallet": "1" if account.margin_modes.get(name) == "isolated" else "0",
                "unRealizedProfit": text(self._engine.profit(account, name, side)),
            }
            for (name, side), position in account.positions.items()
            if position.quantity
        ]

    def _get_dual(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return {"dualSidePosition": account.hedged}

    def _get_accountconfig(self, account: Account, market: str, given: dict[str, str]) -> Any:
        return {
            "feeTier": 0,
            "canTrade": "trade" in account.permissions,
            "dualSidePosition": account.hedged,
            "multiAssetsMargin": False,
        }

    def _post_dual(self, account: Account, market: str, given: dict[str, str]) -> Any:
        wanted = given["dualSidePosition"] == "true"
        if wanted == account.hedged:
            raise error("-4059", "No need to change position side.")
        if account.open_orders(FUTURES) or any(position.quantity for position in account.positions.values()):
            raise Reject("mode_locked")
        account.hedged = wanted
        return {"code": 200, "msg": "success"}

    def _get_symbolconfig(self, account: Account, market: str, given: dict[str, str]) -> Any:
        name = given["symbol"]
        mode = {"cross": "CROSSED", "isolated": "ISOLATED"}[account.margin_modes.get(name, "cross")]
        return [
            {
                "symbol": name,
                "marginType": mode,
                "isAutoAddMargin": False,
                "leverage": account.leverage.get(name, 10),
            }
        ]

    def _post_margintype(self, account: Account, market: str, given: dict[str, str]) -> Any:
        wanted = {"CROSSED": "cross", "ISOLATED": "isolated"}[given["marginType"]]
        name = given["symbol"]
        if account.margin_modes.get(name, "cross") == wanted:
            raise error("-4046", "No need to change margin type.")
        if any(position.quantity for (each, _), position in account.positions.items() if each == name):
            raise Reject("locked")
        account.margin_modes[name] = wanted
        return {"code": 200, "msg": "success"}

    def _post_leverage(self, account: Account, market: str, given: dict[str, str]) -> Any:
        leverage = int(given["leverage"])
        if not 1 <= leverage <= 125:
            raise error("-4028", f"Leverage {leverage} is not valid")
        account.leverage[given["symbol"]] = leverage
        return {"symbol": given["symbol"], "leverage": leverage, "maxNotionalValue": "1000000"}

    def _get_apirestrictions(self, account: Account, market: str, given: dict[str, str]) -> Any:
        may = account.permissions
        return {
            "ipRestrict": False,
            "enableReading": "read" in may,
            "enableWithdrawals": "withdraw" in may,
            "enableSpotAndMarginTrading": "trade" in may,
            "enableFutures": "trade" in may,
        }


def _report(order: Order, *, fills: bool = False) -> dict[str, Any]:
    futures = order.book.market == FUTURES
    row = {
        "symbol": order.book.name,
        "orderId": order.id,
        "clientOrderId": order.client_id or f"autoclose{order.id}",
        "price": text(order.price or Decimal(0)),
        "origQty": text(order.quantity),
        "executedQty": text(order.filled),
        "status": "EXPIRED"
        if order.status == "cancelled" and (order.price is None or order.tif != "GTC")
        else _STATUS[order.status],
        "timeInForce": "GTX" if order.post_only and futures else order.tif,
        "type": order.kind,
        "side": order.side.upper(),
        "stopPrice": text(order.stop or Decimal(0)),
        "updateTime": order.updated,
    }
    if futures:
        row |= {
            "avgPrice": text(order.average or Decimal(0)),
            "cumQuote": text(order.cost),
            "reduceOnly": order.reduce_only,
        }
        row |= {
            "positionSide": {"net": "BOTH"}.get(order.position, order.position.upper()),
            "origType": order.kind,
        }
    else:
        row |= {"cummulativeQuoteQty": text(order.cost), "transactTime": order.updated, "time": order.created}
    if fills:
        trades = order.fills
        row["fills"] = [
            {
                "price": text(each.price),
                "qty": text(each.quantity),
                "commission": text(each.fee),
                "commissionAsset": each.fee_currency,
                "tradeId": each.id,
            }
            for each in trades
        ]
    return row


def _algo_report(order: Order) -> dict[str, Any]:
    child = order.child
    status = (
        "NEW" if order.open else "CANCELED" if child is None else "TRIGGERED" if child.open else "FINISHED"
    )
    return {
        "algoId": order.id,
        "clientAlgoId": order.client_id,
        "algoType": "CONDITIONAL",
        "orderType": order.kind,
        "symbol": order.book.name,
        "side": order.side.upper(),
        "positionSide": {"net": "BOTH"}.get(order.position, order.position.upper()),
        "timeInForce": order.tif,
        "quantity": text(order.quantity),
        "algoStatus": status,
        "actualOrderId": str(child.id) if child else "",
        "triggerPrice": text(order.stop),
        "price": text(order.price or Decimal(0)),
        "reduceOnly": order.reduce_only,
        "createTime": order.created,
        "updateTime": order.updated,
    }


def _trade(fill: Fill) -> dict[str, Any]:
    row: dict[str, Any] = {
        "symbol": fill.order.book.name,
        "id": fill.id,
        "orderId": fill.order.id,
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "commission": text(fill.fee),
        "commissionAsset": fill.fee_currency,
        "time": fill.at,
        "maker": fill.maker,
    }
    # The two markets name the field of the side differently.
    return row | (
        {"side": fill.order.side.upper()}
        if fill.order.book.market == FUTURES
        else {"isBuyer": fill.order.side == "buy"}
    )


def _listed(book: Book) -> dict[str, Any]:
    futures = book.market == FUTURES
    step, notional = text(book.step), text(book.notional)
    filters = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(book.tick),
            "maxPrice": "1000000",
            "tickSize": text(book.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": text(book.minimum),
            "maxQty": text(book.maximum),
            "stepSize": step,
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0",
            "maxQty": text(book.market_maximum or book.maximum),
            "stepSize": step,
        },
        {"filterType": "MIN_NOTIONAL", "notional": notional}
        if futures
        else {"filterType": "NOTIONAL", "minNotional": notional, "maxNotional": "9000000"},
    ]
    row = {
        "symbol": book.name,
        "status": "TRADING",
        "baseAsset": book.base,
        "quoteAsset": book.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "quantityPrecision": -int(book.step.as_tuple().exponent),
        "pricePrecision": -int(book.tick.as_tuple().exponent),
        "filters": filters,
    }
    if futures:
        row |= {
            "contractType": "PERPETUAL",
            "marginAsset": book.quote,
            "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000,
        }
        return row | {
            "pair": book.name,
            "underlyingType": "COIN",
            "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        }
    kinds = [
        "LIMIT",
        "LIMIT_MAKER",
        "MARKET",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT",
    ]
    return row | {
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "permissions": ["SPOT"],
        "orderTypes": kinds,
    }
