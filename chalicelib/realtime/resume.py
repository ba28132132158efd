"""The events that a client missed, from the event log."""

import time
from dataclasses import dataclass
from typing import Any

from chalicelib.events import log as event_log
from chalicelib.events.models import LoggedEvent

MOST = 500
"""The most missed events that are replayed. A client that missed more must read its state again."""

HIGHEST = 10**15
"""The upper bound of a sequence."""


_WAITS = 10
_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class MissedEvents:
    """The events after the last sequence that a client saw.

    Attributes:
        events: In order and without a gap. Empty if not all events are available.
        recovered: These are all missed events.
        last: The client's sequence after these events. If `recovered` is false, the stream's position.
    """

    events: tuple[LoggedEvent, ...]
    recovered: bool
    last: int


def missed_events(stream: str, after: int) -> MissedEvents:
    """Returns every event after `after`, or none if not all of them are available.

    They are unavailable if they are too many or too old, or if the stream never had `after`.
    """
    last = event_log.last(stream)
    if not 0 <= last - after <= MOST:
        return MissedEvents((), recovered=False, last=last)
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
            return MissedEvents((), recovered=False, last=last)  # some are past the log's retention
        # The publisher has numbered the event and is about to write it into the log.
        waited += 1
        if waited > _WAITS:
            return MissedEvents(tuple(events), recovered=True, last=position)  # it follows as a live event
        time.sleep(_WAIT_S)
    return MissedEvents(tuple(events), recovered=True, last=last)


def resumed_message(found: MissedEvents) -> dict[str, Any]:
    """Returns the message that ends a replay."""
    return {"type": "resumed", "recovered": found.recovered, "last": found.last}


def event_at(stream: str, sequence: int) -> LoggedEvent | None:
    """Returns the event with this number in the stream. None if there is none, or none any more."""
    return next(
        (event for event in event_log.after(stream, sequence - 1, 1) if event.sequence == sequence), None
    )
