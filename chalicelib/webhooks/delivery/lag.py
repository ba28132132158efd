"""The lag of matching: the age of a stream's oldest event that has not become deliveries yet."""

from collections.abc import Collection
from datetime import datetime

from chalicelib import aws
from chalicelib.events import log as event_log


def note(stream: str, sequence: int) -> None:
    """Records up to where a stream has been matched. An earlier batch changes nothing."""
    forward = "attribute_not_exists(#sequence) OR #sequence < :sequence"
    try:
        aws.write(
            aws.update_write(
                "webhooks", _key(stream), "SET #sequence = :sequence", forward, sequence=sequence
            )
        )
    except aws.WriteRefused:
        return


def start(stream: str) -> None:
    """Records that a stream is matched from now on: it has its first subscription."""
    note(stream, event_log.last(stream))


def lags(streams: Collection[str], now: datetime) -> dict[str, float]:
    """Returns the seconds that each stream's matching is behind.

    0 if nothing waits, or if the stream was never matched.
    """
    names = sorted(set(streams))
    keys: list[tuple[str, aws.Key]] = [("webhooks", _key(name)) for name in names]
    keys += [("events", {"stream": name, "sequence": 0}) for name in names]
    items = aws.get_many(keys) if keys else []
    found: dict[str, float] = {}
    for name, matched, counter in zip(names, items[: len(names)], items[len(names) :], strict=True):
        found[name] = 0.0
        if matched and counter and matched["sequence"] < counter["last"]:
            oldest = next(event_log.after(name, int(matched["sequence"]), 1), None)
            found[name] = max(0.0, round((now - oldest.timestamp).total_seconds(), 3)) if oldest else 0.0
    return found


def _key(stream: str) -> dict[str, str]:
    return {"id": f"matched#{stream}"}
