"""How often a token is used: so many signals a minute and no more, and when it was used last.

The counts of a token stand in a few items, its parts, and each accepted signal writes one of them, in the
transaction that stores the signal; the parts are read with everything else that acceptance reads, so neither
counting nor last use costs a call of its own. It is
several items because DynamoDB cancels transactions that meet at one: of a hundred alerts in one instant most
would have to try again and again. Each part has its share of the limit and takes no more, so the limit is
exact, however many arrive at once.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from chalicelib import aws

PARTS = 4
"""A part takes some forty transactions a second when many arrive at once."""

TOKENLESS = "tokenless"
"""Where signals without a token are counted, all of a user's together."""

_TABLE = "usage"
_KEPT = timedelta(days=400)  # so long last use is remembered
_RESERVE = 2


class Usage:
    """How often one token has been used, as read at acceptance.

    Args:
        user_id: Whose it is.
        counter: The token's hash, or `TOKENLESS`.
        parts: The stored parts, in the order of `keys`.
        limit: Signals per minute. What closes or cancels is let through up to twice as many: a runaway sender
            must not keep its owner in a position.
    """

    def __init__(self, user_id: str, counter: str, parts: Sequence[aws.Item | None], limit: int) -> None:
        self.limit = limit
        self._keys = [key for _, key in item_keys(user_id, counter)]
        self._parts = [part or {} for part in parts]

    def full(self, at: datetime, *, closing: bool) -> bool:
        """Whether there is no room in this minute, as far as is known."""
        return not self._open(at, closing=closing)

    def write(self, at: datetime, *, closing: bool) -> tuple[int, aws.Write]:
        """The write that counts one signal, refused if its part is full.

        And which part that is, for `learn`.
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
        """Notes a part as it stands: somebody else has written it meanwhile."""
        self._parts[part] = item

    def _open(self, at: datetime, *, closing: bool) -> list[int]:
        return [
            part for part in range(PARTS) if self._state(part, at)[1] < self._share(part, closing=closing)
        ]

    def _share(self, part: int, *, closing: bool) -> int:
        limit = self.limit * _RESERVE if closing else self.limit
        return limit // PARTS + (part < limit % PARTS)

    def _state(self, part: int, at: datetime) -> tuple[str, int]:
        """The minute a part counts in now, and how often it has.

        A request that overtook this one may have begun the next minute.
        """
        stored, now = self._parts[part], at.strftime("%Y-%m-%dT%H:%M")
        minute = str(stored.get("minute", ""))
        return (minute, int(stored["used"])) if minute >= now else (now, 0)


def item_keys(user_id: str, counter: str) -> list[tuple[str, aws.Key]]:
    """Where the parts are, for `aws.get_many`."""
    return [(_TABLE, {"user_id": user_id, "part": f"{counter}#{part}"}) for part in range(PARTS)]


def last_used(user_id: str) -> dict[str, str]:
    """When each of a user's tokens that was ever used was used last, ISO 8601 in UTC, by its hash."""
    latest: dict[str, str] = {}
    for item in aws.query_all(_TABLE, "user_id = :user", user=user_id):
        counter = item["part"].partition("#")[0]
        latest[counter] = max(latest.get(counter, ""), item["last_used_at"])
    return latest
