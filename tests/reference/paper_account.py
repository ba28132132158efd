"""A simulated account in exact fractions, written from the contract and from what exchanges document.

It shares no code with the product.

Rules, each from the contract (C) or from exchange documentation (X):

- C 2.15: a taker's price moves by the slippage and is rounded half-even to the tick, for a buy never to zero.
  Value and commission are
  rounded half-even to the currency's places. A limit order never fills worse than its limit, and without
  slippage where it waited.
- C 2.15: what is refused changes nothing. An order whose value rounds to zero is refused.
- X (Binance, Bybit): a position ties up quantity × entry price ÷ leverage, and a new leverage holds for the
  whole position. What closes
  sets margin free. Cross margin: unrealised losses reduce what is free. Unrealised profit does not add to it
  here (the safer reading).
- X: balance + unrealised profit at or below the maintenance margin (0.5 % of the value) liquidates, the
  greatest loss first, after the
  account's entries are cancelled. The exchange bears what the balance cannot pay.
- X: reduce-only orders are carried out in full, at most to flat, and end with their position. OCO: one
  trades, the other goes.
- X: IOC cancels what does not fill at once, FOK fills in full or not at all.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

F = Fraction
ZERO, ONE = F(0), F(1)
MAINTENANCE = F(5, 1000)
PLACES = {"BTC": 8, "ETH": 8, "USDT": 2}


class Refused(Exception):
    """An order that is refused; the argument is the code."""


def to_multiple(value: F, step: F) -> F:
    """The multiple of a step next to a value, half to even."""
    return round(value / step) * step


def money(value: F, currency: str) -> F:
    return to_multiple(value, F(1, 10 ** PLACES[currency]))


@dataclass
class Asked:
    """An order as it is asked for: quantities and prices exact."""

    name: str
    base: str
    quote: str
    futures: bool
    buy: bool
    kind: str
    quantity: F
    tick: F
    step: F
    limit: F | None = None
    stop: F | None = None
    rises: bool | None = None
    leverage: int = 1
    reduce: bool = False
    post_only: bool = False
    wait: str | None = None
    pair: str | None = None
    strategy: str = ""
    triggered: bool = False
    reserved: F = ZERO

    @property
    def symbol(self) -> str:
        return self.base + self.quote

    @property
    def sells(self) -> bool:
        """Sells holdings."""
        return not self.futures and not self.buy


@dataclass
class Done:
    """What an order came to."""

    status: str
    filled: F = ZERO
    price: F | None = None
    fee: F | None = None
    code: str | None = None


@dataclass
class Open:
    """A futures position."""

    quantity: F = ZERO
    entry: F = ZERO
    leverage: int = 1
    shares: dict[str, F] = field(default_factory=dict)

    @property
    def margin(self) -> F:
        return abs(self.quantity) * self.entry / self.leverage

    def gain(self, price: F) -> F:
        return self.quantity * (price - self.entry)


@dataclass
class Coin:
    """A holding; `cost` in the account's currency."""

    quantity: F = ZERO
    cost: F = ZERO
    shares: dict[str, F] = field(default_factory=dict)
    carry: F = ZERO


