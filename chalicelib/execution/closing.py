"""Leaving positions: the one place where a position becomes the orders that close or reduce it.

An order at market may trade less than it asks for, and may ask for no more than the exchange's largest order
at market. So a position is left in parts until nothing of it stands or time is up. Each part is an order with
a leg and a client id of its own ("close", "close-2"), derived from the signal, so a redelivered message finds
the parts that were sent before.
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
_MOST_PARTS = 200  # of one position, so that no exchange's odd answers keep it going for ever
_ROOM = Decimal("0.9")  # of a maximum that is a value: the exchange's price may be higher than the last one


def closing_order(position: Position, instrument: Instrument, quantity: Decimal) -> OrderRequest:
    """The order at market that takes `quantity` base units of a position away, by the position's side and margin mode."""
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
    """A quantity as orders at market that the exchange takes.

    As large as possible, and none below the minimum.

    Args:
        price: Quote per base; None where it is not known.
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
    """A position that is being left.

    Attributes:
        leg: The leg of its first part.
        wanted: How much of it is to go, base units.
        left: How much of that stands.
        number: Parts tried so far; `placed` of them the exchange has taken.
        largest: What one part may ask for, base units, after the exchange has refused a part for its size.
        refusal: Why no further part was taken.
        unknown: What became of the last part is not known, so no further one is sent.
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
        """Another part may be tried."""
        return self.refusal is None and not self.unknown and self.number < _MOST_PARTS


def leavings(positions: Sequence[Position], leg: str, wanted: Decimal | None = None) -> list[Leaving]:
    """Positions to leave, in their order: whole, or together as much as is wanted, base units.

    The legs of further positions say which positions they are.
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


def _words(position: Position, oco_sibling: Sequence[Position]) -> list[str]:
    """What tells a position from those beside it: side, margin mode, both, or nothing where it is alone."""
    same_side = [each for each in oco_sibling if each.position_side == position.position_side]
    words = [
        position.position_side if len(same_side) < len(oco_sibling) else None,
        position.margin_mode if len(same_side) > 1 else None,
    ]
    return [word for word in words if word]


class Leave:
    """Leaves the positions of one instrument.

    Args:
        place: Places an order under a leg and gives it as it ended.
        price: Quote per base; None where it is not known.
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
        """Leaves them: each once, then what is left of each again and again.

        Raises:
            Refused: The exchange took no order at all.
            NotDoable: `close_incomplete`: something of them stands when time is up.
            Retryable: Nothing certain could be done in the time there is; the next delivery of the message
                goes on from here.
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
        """Places parts while each fills wholly, and all that an earlier attempt has claimed."""
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
        """Half of it, rounded up to the step, and no less than the minimum."""
        step = self._instrument.quantity_step
        return max(
            (quantity / 2 / step).to_integral_value(ROUND_CEILING) * step,
            filters.least(self._instrument, self._price),
        )

    def _look(self, leaving: Leaving) -> None:
        """What of it stands now: something else may have closed it, such as its stop-loss."""
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
    """A closing order of another type: with the prices and conditions of an order that was asked for."""
    return replace(
        request,
        order_type=like.order_type,
        price=like.price,
        stop_price=like.stop_price,
        trigger_above=like.trigger_above,
        post_only=like.post_only,
        time_in_force=like.time_in_force,
    )
