"""A token's quota of signals per minute, and the time of its last use.

A token's counts are in several items, its parts. Each accepted signal writes one part, in the transaction
that stores the signal. Acceptance reads the parts together with its other items. Neither the count nor the
last use costs an extra call.

DynamoDB cancels transactions that collide on one item, so a single item would make most of a hundred
concurrent alerts retry. Each part has a fixed share of the limit, so the limit is exact under concurrency.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from chalicelib import aws

PARTS = 4
"""A part takes about 40 transactions a second when many arrive at once."""

TOKENLESS = "tokenless"
"""The counter of a user's signals without a token."""

_TABLE = "usage"
_KEPT = timedelta(days=400)  # how long the last use is kept
_RESERVE = 2


class Usage:
    """The quota of one token, as read at acceptance.

    Args:
        user_id: The user of the token.
        counter: The token's hash, or `TOKENLESS`.
        parts: The stored parts, in the order of `item_keys`. None stands for a part not written yet.
        limit: Signals per minute. Closing and cancelling signals may use twice as many: a runaway sender must
            not keep the user in a position.
    """

    def __init__(self, user_id: str, counter: str, parts: Sequence[aws.Item | None], limit: int) -> None:
        self.limit = limit
        self._keys = [key for _, key in item_keys(user_id, counter)]
        self._parts = [part or {} for part in parts]

    def full(self, at: datetime, *, closing: bool) -> bool:
        """Returns whether the quota of this minute is used up, as far as known."""
        return not self._open(at, closing=closing)

    def write(self, at: datetime, *, closing: bool) -> tuple[int, aws.Write]:
        """Returns a part and the write that counts one signal in it.

        The write's condition fails if the part is full. Pass the part to `learn` in that case.
        """
        candidates = self._open(at, closing=closing) or [
            part for part in range(PARTS) if self._share(part, closing=closing)
        ]
        part = random.choice(candidates)  # noqa: S311 - spreads the load, hides nothing
        minute, used = self._state(part, at)
        values = {"minute": minute, "one": 1, "at": at.isoformat(), "forget": int((at + _KEPT).timestamp())}
        noted = "last_used_at = :at, forget_at = :forget"
        if not used:
            begun = "attribute_not_exists(#minute) OR #minute < :minute"
            return part, aws.update_write(
                _TABLE, self._keys[part], f"SET #minute = :minute, used = :one, {noted}", begun, **values
            )
        most = self._share(part, closing=closing)
        going_on = "#minute = :minute AND used < :most"
        return part, aws.update_write(
            _TABLE, self._keys[part], f"SET used = used + :one, {noted}", going_on, **values, most=most
        )

    def learn(self, part: int, item: aws.Item) -> None:
        """Updates a part with its stored state after a concurrent write."""
        self._parts[part] = item

    def _open(self, at: datetime, *, closing: bool) -> list[int]:
        return [
            part for part in range(PARTS) if self._state(part, at)[1] < self._share(part, closing=closing)
        ]

    def _share(self, part: int, *, closing: bool) -> int:
        limit = self.limit * _RESERVE if closing else self.limit
        return limit // PARTS + (part < limit % PARTS)

    def _state(self, part: int, at: datetime) -> tuple[str, int]:
        """Returns the minute that a part counts now, and its count.

        A concurrent request may have begun the next minute.
        """
        stored, now = self._parts[part], at.strftime("%Y-%m-%dT%H:%M")
        minute = str(stored.get("minute", ""))
        return (minute, int(stored["used"])) if minute >= now else (now, 0)


def item_keys(user_id: str, counter: str) -> list[tuple[str, aws.Key]]:
    """Returns the keys of the parts, for `aws.get_many`."""
    return [(_TABLE, {"user_id": user_id, "part": f"{counter}#{part}"}) for part in range(PARTS)]


def last_used(user_id: str) -> dict[str, str]:
    """Returns when each of a user's tokens was last used, ISO 8601 in UTC, by token hash."""
    latest: dict[str, str] = {}
    for item in aws.query_all(_TABLE, "user_id = :user", user=user_id):
        counter = item["part"].partition("#")[0]
        latest[counter] = max(latest.get(counter, ""), item["last_used_at"])
    return latest
