"""The check of opening orders: halts, risk rules and the signal's age.

Orders that close or reduce are not checked.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chalicelib.exchanges.protocol import OrderRequest
from chalicelib.execution.client import ExecutionClient
from chalicelib.orders import age
from chalicelib.orders.models import Instruction
from chalicelib.risk.rules import Opening
from chalicelib.risk.state import RiskState

_FRESH = timedelta(seconds=1)


class PreTradeRiskCheck:
    """Checks each opening order, called by `plan_orders`.

    Attributes:
        risk_state: Halts and risk rules, as last read.

    Args:
        read: Reads the risk state again.
        now: When `risk_state` was read.
    """

    def __init__(
        self,
        instruction: Instruction,
        client: ExecutionClient,
        risk_state: RiskState,
        read: Callable[[], RiskState],
        now: datetime,
    ) -> None:
        self.risk_state = risk_state
        self._instruction = instruction
        self._client = client
        self._read = read
        self._now = now

    def opening(self) -> None:
        """Raises Refused if no order may open now, whatever its size."""
        instruction = self._instruction
        self.risk_state.check(
            instruction.symbol.name if instruction.symbol else None, self._now, self._client.profits
        )
        age.check(instruction.sent_at, instruction.received_at, self._now, instruction.max_age_s)

    def order(self, order: OrderRequest, price: Decimal) -> None:
        """Raises Refused if this order exceeds a risk rule.

        Args:
            price: Approximate execution price, quote per base.
        """
        notional = order.quantity * price
        if not self.risk_state.looks_at_positions:
            self.risk_state.check_order(Opening(notional))
            return
        held, others = self._client.exposure(order.instrument, order.side)
        symbol = self._instruction.symbol
        current = self._client.current_price(symbol) if symbol and held else None
        self.risk_state.check_order(
            Opening(notional, position=notional + held * max(price, current or price), positions=others + 1)
        )

    def opened(self) -> None:
        """Counts an opening order."""
        self.risk_state.opened()

    def recheck(self) -> None:
        """Checks again, just before an order is sent: trading may have been halted while the order waited.

        Raises:
            Refused: The order is no longer permitted.
        """
        now = datetime.now(UTC)
        if now - self._now > _FRESH:
            self.risk_state = self._read().after(self.risk_state)
            self._now = now
            self.opening()
