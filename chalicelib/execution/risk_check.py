"""What an order that opens must pass: switches and rules, and the signal's age. What closes or reduces passes freely."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chalicelib.exchanges.protocol import OrderRequest
from chalicelib.execution.client import Desk
from chalicelib.orders import age
from chalicelib.orders.models import Instruction
from chalicelib.risk.rules import Opening
from chalicelib.risk.state import Watch

_FRESH = timedelta(seconds=1)


class Gate:
    """Asked by `trade` before each order that opens.

    Attributes:
        watch: The switches and rules, as last read.

    Args:
        read: Reads them again.
        now: When they were read.
    """

    def __init__(self, instruction: Instruction, desk: Desk, watch: Watch, read: Callable[[], Watch], now: datetime) -> None:
        self.watch = watch
        self._instruction = instruction
        self._desk = desk
        self._read = read
        self._now = now

    def opening(self) -> None:
        """Raises Refused if nothing may be opened now, whatever its size."""
        instruction = self._instruction
        self.watch.check(instruction.symbol.name if instruction.symbol else None, self._now, self._desk.profits)
        age.check(instruction.sent_at, instruction.received_at, self._now, instruction.max_age_s)

    def order(self, order: OrderRequest, price: Decimal) -> None:
        """Raises Refused if this order is too much; `price` is what it will trade at, roughly, quote per base."""
        notional = order.quantity * price
        if not self.watch.looks_at_positions:
            self.watch.check_order(Opening(notional))
            return
        held, others = self._desk.exposure(order.instrument, order.side)
        symbol = self._instruction.symbol
        current = self._desk.current_price(symbol) if symbol and held else None
        self.watch.check_order(Opening(notional, position=notional + held * max(price, current or price), positions=others + 1))

    def opened(self) -> None:
        """Counts an order that opens."""
        self.watch.opened()

    def again(self) -> None:
        """Asks once more before an order leaves, if it had to wait: who halted meanwhile did so to keep it back.

        Raises:
            Refused: It may not leave any more.
        """
        now = datetime.now(UTC)
        if now - self._now > _FRESH:
            self.watch = self._read().after(self.watch)
            self._now = now
            self.opening()
