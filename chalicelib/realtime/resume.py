"""What a client missed, out of the event log."""

import time
from dataclasses import dataclass
from typing import Any

from chalicelib.events import log as event_log
from chalicelib.events.models import LoggedEvent

MOST = 500
"""So many missed events are replayed; a client that missed more has to read its state anew."""

HIGHEST = 10**15
"""A number beyond this is no sequence."""


_WAITS = 10
_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Missed:
    """What followed the sequence a client saw last.

    Attributes:
        events: In order and without a gap; none if not all of them could be given.
        recovered: These are all.
        last: The sequence the client is at once it has them; if they are not all, where the stream stands.
    """

    events: tuple[LoggedEvent, ...]
    recovered: bool
    last: int


def missed_events(stream: str, after: int) -> Missed:
    """Everything that followed `after`, or that it cannot be had.

    Too much, too long ago, or a sequence this stream never had.
    """
    last = event_log.last(stream)
    if not 0 <= last - after <= MOST:
        return Missed((), recovered=False, last=last)
    events: list[LoggedEvent] = []
    waited = 0
    while after + len(events) < last:
        position = after + len(events)
        page = list(event_log.after(stream, position, last - position))  # a page ends at 1 MB
        whole = [event for number, event in enumerate(page, position + 1) if event.sequence == number]
        events += whole
        if whole:
            continue
        if not event_log.is_numbered_only(stream, position + 1):
            return Missed((), recovered=False, last=last)  # the log has forgotten some of them
        # Its publisher is between giving it its number and writing it into the log.
        waited += 1
        if waited > _WAITS:
            return Missed(tuple(events), recovered=True, last=position)  # it is told as it comes
        time.sleep(_WAIT_S)
    return Missed(tuple(events), recovered=True, last=last)


def resumed_message(found: Missed) -> dict[str, Any]:
    """What ends a replay."""
    return {"type": "resumed", "recovered": found.recovered, "last": found.last}


def event_at(stream: str, sequence: int) -> LoggedEvent | None:
    """The event at a place in a stream; None if there is none, or none any more."""
    return next(
        (event for event in event_log.after(stream, sequence - 1, 1) if event.sequence == sequence), None
    )
