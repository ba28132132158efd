"""A plain model of one position and its exits on a path of prices, in exact fractions.

It knows no orders: only shares of a position, one stop for all that is left, and the prices of the market.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

F = Fraction


@dataclass
class ExitPath:
    """One position, long or short.

    Attributes:
        entry: Its price. `quantity` in base units, `tick` and `step` of the instrument.
        stop, trailing: Functions of a price that give the distance. None for none.
        targets: Distance from the entry and share in percent of each take-profit.
        activation: Distance from the entry from which the stop trails. None trails at once.
        break_even_move: Distance from the entry that moves the stop there. None for none.
        break_even_count: Number of take-profits that does so. None for none.
        fills: What was closed: price and quantity.
    """

    entry: F
    quantity: F
    tick: F
    step: F
    long: bool
    stop: Callable[[F], F] | None
    targets: list[tuple[F, F]]
    trailing: Callable[[F], F] | None = None
    activation: F | None = None
    break_even_move: F | None = None
    break_even_count: int | None = None
    fills: list[tuple[F, F]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sign = 1 if self.long else -1
        self.reached = 0
        self.shares: list[tuple[F | None, F]] = []  # take-profit and quantity
        percent, closed = F(0), F(0)
        for distance, share in self.targets:
            percent += share
            upto = floor(self.quantity * percent / 100 / self.step) * self.step
            if upto > closed:
                self.shares.append((self._away(self.entry + self.sign * distance), upto - closed))
            closed = upto
        if self.quantity > closed:
            self.shares.append((None, self.quantity - closed))
        self.active = self.activation is None
        self.stop_price: F | None = None
        if self.stop:
            self.stop_price = self._tight(self.entry, self.stop)
        if self.trailing and self.active:
            self._tighten(self._tight(self.entry, self.trailing))

    @property
    def open(self) -> F:
        return sum((quantity for _, quantity in self.shares), F(0))

    def levels(self) -> list[F]:
        """The prices at which something would be closed."""
        found = [target for target, _ in self.shares if target is not None]
        return [*found, self.stop_price] if self.stop_price is not None and self.shares else found

    def see(self, last: F, high: F | None = None, low: F | None = None) -> None:
        """The market went to its worse extreme, to the last price, to its better extreme, and back."""
        worse, better = (low, high) if self.long else (high, low)
        if worse is not None and (last - worse) * self.sign > 0:
            self._go(last, worse)
        if better is not None and (better - last) * self.sign > 0:
            self.trade(last)
            self._go(last, better)
            self._go(better, last)
        self.trade(last)

    def _go(self, start: F, end: F) -> None:
        """Every level between trades at its own price. The start has traded before."""
        for price in sorted(self.levels(), reverse=end < start):
            if min(start, end) < price < max(start, end):
                self.trade(price)
        self.trade(end)

    def trade(self, price: F) -> None:
        """The market trades at a price."""
        if self.stop_price is not None and (price - self.stop_price) * self.sign <= 0:
            self.fills += [(price, quantity) for _, quantity in self.shares]
            self.shares = []
        for share in list(self.shares):
            target, quantity = share
            if target is not None and (price - target) * self.sign >= 0:
                self.fills.append((price, quantity))
                self.shares.remove(share)
                self.reached += 1
        if self.break_even_count is not None and self.reached >= self.break_even_count:
            self._tighten(self._toward(self.entry))
        move = (price - self.entry) * self.sign
        if self.activation is not None and move >= self.activation:
            self.active = True
        if self.trailing and self.active:
            self._tighten(self._tight(price, self.trailing))
        if self.break_even_move is not None and move >= self.break_even_move:
            self._tighten(self._toward(self.entry))

    def _tighten(self, price: F) -> None:
        if self.stop_price is None or (price - self.stop_price) * self.sign > 0:
            self.stop_price = price

    def _tight(self, price: F, distance: Callable[[F], F]) -> F:
        """On the tick, never farther away than asked, and never nearer than the tick behind the next."""
        wanted = self._toward(price - self.sign * distance(price))
        nearest = self._floor(price - self.tick) if self.long else self._ceil(price + self.tick)
        return min(wanted, nearest) if self.long else max(wanted, nearest)

    def _toward(self, price: F) -> F:
        return self._ceil(price) if self.long else self._floor(price)

    def _away(self, price: F) -> F:
        return self._ceil(price) if self.long else self._floor(price)

    def _ceil(self, price: F) -> F:
        return ceil(price / self.tick) * self.tick

    def _floor(self, price: F) -> F:
        return floor(price / self.tick) * self.tick

    def proceeds(self) -> Iterator[F]:
        """What each fill brings: its value on spot is price × quantity, of a position its profit."""
        for price, quantity in self.fills:
            yield round((price - self.entry) * self.sign * quantity * 100) * F(1, 100)
