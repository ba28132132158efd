"""Closing positions: the only module that turns a position into orders that close or reduce it.

A market order may fill only in part, and its size is capped by the exchange's largest market order. A
position is therefore closed in parts until nothing is left or time is up. Each part has its own leg ("close",
"close-2") and a client order id derived from the signal. A redelivered message finds the parts that were sent
before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from itertools import count

from chalicelib.errors import NotDoable, Refused
from chalicelib.exchanges import filters
from chalicelib.exchanges.oversize import is_too_large
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderStatus, Position, Side
from chalicelib.exchanges.wire import text
from chalicelib.execution.client import ExecutionClient
from chalicelib.orders.legs import part_of
from chalicelib.orders.models import CLOSE_INCOMPLETE, Order
from chalicelib.trading import MarketType, OrderType

_ZERO = Decimal(0)
_MOST_PARTS = 200  # per position. Ends the loop if an exchange keeps giving odd answers
_ROOM = Decimal("0.9")  # margin for a maximum in quote units: the exchange's price may exceed the last price


def closing_order(position: Position, instrument: Instrument, quantity: Decimal) -> OrderRequest:
    """Returns the market order that closes `quantity` base units of a position.

    Side and margin mode follow the position.
    """
    return OrderRequest(
        client_order_id="",
        instrument=instrument,
        side=Side.BUY if position.quantity < 0 else Side.SELL,
        order_type=OrderType.MARKET,
        quantity=quantity,
        reduce_only=instrument.market_type is MarketType.FUTURES,
        margin_mode=position.margin_mode,
        hedged=position.position_side is not None,
    )


def parts(instrument: Instrument, quantity: Decimal, price: Decimal | None) -> list[Decimal]:
    """Splits a quantity into market orders that the exchange accepts, base units.

    Each part is as large as possible and none is below the minimum.

    Args:
        price: Quote per base. None if unknown.
    """
    room = price / _ROOM if price else None
    largest, least = filters.largest_at_market(instrument, room), filters.least(instrument, price)
    found = []
    while largest and quantity > largest:
        found.append(
            largest if quantity - largest >= least else filters.round_quantity(instrument, quantity - least)
        )
        quantity -= found[-1]
    return [*found, quantity]


@dataclass(slots=True)
class Leaving:
    """A position that is being closed.

    Attributes:
        leg: Leg of the first part.
        wanted: Quantity to close, base units.
        left: Part of `wanted` that is still open, base units.
        number: Number of parts tried so far.
        placed: Number of parts that the exchange has taken.
        largest: Largest size of one part, base units, after the exchange has refused a part as too large.
            None before.
        refusal: Why the last part was refused. None if none was.
        unknown: Whether the last part's outcome is unknown. If so, no further part is sent.
    """

    position: Position
    leg: str
    wanted: Decimal
    left: Decimal
    number: int = 0
    placed: int = 0
    largest: Decimal | None = None
    refusal: Refused | None = None
    unknown: bool = False

    @property
    def may_go_on(self) -> bool:
        """Whether another part may be tried."""
        return self.refusal is None and not self.unknown and self.number < _MOST_PARTS


def leavings(positions: Sequence[Position], leg: str, wanted: Decimal | None = None) -> list[Leaving]:
    """Returns the positions to close, in their order.

    The legs of the second and later positions name side or margin mode.

    Args:
        wanted: Base units to close in all. None closes every position completely.
    """
    found: list[Leaving] = []
    for position in positions:
        quantity = abs(position.quantity) if wanted is None else min(abs(position.quantity), wanted)
        if wanted is not None:
            wanted -= quantity
        if quantity:
            name = "-".join([leg, *_words(position, positions)]) if found else leg
            found.append(Leaving(position, name, quantity, quantity))
    return found


def _words(position: Position, positions: Sequence[Position]) -> list[str]:
    """Returns the words that distinguish a position from the others: side, margin mode, both or none."""
    same_side = [each for each in positions if each.position_side == position.position_side]
    words = [
        position.position_side if len(same_side) < len(positions) else None,
        position.margin_mode if len(same_side) > 1 else None,
    ]
    return [word for word in words if word]


class Leave:
    """Closes the positions of one instrument.

    Args:
        place: Places an order under a leg and returns the order once it has ended.
        price: Quote per base. None if unknown.
    """

    def __init__(
        self,
        client: ExecutionClient,
        instrument: Instrument,
        place: Callable[[str, OrderRequest], Order],
        price: Decimal | None,
    ) -> None:
        self._client, self._instrument, self._place, self._price = client, instrument, place, price

    def run(self, all_: Sequence[Leaving]) -> None:
        """Closes each position once, then retries the open rests until time is up.

        Raises:
            Refused: The exchange took no order at all.
            NotDoable: `close_incomplete`: a position is still open when time is up.
            Retryable: The outcome is not certain yet. The next delivery of the message continues from here.
        """
        for each in all_:
            self._advance(each)
        for attempt in count():
            pending = [each for each in all_ if each.left and each.may_go_on]
            if not pending or not self._client.wait_for_rest(attempt):
                break
            for each in pending:
                self._look(each)
                self._advance(each)
        self._conclude(all_)

    def _advance(self, leaving: Leaving) -> None:
        """Places parts while each fills completely, including all parts recorded by an earlier attempt."""
        while leaving.left:
            quantity = parts(self._instrument, leaving.left, self._price)[0]
            quantity = min(quantity, leaving.largest or quantity)
            request = closing_order(leaving.position, self._instrument, quantity)
            try:
                order = self._place(part_of(leaving.leg, leaving.number + 1), request)
            except Refused as refusal:
                leaving.number += 1
                leaving.largest = self._half(quantity)
                if is_too_large(refusal) and leaving.largest < quantity and leaving.number < _MOST_PARTS:
                    continue
                leaving.refusal = refusal
                return
            leaving.number += 1
            leaving.placed += 1
            leaving.unknown = order.status is OrderStatus.UNKNOWN
            leaving.left = filters.round_quantity(self._instrument, max(leaving.left - order.filled, _ZERO))
            short = order.filled < order.quantity
            if leaving.unknown or leaving.number >= _MOST_PARTS:
                return
            if short and not self._client.claimed(part_of(leaving.leg, leaving.number + 1)):
                return

    def _half(self, quantity: Decimal) -> Decimal:
        """Returns half of a quantity, rounded up to the step and at least the minimum."""
        step = self._instrument.quantity_step
        return max(
            (quantity / 2 / step).to_integral_value(ROUND_CEILING) * step,
            filters.least(self._instrument, self._price),
        )

    def _look(self, leaving: Leaving) -> None:
        """Updates the open rest. Another order, such as a stop-loss, may have closed it."""
        standing = self._client.standing(self._instrument, leaving.position)
        leaving.left = filters.round_quantity(self._instrument, min(leaving.left, standing))

    def _conclude(self, all_: Sequence[Leaving]) -> None:
        for each in all_:
            if each.refusal and each.placed:
                self._look(each)
        standing = [each for each in all_ if each.left]
        if not standing:
            return
        refusal = next((each.refusal for each in standing if each.refusal), None)
        if refusal and not any(each.placed for each in all_):
            raise refusal
        if not self._client.insists:
            return
        closed = sum((each.wanted - each.left for each in all_), _ZERO)
        positions = [each.position for each in all_]
        left = ", ".join(" ".join([text(each.left), *_words(each.position, positions)]) for each in standing)
        raise NotDoable(CLOSE_INCOMPLETE, symbol=self._instrument.name, closed=text(closed), left=left)


def as_order(request: OrderRequest, like: OrderRequest) -> OrderRequest:
    """Returns a closing order with the type, prices and conditions of the requested order."""
    return replace(
        request,
        order_type=like.order_type,
        price=like.price,
        stop_price=like.stop_price,
        trigger_above=like.trigger_above,
        post_only=like.post_only,
        time_in_force=like.time_in_force,
    )
