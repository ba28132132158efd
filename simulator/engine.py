"""The common part of all exchanges.

Accounts, orders, matching by a price that tests set, positions, fees.
"""

import itertools
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal

from simulator.instruments import FUTURES, SPOT, Book, books

ZERO = Decimal(0)
OPEN = ("untriggered", "open", "partial")


class Reject(Exception):
    """A rejected order or request. Each exchange has its own words for `kind`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass
class Fill:
    id: int
    order: "Order"
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    at: int
    maker: bool


@dataclass
class Order:
    """An order. `algo` orders have their own book and, when triggered, become another order, `child`.

    `other` is cancelled with this order.
    """

    id: int
    account: "Account"
    book: Book
    client_id: str
    side: str
    quantity: Decimal
    price: Decimal | None = None
    stop: Decimal | None = None
    above: bool | None = None
    tif: str = "GTC"
    post_only: bool = False
    reduce_only: bool = False
    position: str = "net"
    margin_mode: str = "cross"
    algo: bool = False
    kind: str = ""
    status: str = "new"
    filled: Decimal = ZERO
    fills: list[Fill] = field(default_factory=list)
    other: "Order | None" = None
    child: "Order | None" = None
    parent: "Order | None" = None
    created: int = 0
    updated: int = 0

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def cost(self) -> Decimal:
        return sum((fill.price * fill.quantity for fill in self.fills), ZERO)

    @property
    def average(self) -> Decimal | None:
        return self.cost / self.filled if self.filled else None

    @property
    def fee(self) -> Decimal:
        return sum((fill.fee for fill in self.fills), ZERO)


@dataclass
class Position:
    quantity: Decimal = ZERO
    entry: Decimal = ZERO


@dataclass
class Account:
    exchange: str
    key: str
    secret: str
    passphrase: str
    permissions: set[str]
    demo: bool | None = None
    # Binance separates spot and futures. A unified account has one wallet under both names.
    wallets: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    leverage: dict[str, int] = field(default_factory=dict)
    margin_modes: dict[str, str] = field(default_factory=dict)
    margin_mode: str = "cross"
    level: str = "2"  # OKX: 1 spot, 2 futures, 3 multi-currency margin, 4 portfolio margin
    refuses_stops: bool = False
    hedged: bool = False
    hedged_symbols: dict[str, bool] = field(default_factory=dict)
    by_client: dict[tuple[str, bool, str], list[Order]] = field(default_factory=dict)

    def wallet(self, market: str) -> dict[str, Decimal]:
        return self.wallets[market]

    def open_orders(self, market: str, name: str | None = None) -> list[Order]:
        return [
            each
            for each in self.orders
            if each.open and each.book.market == market and name in (None, each.book.name)
        ]

    def is_hedged(self, name: str) -> bool:
        return self.hedged_symbols.get(name, self.hedged)

    def position(self, name: str, side: str) -> Position:
        return self.positions.setdefault((name, side), Position())

    def slot(self, side: str, margin_mode: str) -> str:
        """Returns the name of a position among those of its instrument.

        Only OKX separates a cross and an isolated one: okx.com/docs-v5, "Get positions", field `mgnMode`.
        """
        return f"{side}-isolated" if self.exchange == "okx" and margin_mode == "isolated" else side


class Engine:
    """The state of all exchanges. Every use must hold `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        self.books = books()
        self.accounts: dict[tuple[str, str], Account] = {}
        self.ids = itertools.count(1_000_000_001)
        self.clock_offset_ms = 0
        self.resting: dict[int, Order] = {}

    def now(self) -> int:
        return int(time.time() * 1000) + self.clock_offset_ms

    def add_account(
        self, exchange: str, *, key: str, secret: str, passphrase: str, balances: dict, permissions: set[str]
    ) -> Account:
        spot = {currency: Decimal(value) for currency, value in balances.get(SPOT, {}).items()}
        futures = {currency: Decimal(value) for currency, value in balances.get(FUTURES, {}).items()}
        if exchange != "binance":
            spot = futures = {**spot, **futures}
        account = Account(
            exchange, key, secret, passphrase, permissions, wallets={SPOT: spot, FUTURES: futures}
        )
        self.accounts[exchange, key] = account
        return account

    def book(self, exchange: str, market: str, name: str) -> Book:
        try:
            return self.books[exchange, market, name]
        except KeyError:
            raise Reject("symbol") from None

    # Money

    def held(self, account: Account, market: str, currency: str) -> Decimal:
        """Returns the amount of a currency locked by spot orders. Of two OCO orders only one counts."""
        holding = [each for each in account.open_orders(market) if _hold_currency(each) == currency]
        return sum(
            (
                _hold(each)
                for each in holding
                if each.other is None or not each.other.open or each.id < each.other.id
            ),
            ZERO,
        )

    def free(self, account: Account, market: str, currency: str) -> Decimal:
        total = account.wallet(market).get(currency, ZERO)
        free = (
            total - self.held(account, SPOT, currency)
            if market == SPOT or account.exchange != "binance"
            else total
        )
        if currency == "USDT" and (market == FUTURES or account.exchange != "binance"):
            free -= self.margin_used(account)
        if currency == "USDT" and account.exchange != "binance":
            free += self.unrealised(account) if market == FUTURES else min(self.unrealised(account), ZERO)
        return free

    def unrealised(self, account: Account) -> Decimal:
        """Returns the unrealised PnL of all positions, which a unified account may use in cross margin.

        bybit-exchange.github.io/docs/v5/account/wallet-balance: totalMarginBalance = totalWalletBalance +
        totalPerpUPL; okx.com/docs-v5, "Get balance": `availEq`.
        """
        if account.margin_mode == "isolated":
            return ZERO
        return sum((self.profit(account, name, side) for name, side in list(account.positions)), ZERO)

    def margin_used(self, account: Account) -> Decimal:
        used = ZERO
        for (name, _), position in account.positions.items():
            used += abs(position.quantity) * position.entry / account.leverage.get(name, 10)
        for order in account.open_orders(FUTURES):
            if not order.reduce_only and order.status != "untriggered":
                used += (
                    order.remaining
                    * (order.price or order.book.last)
                    / account.leverage.get(order.book.name, 10)
                )
        return used

    def profit(self, account: Account, name: str, side: str) -> Decimal:
        position = account.position(name, side)
        return (self.books[account.exchange, FUTURES, name].last - position.entry) * position.quantity

    # Orders

    def place(self, order: Order) -> Order:
        """Checks and books an order, and matches it with the market. Raises Reject."""
        account, book = order.account, order.book
        if account.refuses_stops and order.stop is not None:
            raise Reject("funds")
        self._check_filters(order)
        if book.market == FUTURES:
            self._check_position(order)
        if order.stop is not None and self._fires(order) and account.exchange != "okx":
            raise Reject("would_trigger")
        crosses = order.price is None or (
            order.price >= book.last if order.side == "buy" else order.price <= book.last
        )
        would_take = order.post_only and crosses and order.stop is None
        if would_take and account.exchange == "binance":
            raise Reject("would_take")
        self._check_funds(order)
        order.id = order.id or next(self.ids)
        order.created = order.updated = self.now()
        account.orders.append(order)
        if order.client_id:
            account.by_client.setdefault((book.market, order.algo, order.client_id), []).append(order)
        order.status = "untriggered" if order.stop is not None else "open"
        self.resting[order.id] = order
        if would_take:
            # The other exchanges accept such an order and cancel it.
            self._end(order, "cancelled")
        elif order.stop is None:
            self._meet(order, maker=False)
        return order

    def by_client(self, account: Account, market: str, client_id: str, *, algo: bool = False) -> Order | None:
        """Returns the latest order with a client id. None without one."""
        found = account.by_client.get((market, algo, client_id))
        return found[-1] if found else None

    def by_id(self, account: Account, order_id: str, *, algo: bool = False) -> Order | None:
        return next(
            (each for each in account.orders if str(each.id) == str(order_id) and each.algo == algo), None
        )

    def cancel(self, order: Order) -> None:
        """Cancels an order. Raises Reject `gone` if it is not open."""
        if not order.open:
            raise Reject("gone")
        self._end(order, "cancelled")

    def move(self, book: Book, price: Decimal, size: Decimal | None = None) -> None:
        """Sets a price, triggers stops and fills crossed limits, oldest first."""
        book.last, book.size = price, size
        book.high, book.low = max(book.high, price), min(book.low, price)
        for order in [each for each in self.resting.values() if each.book is book]:
            if order.status == "untriggered" and self._fires(order):
                self._fire(order)
            elif order.status in {"open", "partial"}:
                self._meet(order, maker=True)

    # Internal

    def _check_filters(self, order: Order) -> None:
        book = order.book
        if order.quantity <= 0 or order.quantity % book.step:
            raise Reject("lot")
        if order.quantity < book.minimum:
            raise Reject("minimum")
        if order.quantity > book.maximum:
            raise Reject("maximum")
        if order.price is None:
            largest = book.market_maximum
            if book.market_value is not None:
                largest = book.market_value / (order.stop or book.last)
            if largest is not None and order.quantity > largest:
                raise Reject("market_maximum")
        for price in (order.price, order.stop):
            if price is not None and (price <= 0 or price % book.tick):
                raise Reject("tick")
        price = order.price or order.stop or book.last
        if book.notional is not None and not order.reduce_only and order.quantity * price < book.notional:
            raise Reject("notional")

    def _check_position(self, order: Order) -> None:
        account, name = order.account, order.book.name
        if account.is_hedged(name) == (order.position == "net"):
            raise Reject("position_mode")
        if order.position != "net":
            order.reduce_only = (order.side == "buy") == (order.position == "short")
        if not order.reduce_only:
            return
        reducible = self._reducible(order)
        if reducible <= 0:
            raise Reject("reduce_only")
        # A reduce-only order above the position is reduced to it.
        order.quantity = min(order.quantity, reducible) if order.stop is None else order.quantity

    def _reducible(self, order: Order) -> Decimal:
        held = order.account.position(
            order.book.name, order.account.slot(order.position, order.margin_mode)
        ).quantity
        return -held if order.side == "buy" else held

    def _check_funds(self, order: Order) -> None:
        account, book = order.account, order.book
        if book.market == SPOT:
            own = _hold(order) if order.open else ZERO  # an open order has already locked its funds
            if _hold_currency(order) and self.free(account, SPOT, _hold_currency(order)) + own < _hold(order):
                raise Reject("funds")
            return
        if order.reduce_only or order.stop is not None:
            return
        held = account.position(book.name, account.slot(order.position, order.margin_mode)).quantity
        signed = order.quantity if order.side == "buy" else -order.quantity
        opening = max(abs(held + signed) - abs(held), ZERO)
        price = order.price or book.last
        cost = opening * price / account.leverage.get(book.name, 10) + opening * price * book.taker
        if cost > self.free(account, FUTURES, "USDT"):
            raise Reject("funds")

    def _fires(self, order: Order) -> bool:
        return order.book.last >= order.stop if order.above else order.book.last <= order.stop

    def _fire(self, order: Order) -> None:
        active, held = order, bool(_hold_currency(order))
        if order.algo:
            order.status, order.updated = "triggered", self.now()
            self.resting.pop(order.id, None)
            active = Order(
                id=next(self.ids),
                account=order.account,
                book=order.book,
                client_id="",
                side=order.side,
                quantity=order.quantity,
                price=order.price,
                tif=order.tif,
                reduce_only=order.reduce_only,
                position=order.position,
                margin_mode=order.margin_mode,
                created=self.now(),
                parent=order,
                kind="LIMIT" if order.price else "MARKET",
            )
            order.child = active
            order.account.orders.append(active)
            self.resting[active.id] = active
        active.status, active.updated = "open", self.now()
        if active.other is not None and active.other.open:
            self._end(active.other, "cancelled")
            active.status = "open"
        try:
            if not held:
                self._check_funds(active)
        except Reject:
            self._end(active, "cancelled")
            return
        self._meet(active, maker=False)

    def _meet(self, order: Order, *, maker: bool) -> None:
        book = order.book
        if order.price is not None and not (
            order.price >= book.last if order.side == "buy" else order.price <= book.last
        ):
            if order.tif in {"IOC", "FOK"}:
                self._end(order, "cancelled")
            return
        size = book.depth.pop(0) if book.depth and not maker else book.size
        offered = order.remaining if size is None else min(order.remaining, size)
        if order.reduce_only:
            offered = min(offered, max(self._reducible(order), ZERO))
        if order.tif == "FOK" and offered < order.remaining:
            self._end(order, "cancelled")
            return
        if offered > 0:
            if book.size is not None and size is book.size:
                book.size -= offered
            self._fill(order, order.price if maker else book.last, offered, maker=maker)
        if order.remaining <= 0:
            self._end(order, "filled")
        elif order.price is None or order.tif == "IOC" or (order.reduce_only and self._reducible(order) <= 0):
            self._end(order, "cancelled")
        elif order.filled:
            order.status = "partial"

    def _fill(self, order: Order, price: Decimal, quantity: Decimal, *, maker: bool) -> None:
        account, book = order.account, order.book
        rate = book.maker if maker else book.taker
        wallet = account.wallet(book.market)
        if book.market == SPOT:
            base, quote = wallet.setdefault(book.base, ZERO), wallet.setdefault(book.quote, ZERO)
            if order.side == "buy":
                fee, currency = quantity * rate, book.base
                wallet[book.base], wallet[book.quote] = base + quantity - fee, quote - quantity * price
            else:
                fee, currency = quantity * price * rate, book.quote
                wallet[book.base], wallet[book.quote] = base - quantity, quote + quantity * price - fee
        else:
            fee, currency = quantity * price * rate, book.quote
            position = account.position(book.name, account.slot(order.position, order.margin_mode))
            realised = trade_position(position, quantity if order.side == "buy" else -quantity, price)
            wallet[book.quote] = wallet.get(book.quote, ZERO) + realised - fee
        order.filled += quantity
        order.updated = self.now()
        order.fills.append(Fill(next(self.ids), order, price, quantity, fee, currency, order.updated, maker))

    def _end(self, order: Order, status: str) -> None:
        order.status, order.updated = status, self.now()
        self.resting.pop(order.id, None)
        if order.other is not None and order.other.open:
            self._end(order.other, "cancelled")


def trade_position(position: Position, signed: Decimal, price: Decimal) -> Decimal:
    """Applies a trade to a position and returns the realised profit."""
    held = position.quantity
    if held == 0 or (held > 0) == (signed > 0):
        position.entry = (abs(held) * position.entry + abs(signed) * price) / (abs(held) + abs(signed))
        position.quantity = held + signed
        return ZERO
    closed = min(abs(held), abs(signed))
    realised = (price - position.entry) * (closed if held > 0 else -closed)
    position.quantity = held + signed
    if position.quantity == 0:
        position.entry = ZERO
    elif (position.quantity > 0) != (held > 0):
        position.entry = price
    return realised


def _hold_currency(order: Order) -> str:
    """Returns the currency that an open spot order locks. Only Binance locks for a waiting stop."""
    if order.book.market != SPOT or (
        order.stop is not None
        and order.status in {"new", "untriggered"}
        and order.account.exchange != "binance"
    ):
        return ""
    return order.book.quote if order.side == "buy" else order.book.base


def _hold(order: Order) -> Decimal:
    if order.side == "sell":
        return order.remaining
    return order.remaining * (order.price or order.stop or order.book.last)
