"""`/_sim/...`: tests create accounts, set prices, inject faults and read the calls."""

import secrets
from decimal import Decimal
from typing import Any

from simulator.engine import Account, Engine, Order, trade_position
from simulator.faults import Fault
from simulator.instruments import FUTURES
from simulator.limits import Limits
from simulator.messages import Answer, number, text

_EXCHANGES = ("binance", "bybit", "okx")


class Control:
    """The shared state of all exchanges: faults, the request log, latency."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits
        self.faults: list[Fault] = []
        self.requests: list[dict[str, Any]] = []
        self.latency_s = 0.0

    def handle(self, method: str, path: str, given: dict[str, Any]) -> Answer:
        name = f"_{method.lower()}_{path.removeprefix('/_sim/').strip('/').replace('/', '_')}"
        handler = getattr(self, name, None)
        return Answer({"error": f"no {method} {path}"}, 404) if handler is None else Answer(handler(given))

    def fault(self, exchange: str, method: str, path: str, api_key: str) -> Fault | None:
        """Returns the fault for a call. Faults of different `when` are used one at a time."""
        return next((each for each in self.faults if each.hits(exchange, method, path, api_key)), None)

    def _get_health(self, given: dict[str, Any]) -> Any:
        return {"status": "ok"}

    def _post_reset(self, given: dict[str, Any]) -> Any:
        self._engine.reset()
        self._limits.__init__()
        self.faults, self.requests, self.latency_s = [], [], 0.0
        return {}

    def _post_accounts(self, given: dict[str, Any]) -> Any:
        account = self._engine.add_account(
            given["exchange"],
            key=given.get("api_key") or secrets.token_hex(16),
            secret=given.get("secret") or secrets.token_hex(16),
            passphrase=given.get("passphrase", "phrase"),
            balances=given.get("balances", {}),
            permissions=set(given.get("permissions", ["read", "trade"])),
        )
        return {
            "exchange": account.exchange,
            "api_key": account.key,
            "secret": account.secret,
            "passphrase": account.passphrase,
        }

    def _get_accounts(self, given: dict[str, Any]) -> Any:
        return [
            _account(each)
            for each in self._engine.accounts.values()
            if given.get("api_key") in {None, each.key}
        ]

    def _post_price(self, given: dict[str, Any]) -> Any:
        size = None if given.get("size") is None else Decimal(str(given["size"]))
        for book in self._engine.books.values():
            if (
                book.name == given["symbol"]
                and given.get("exchange") in {None, book.exchange}
                and given.get("market") in {None, book.market}
            ):
                self._engine.move(book, Decimal(str(given["price"])), size)
        return {}

    def _get_orders(self, given: dict[str, Any]) -> Any:
        orders = [order for account in self._engine.accounts.values() for order in account.orders]
        wanted = [
            ("exchange", lambda each: each.account.exchange),
            ("api_key", lambda each: each.account.key),
            ("client_id", lambda each: each.client_id),
        ]
        return [
            _order(each)
            for each in orders
            if all(given.get(name) in {None, value(each)} for name, value in wanted)
        ]

    def _post_refuse(self, given: dict[str, Any]) -> Any:
        """Cancels an account's conditional orders, for lack of funds."""
        for account in self._accounts(given):
            account.refuses_stops = given["stops"]
        return {}

    def _post_modes(self, given: dict[str, Any]) -> Any:
        """Changes an account's settings as its owner does by hand: `hedged`, `margin_mode`, OKX's `level`."""
        for account in self._accounts(given):
            account.hedged = given.get("hedged", account.hedged)
            if "hedged" in given:
                account.hedged_symbols = {}
            account.margin_mode = given.get("margin_mode", account.margin_mode)
            account.level = given.get("level", account.level)
        return {}

    def _post_revoke(self, given: dict[str, Any]) -> Any:
        """Revokes a key."""
        for account in self._accounts(given):
            del self._engine.accounts[account.exchange, account.key]
        return {}

    def _post_trade(self, given: dict[str, Any]) -> Any:
        """Changes a futures position at the last price, like a trade elsewhere.

        A negative quantity sells. `side` is `net`, `long` or `short`. `margin_mode` counts on OKX.
        """
        for account in self._accounts(given):
            name = given["symbol"]
            slot = account.slot(given.get("side", "net"), given.get("margin_mode", "cross"))
            last = self._engine.books[account.exchange, FUTURES, name].last
            trade_position(account.position(name, slot), Decimal(given["quantity"]), last)
        return {}

    def _post_settings(self, given: dict[str, Any]) -> Any:
        """Changes an account's settings like its owner by hand.

        `hedged`, and the `margin_mode` of a `symbol` or of all.
        """
        for account in self._accounts(given):
            if "hedged" in given:
                account.hedged, account.hedged_symbols = given["hedged"], {}
            if "margin_mode" in given and "symbol" in given:
                account.margin_modes[given["symbol"]] = given["margin_mode"]
            elif "margin_mode" in given:
                account.margin_mode = given["margin_mode"]
        return {}

    def _post_book(self, given: dict[str, Any]) -> Any:
        """Sets the limits and the quantities of a book.

        `market_maximum`, `market_value`, and `depth` for the next market orders.
        """
        for book in self._engine.books.values():
            if book.name == given["symbol"] and all(
                given.get(name) in {None, getattr(book, name)} for name in ("exchange", "market")
            ):
                for name in ("market_maximum", "market_value"):
                    if name in given:
                        setattr(book, name, number(given[name]))
                if "depth" in given:
                    book.depth = [number(each) for each in given["depth"]]
        return {}

    def _post_empty(self, given: dict[str, Any]) -> Any:
        """Removes all holdings of an account."""
        for account in self._accounts(given):
            for wallet in account.wallets.values():
                wallet.clear()
        return {}

    def _post_forget(self, given: dict[str, Any]) -> Any:
        """Deletes an order, as if it had never arrived."""
        for account in self._accounts(given):
            for order in [each for each in account.orders if each.client_id == given["client_id"]]:
                account.orders.remove(order)
                self._engine.resting.pop(order.id, None)
                account.by_client = {
                    key: [each for each in found if each is not order]
                    for key, found in account.by_client.items()
                }
        return {}

    def _accounts(self, given: dict[str, Any]) -> list[Account]:
        return [each for each in self._engine.accounts.values() if each.key == given["api_key"]]

    def _post_faults(self, given: dict[str, Any]) -> Any:
        self.faults.append(Fault(**given))
        return {}

    def _get_faults(self, given: dict[str, Any]) -> Any:
        return [vars(each) for each in self.faults]

    def _delete_faults(self, given: dict[str, Any]) -> Any:
        self.faults.clear()
        return {}

    def _get_requests(self, given: dict[str, Any]) -> Any:
        return self.requests

    def _get_stats(self, given: dict[str, Any]) -> Any:
        return {
            "requests": len(self.requests),
            "limited": self._limits.limited,
            "weight": self._limits.weight,
        }

    def _post_limits(self, given: dict[str, Any]) -> Any:
        self._limits.enabled = given.get("enabled", self._limits.enabled)
        if "factor" in given:
            self._limits.factors |= dict.fromkeys(
                [given["exchange"]] if "exchange" in given else _EXCHANGES, given["factor"]
            )
        return {}

    def _post_latency(self, given: dict[str, Any]) -> Any:
        self.latency_s = given["seconds"]
        return {}

    def _post_clock(self, given: dict[str, Any]) -> Any:
        self._engine.clock_offset_ms = given["offset_ms"]
        return {}


def _account(account: Account) -> dict[str, Any]:
    return {
        "exchange": account.exchange,
        "api_key": account.key,
        "balances": {
            market: {currency: text(value) for currency, value in wallet.items()}
            for market, wallet in account.wallets.items()
        },
        "positions": {
            f"{name}/{side}": text(position.quantity)
            for (name, side), position in account.positions.items()
            if position.quantity
        },
        "leverage": account.leverage,
        "margin_mode": account.margin_mode,
        "margin_modes": account.margin_modes,
        "hedged": account.hedged or any(account.hedged_symbols.values()),
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "exchange": order.account.exchange,
        "market": order.book.market,
        "symbol": order.book.name,
        "api_key": order.account.key,
        "id": order.id,
        "client_id": order.client_id,
        "side": order.side,
        "quantity": text(order.quantity),
        "filled": text(order.filled),
        "price": text(order.price),
        "stop": text(order.stop),
        "status": order.status,
        "algo": order.algo,
        "parent": order.parent.client_id if order.parent else None,
        "fills": [
            {"price": text(each.price), "quantity": text(each.quantity), "fee": text(each.fee)}
            for each in order.fills
        ],
    }