class Model:
    """An account in USDT."""

    own = "USDT"

    def __init__(self, cash: F, slippage_bps: F = ZERO, commission_bps: F = ZERO, fill_rate: F = ONE) -> None:
        self.cash, self.slippage, self.commission, self.fill_rate = (
            cash,
            slippage_bps / 10000,
            commission_bps / 10000,
            fill_rate,
        )
        self.coins: dict[str, Coin] = {}
        self.open: dict[str, Open] = {}
        self.resting: list[Asked] = []
        self.prices: dict[str, F] = {}
        self.realised: dict[str, F] = {}
        self.happened: dict[str, Done] = {}
        self.ticks: dict[str, F] = {}
        """Ticks of the futures, by symbol."""

    # What there is

    def balance(self, asset: str) -> F:
        return self.cash if asset == self.own else self.coins.get(asset, Coin()).quantity

    def mark(self, symbol: str) -> F:
        return self.prices.get(symbol, self.open[symbol].entry)

    def gains(self) -> F:
        return sum((each.gain(self.mark(symbol)) for symbol, each in self.open.items()), ZERO)

    def available(self, asset: str) -> F:
        """What is free, negative where losses have used up what was set aside."""
        found = self.balance(asset) - sum(
            (each.reserved for each in self.resting if each.quote == asset), ZERO
        )
        found -= sum(
            (each.quantity for each in self.resting if each.sells and each.base == asset and not each.pair),
            ZERO,
        )
        if asset == self.own:
            found += min(self.gains(), ZERO) - sum((each.margin for each in self.open.values()), ZERO)
        return found

    def free(self, asset: str) -> F:
        unit = F(1, 10 ** PLACES[asset])
        return max(floor(self.available(asset) / unit) * unit, ZERO)

    def rate(self, asset: str) -> F | None:
        """Worth of a unit in USDT: by the last price, else by what it cost."""
        if asset == self.own:
            return F(1)
        coin = self.coins.get(asset)
        return self.prices.get(asset + self.own) or (
            coin.cost / coin.quantity if coin and coin.quantity else None
        )

    def equity(self) -> F:
        return (
            self.cash
            + self.gains()
            + sum((coin.quantity * (self.rate(name) or 0) for name, coin in self.coins.items()), ZERO)
        )

    # Orders

    def place(self, order: Asked, price: F | None) -> Done:
        if price is not None:
            self.prices[order.symbol] = price
        reached = order.kind == "limit" and price is not None and self.at_limit(order, price)
        if order.kind == "market" or reached:
            if price is None:
                raise Refused("no_price")
            if order.post_only:
                raise Refused("post_only_would_fill")
            return self.fill(order, price, taking=True)
        if order.kind == "limit" and order.wait:
            self.reserve(order)
            return Done("cancelled", code="not_filled_at_once")
        if order.stop is not None and order.rises is None:
            if price is None:
                raise Refused("no_price")
            order.rises = order.stop >= price
        order.reserved = self.reserve(order)
        self.resting.append(order)
        return Done("open")

    def on_price(self, symbol: str, price: F) -> None:
        self.prices[symbol] = price
        for order in [each for each in self.resting if each.symbol == symbol]:
            if order not in self.resting:
                continue
            taking = order.stop is not None and not order.triggered
            if taking:
                assert order.stop is not None
                if not (price >= order.stop if order.rises else price <= order.stop):
                    continue
                if order.kind == "stop_limit" and not self.at_limit(order, price):
                    if order.wait:
                        self.end(order, "not_filled_at_once")
                    order.triggered = True
                    continue
            elif not self.at_limit(order, price):
                continue
            self.resting.remove(order)
            try:
                done = self.fill(order, price if taking else order.limit or price, taking=taking)
            except Refused as refused:
                done = Done("cancelled", code=str(refused))
            self.happened[order.name] = done
        self.liquidate()

    def cancel(self, name: str) -> bool:
        found = [order for order in self.resting if order.name == name]
        for order in found:
            self.end(order, None)
        return bool(found)

    def end(self, order: Asked, code: str | None) -> None:
        self.resting.remove(order)
        self.happened[order.name] = Done("cancelled", code=code)

    @staticmethod
    def at_limit(order: Asked, price: F) -> bool:
        return order.limit is None or (price <= order.limit if order.buy else price >= order.limit)

    def priced(self, order: Asked, price: F, quantity: F, *, taking: bool) -> tuple[F, F, F]:
        """Price, value and commission of a fill."""
        moved = price * (1 + (self.slippage if order.buy else -self.slippage)) if taking else price
        executed = to_multiple(moved, order.tick)
        if (order.buy or order.futures) and not executed:
            executed = order.tick
        if (
            order.limit is not None
            and order.kind != "market"
            and (executed > order.limit if order.buy else executed < order.limit)
        ):
            executed = order.limit
        value = money(executed * quantity, order.quote)
        if not value and not (order.futures and not self.opened_by(order, quantity)):
            raise Refused("below_minimum_notional")
        return executed, value, money(value * self.commission, order.quote)

    def opened_by(self, order: Asked, quantity: F) -> F:
        position = self.open.get(order.symbol, Open()).quantity
        against = position < 0 if order.buy else position > 0
        return max(quantity - abs(position), ZERO) if against else quantity

    def reserve(self, order: Asked) -> F:
        if order.reduce or order.pair:
            self.size(order)
            return ZERO
        price = order.limit if order.limit is not None else order.stop
        assert price is not None
        executed, value, fee = self.priced(order, price, order.quantity, taking=order.kind == "stop_market")
        if order.sells:
            self.need_coins(order, order.quantity)
            return ZERO
        needed = value + fee
        if order.futures:
            before, after, won = self.moved(order, executed, order.quantity)
            needed = after.margin - before.margin + fee - won
        if needed > max(self.available(order.quote), ZERO):
            raise Refused("insufficient_funds")
        return max(needed, ZERO)

    def need_coins(self, order: Asked, quantity: F) -> None:
        if quantity > max(self.available(order.base), ZERO):
            raise Refused("insufficient_holdings")

    def size(self, order: Asked) -> F:
        """What of an order trades."""
        if order.reduce:
            position = self.open.get(order.symbol, Open()).quantity
            return self.some(order, -position if order.buy else position)
        if order.sells:
            return self.some(order, self.balance(order.base)) if order.pair else order.quantity
        opens = self.opened_by(order, order.quantity) if order.futures else order.quantity
        filling = opens if self.fill_rate == 1 else floor(opens * self.fill_rate / order.step) * order.step
        if not order.quantity - opens + filling:
            raise Refused("below_minimum")
        return order.quantity - opens + filling

    @staticmethod
    def some(order: Asked, there: F) -> F:
        if there <= 0:
            raise Refused("no_position")
        return min(order.quantity, there)

    def fill(self, order: Asked, price: F, *, taking: bool) -> Done:
        quantity = self.size(order)
        if order.wait == "FOK" and quantity != order.quantity:
            return Done("cancelled", code="not_filled_at_once")
        executed, value, fee = self.priced(order, price, quantity, taking=taking)
        won = (
            self.trade_position(order, executed, quantity, fee)
            if order.futures
            else self.trade_coins(order, quantity, value, fee)
        )
        self.realised[order.name] = self.realised.get(order.name, ZERO) + won
        for other in [each for each in self.resting if order.pair and each.pair == order.pair]:
            self.end(other, "position_left")
        self.trim(order)
        return Done("filled" if quantity == order.quantity else "partially_filled", quantity, executed, fee)

    def trade_coins(self, order: Asked, quantity: F, value: F, fee: F) -> F:
        rate = self.rate(order.quote)
        if order.buy:
            if value + fee > max(self.available(order.quote), ZERO):
                raise Refused("insufficient_funds")
            gone = self.pay(order.quote, value + fee, order.strategy)
            came = self.get(order.base, quantity, value * (rate or 0), order.strategy)
        else:
            if not order.pair:
                self.need_coins(order, quantity)
            gone = self.pay(order.base, quantity, order.strategy)
            came = self.get(
                order.quote, value - fee, gone if rate is None else (value - fee) * rate, order.strategy
            )
        coin = self.coins[order.base]
        exact = came - gone + coin.carry
        won = money(exact, self.own)
        coin.carry = exact - won if coin.quantity else ZERO
        return won

    def pay(self, asset: str, amount: F, strategy: str) -> F:
        if asset == self.own:
            self.cash -= amount
            return amount
        coin = self.coins[asset]
        cost = coin.cost * amount / coin.quantity
        coin.shares = shared(coin.shares, coin.quantity, coin.quantity - amount, strategy)
        coin.quantity, coin.cost = coin.quantity - amount, coin.cost - cost
        return cost

    def get(self, asset: str, amount: F, cost: F, strategy: str) -> F:
        if asset == self.own:
            self.cash += amount
            return amount
        coin = self.coins.setdefault(asset, Coin())
        coin.shares = shared(coin.shares, coin.quantity, coin.quantity + amount, strategy)
        coin.quantity, coin.cost = coin.quantity + amount, coin.cost + cost
        return cost

    def moved(self, order: Asked, price: F, quantity: F) -> tuple[Open, Open, F]:
        """The position before and after a fill, and what closing won."""
        before = self.open.get(order.symbol, Open())
        opens = self.opened_by(order, quantity)
        closes = quantity - opens
        after = before.quantity + (quantity if order.buy else -quantity)
        won = money((price - before.entry) * closes * (1 if before.quantity > 0 else -1), order.quote)
        entry, leverage = before.entry, before.leverage
        if opens:
            stays = ZERO if closes else abs(before.quantity)
            entry, leverage = (stays * before.entry + opens * price) / (stays + opens), order.leverage
        return (
            before,
            Open(after, entry, leverage, shared(before.shares, before.quantity, after, order.strategy)),
            won,
        )

    def trade_position(self, order: Asked, price: F, quantity: F, fee: F) -> F:
        before, after, won = self.moved(order, price, quantity)
        if self.opened_by(order, quantity):
            rest = sum(
                (
                    each.gain(self.mark(symbol))
                    for symbol, each in self.open.items()
                    if symbol != order.symbol
                ),
                ZERO,
            )
            now = rest + (before.gain(self.mark(order.symbol)) if order.symbol in self.open else ZERO)
            deeper = min(now, ZERO) - min(rest + after.gain(price), ZERO)
            if after.margin - before.margin + fee - won + deeper > max(self.available(order.quote), ZERO):
                raise Refused("insufficient_funds")
        if after.quantity:
            self.open[order.symbol] = after
        else:
            self.open.pop(order.symbol, None)
        return self.settle(won - fee)

    def settle(self, profit: F) -> F:
        missing = -(self.cash + profit)
        for symbol in sorted(self.open):
            gain = money(self.open[symbol].gain(self.mark(symbol)), self.own)
            if missing > 0 and gain > 0:
                self.open[symbol].entry = self.mark(symbol)
                profit, missing = profit + gain, missing - gain
        profit += max(missing, ZERO)
        self.cash += profit
        return profit

    def trim(self, order: Asked) -> None:
        """Exits end with their position, the oldest of a strategy first.

        So do waiting sales of what is gone.
        """
        held = self.open.get(order.symbol, Open()) if order.futures else self.coins[order.base]
        left, cover = dict(held.shares), {}
        for each in reversed(list(self.resting)):
            same = each.futures == order.futures and (
                each.symbol == order.symbol if order.futures else each.base == order.base
            )
            if not same or not (each.reduce or each.pair):
                continue
            if each.pair and each.pair not in cover:
                cover[each.pair] = min(each.quantity, left.get(each.strategy, ZERO))
                left[each.strategy] = left.get(each.strategy, ZERO) - cover[each.pair]
            covered = cover[each.pair] if each.pair else each.quantity
            if not covered or not (held.quantity < 0 if each.buy else held.quantity > 0):
                self.end(each, "position_left")
            else:
                each.quantity = min(each.quantity, covered)
        for each in reversed(list(self.resting)):
            if (
                not order.futures
                and each.sells
                and not each.pair
                and each.base == order.base
                and self.available(order.base) < 0
            ):
                self.end(each, "position_left")

    def liquidate(self) -> None:
        while self.open and self.cash + self.gains() <= sum(
            (abs(each.quantity) * self.mark(symbol) * MAINTENANCE for symbol, each in self.open.items()), ZERO
        ):
            for order in [each for each in self.resting if each.futures and not each.reduce]:
                self.end(order, "liquidated")
            symbol = min(sorted(self.open), key=lambda name: self.open[name].gain(self.mark(name)))
            position = self.open[symbol]
            strategy, share = min((name, share) for name, share in position.shares.items() if share)
            closing = Asked(
                f"liquidation {len(self.happened)}",
                symbol.removesuffix(self.own),
                self.own,
                True,
                position.quantity < 0,
                "market",
                share,
                self.ticks[symbol],
                F(1),
                reduce=True,
                strategy=strategy,
            )
            done = self.fill(closing, self.mark(symbol), taking=True)
            self.happened[closing.name] = Done(done.status, done.filled, done.price, done.fee, "liquidated")


def shared(shares: dict[str, F], before: F, after: F, strategy: str) -> dict[str, F]:
    """Whose a quantity is.

    What leaves is the strategy's own first, then nobody's, then the others' by name.
    """
    if not after:
        return {}
    if not before or (before > 0) is not (after > 0):
        return {strategy: abs(after)}
    found, change = dict(shares), abs(after) - abs(before)
    if change >= 0:
        found[strategy] = found.get(strategy, ZERO) + change
        return found
    for name in [strategy, "", *sorted(found)]:
        taken = min(-change, found.get(name, ZERO))
        found[name] = found.get(name, ZERO) - taken
        change += taken
    return found
