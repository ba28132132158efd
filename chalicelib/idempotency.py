"""`Idempotency-Key`: a repeated request that creates something gets the first answer and creates nothing.

As in https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header. Each credential has a key
space of its own. Only successful requests are stored. A refused request is evaluated again.
"""

import hashlib
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
    """A request with an idempotency key."""

    key: str
    fingerprint: str
    at: datetime

    def write(self, answer: Mapping[str, Any]) -> aws.Write:
        """Returns the write for the transaction of the request's own changes.

        The condition fails if the request was carried out before.
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
        """Raises if the key's write, the last of a refused transaction, failed because of an earlier request.

        Raises:
            Replayed: The same request was carried out before.
            Conflict: `idempotency_key_reused`: another request used the same key.
        """
        self._found(refused.failed[-1])

    def look(self) -> None:
        """Reads the key and raises as `check` does."""
        item = aws.get("idempotency", {"key": self.key})
        self._found(item if item and item["received_at"] >= (self.at - KEPT).isoformat() else None)

    def _found(self, earlier: aws.Item | None) -> None:
        if earlier is None:
            return
        if earlier["fingerprint"] != self.fingerprint:
            raise Conflict("idempotency_key_reused")
        # The text as stored: numbers of many digits would not survive a second reading.
        raise Replayed(Answer(201, earlier["answer"], {"Idempotent-Replayed": "true"}))


def answer_once(
    request: Request, by: str, now: datetime, do: Callable[[IdempotentRequest | None], Mapping[str, Any]]
) -> Answer:
    """Carries a request out, at most once if the request has a key.

    Args:
        by: The credential, owner of the key. A token and its successors are one credential.
        do: Carries the request out, writes the key in its own transaction and returns the answer's body.

    Raises:
        Conflict: `idempotency_key_reused`: an earlier request used the same key.
        Refused: `do` raises it, or the key is too long.
    """
    once = requested_key(request, by, now)
    try:
        if once:
            once.look()
        try:
            return Answer(201, do(once))
        except Refused:
            if once:
                once.look()  # a concurrent first try of the same request may have caused the refusal
            raise
    except Replayed as repeated:
        return repeated.answer


def requested_key(request: Request, by: str, now: datetime) -> IdempotentRequest | None:
    """Returns the key of a request. None if it has none. Raises Refused if the key is too long."""
    key = request.headers.get(_HEADER)
    if not key:
        return None
    if len(key) > LONGEST:
        raise Refused("too_long", field="Idempotency-Key", limit=LONGEST)
    target = "/".join([request.route, *request.path.values()])
    return IdempotentRequest(f"api#{by}#{target}#{key}", hashlib.sha256(request.body).hexdigest(), now)
