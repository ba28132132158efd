"""`Idempotency-Key`.

A request that moves money, sent again under the same key, moves it once and gets the first answer.

As https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header describes it, keys being the
caller's own. Only what was done is remembered; a refusal is judged anew.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.errors import Conflict, Refused
from chalicelib.http import Answer, Request, to_json

KEPT = timedelta(hours=24)
LONGEST = 255
_HEADER = "idempotency-key"


class Replayed(Exception):
    """The request was carried out before.

    Args:
        answer: The first answer, with `Idempotent-Replayed: true`.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__("carried out before")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request under a key."""

    key: str
    fingerprint: str
    at: datetime

    def write(self, answer: Mapping[str, Any]) -> aws.Write:
        """The write that belongs into the transaction of what the request does.

        Refused if it was carried out before.
        """
        item = {
            "key": self.key,
            "fingerprint": self.fingerprint,
            "answer": to_json(answer),
            "received_at": self.at.isoformat(),
            "forget_at": int((self.at + KEPT).timestamp()),
        }
        free = "attribute_not_exists(fingerprint) OR received_at < :since"
        return aws.put_write("idempotency", item, free, since=(self.at - KEPT).isoformat())

    def check(self, refused: aws.WriteRefused) -> None:
        """Says so if a transaction, whose last write was this one's, was refused because the request was carried out before.

        Raises:
            Repeated: It was.
            Conflict: `idempotency_key_reused`: another request was, under the same key.
        """
        self._found(refused.failed[-1])

    def look(self) -> None:
        """Says so if the request was carried out before; raises as `check` does."""
        item = aws.get("idempotency", {"key": self.key})
        self._found(item if item and item["received_at"] >= (self.at - KEPT).isoformat() else None)

    def _found(self, earlier: aws.Item | None) -> None:
        if earlier is None:
            return
        if earlier["fingerprint"] != self.fingerprint:
            raise Conflict("idempotency_key_reused")
        raise Replayed(Answer(201, json.loads(earlier["answer"]), {"Idempotent-Replayed": "true"}))


def answer_once(
    request: Request, by: str, now: datetime, do: Callable[[IdempotentRequest | None], Mapping[str, Any]]
) -> Answer:
    """Carries a request out, once where it has a key.

    Args:
        by: Whose key it is.
        do: Does it, writing the key in its own transaction, and gives the body of the answer.

    Raises:
        Conflict: `idempotency_key_reused`: another request came before under the same key.
        Refused: As `do` raises, or the key is none.
    """
    once = requested_key(request, by, now)
    try:
        if once:
            once.look()
        try:
            return Answer(201, do(once))
        except Refused:
            if once:
                once.look()  # what it needed may be gone because its first try, a moment ago, has taken it
            raise
    except Replayed as repeated:
        return repeated.answer


def requested_key(request: Request, by: str, now: datetime) -> IdempotentRequest | None:
    """The key of a request of a caller; None if it has none. Raises Refused for one that is no key."""
    key = request.headers.get(_HEADER)
    if not key:
        return None
    if len(key) > LONGEST:
        raise Refused("too_long", field="Idempotency-Key", limit=LONGEST)
    return IdempotentRequest(f"api#{by}#{request.route}#{key}", hashlib.sha256(request.body).hexdigest(), now)
