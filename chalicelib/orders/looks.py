"""What a signal's orders are sized from: the price, and what the account has free and holds, each looked at once per signal.

What was seen is kept with the orders, so that a repetition comes to the same orders whatever has happened to the balance since.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

from chalicelib.exchanges.line import Line
from chalicelib.exchanges.paper import DOLLARS
from chalicelib.exchanges.protocol import Instrument, Side
from chalicelib.orders import ledger
from chalicelib.orders.entries import OWNED
from chalicelib.orders.models import Instruction
from chalicelib.trading import MarketType, PositionSide, Symbol

_ZERO = Decimal(0)


class Opened(Protocol):
    """An account's lines, one per market: to its exchange, or to what is stored of it."""

    def of(self, market_type: MarketType) -> Line:
        """The line to a market."""
        ...


class Looks:
    """One signal's looks at one account.

    Attributes:
        basis: What was seen so far, by name; part of every order that is claimed.
    """

    def __init__(self, lines: Opened, instruction: Instruction, basis: Mapping[str, Decimal]) -> None:
        """Starts from what an earlier attempt has seen."""
        self.basis = dict(basis)
        self._lines = lines
        self._instruction = instruction

    def price(self, symbol: Symbol) -> Decimal:
        """The exchange's last price. The signal's own price is never used."""
        market_type = self._instruction.market_type
        assert market_type is not None
        line = self._lines.of(market_type)
        return self._once("price", lambda: line.last_price(line.instrument(symbol.name)))

    def free(self, instrument: Instrument) -> Decimal:
        """Free quote balance."""
        return self._once("free", lambda: self._balance(instrument, instrument.quote))

    def held(self, instrument: Instrument, position_side: PositionSide | None) -> Decimal:
        """Free holdings, or the position."""
        if instrument.market_type is MarketType.FUTURES:
            line = self._lines.of(instrument.market_type)
            held = self._once("held", lambda: line.positions(position_side).get(instrument.name, _ZERO))
            self.basis.setdefault(OWNED, held)
            return held
        return self._once("held", lambda: self._balance(instrument, instrument.base))

    def exposure(self, account_id: str, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Position or holdings of one side, as the exchange has it now, with the ledger's open orders that would add to it."""
        direction = 1 if side is Side.BUY else -1
        line = self._lines.of(instrument.market_type)
        if instrument.market_type is MarketType.FUTURES:
            held = line.positions()
        else:
            held = {currency: total for currency, (_, total) in line.free_and_total().items() if currency not in DOLLARS}
        name = instrument.name if instrument.market_type is MarketType.FUTURES else instrument.base
        total = max(held.get(name, _ZERO) * direction, _ZERO)
        there = {each for each, quantity in held.items() if quantity}
        for order in ledger.unfinished(account_id):
            opens = not order.reduce_only and (order.side is Side.BUY or order.market_type is MarketType.FUTURES)
            if order.status.final or not opens or order.market_type is not instrument.market_type:
                continue
            base = order.symbol if instrument.market_type is MarketType.FUTURES else order.symbol.removesuffix(instrument.quote)
            there.add(base)
            if base == name and order.side is side:
                total += order.quantity - order.filled
        return total, len(there - {name})

    def afresh(self, seen_later: Mapping[str, Decimal] | None) -> None:
        """Forgets what an exit has changed.

        Args:
            seen_later: What an earlier attempt saw after the exit, if it came so far.
        """
        self.basis = {name: value for name, value in self.basis.items() if name == "price"} if seen_later is None else dict(seen_later)

    def _balance(self, instrument: Instrument, currency: str) -> Decimal:
        """Free balance; a look at one currency of a pair is a look at both."""
        balances = self._lines.of(instrument.market_type).free_and_total()
        free = {name: balances.get(name, (_ZERO, _ZERO))[0] for name in (instrument.base, instrument.quote)}
        if instrument.market_type is MarketType.SPOT:
            owned = balances.get(instrument.base, (_ZERO, _ZERO))[1]
            self.basis |= {"held": free[instrument.base], "free": free[instrument.quote], OWNED: owned}
        return free[currency]

    def _once(self, what: str, look: Callable[[], Decimal]) -> Decimal:
        if what not in self.basis:
            self.basis[what] = look()
        return self.basis[what]
