"""Requests and answers as plain values, so that the subjects know nothing of Chalice or API Gateway."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import simplejson

from chalicelib import messages
from chalicelib.errors import NotFound, Refused, TooMany


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived.

    Attributes:
        headers: Names in lower case.
        source_ip: The sender's address as API Gateway saw it, never from a forwarded header.
        received_at: When API Gateway got the request, UTC.
        path: Path parameters by name.
    """

    method: str
    route: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    path: Mapping[str, str]
    body: bytes
    source_ip: str
    received_at: datetime

    @property
    def language(self) -> str:
        """The language to answer in, by `Accept-Language`."""
        return messages.preferred(self.headers.get("accept-language", ""))

    def check_values(self) -> None:
        """Checks what the URL and the headers name.

        It becomes keys and values of the store, which have limits of their own.

        Raises:
            NotFound: A path parameter that no record is called.
            Refused: `too_long` or, for control characters, `invalid_value`: a query parameter or an
                `Idempotency-Key`.
        """
        if not all(is_id(value) for value in self.path.values()):
            raise NotFound("not_found")
        for name, value in self.query.items():
            _check_line(
                name if is_id(name) else "query", value, LONGEST_CURSOR if name == "cursor" else LONGEST_ID
            )
        _check_line("Idempotency-Key", self.headers.get("idempotency-key", ""), LONGEST_KEY)


LONGEST_ID = 128
"""Characters of an id, or of any other value of a URL. In UTF-8 they fit into each key of the store."""
LONGEST_CURSOR = 4096
LONGEST_KEY = 255  # of an `Idempotency-Key`


def is_id(text: str) -> bool:
    """Whether a text can be an id: 1 to 128 printable characters."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable()


def _check_line(name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise Refused("too_long", field=name, limit=limit)
    if not text.isprintable():
        raise Refused("invalid_value", field=name)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: JSON unless `body` is text already."""

    status: int
    body: Mapping[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method, and the function that answers it.

    Chalice and the OpenAPI document are both made from these.
    """

    method: str
    path: str
    answer: Callable[[Request], Answer]


def to_json(value: Any) -> str:
    """Strict JSON for people: Decimal as a plain JSON number without trailing zeros, times as ISO 8601.

    What strict JSON cannot hold never fails an answer: a number that is not finite shows as null, half of a
    surrogate pair as `?`.
    """
    text = simplejson.dumps(_plain(value), use_decimal=True, ensure_ascii=False)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def refusal(error: Refused, language: str) -> Answer:
    """A refusal as HTTP: `{"error", "code"}`, the sentence in the reader's language."""
    body = {"error": messages.render(error.code, error.values, language), "code": error.code}
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooMany) else {}
    return Answer(error.status, body, headers)


def preference_wait(headers: Mapping[str, str], query: Mapping[str, str], default: float) -> float:
    """Seconds the sender will wait for the result: `?wait=N`, else `Prefer` (RFC 7240), else the default.

    0 to 25.
    """
    prefer = headers.get("prefer", "")
    asked = query.get("wait")
    if asked is None:
        found = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d+)", prefer, re.IGNORECASE)
        asked = (
            found.group(1)
            if found
            else "0"
            if re.search(r"(?:^|[,;\s])respond-async\b", prefer, re.IGNORECASE)
            else None
        )
    if asked is None or not asked.isascii() or not asked.isdigit():
        return default
    return float(min(int(asked[:6]), 25))


def _plain(value: Any) -> Any:
    if (isinstance(value, Decimal) and not value.is_finite()) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        return None
    if isinstance(value, Decimal):
        return (
            value.quantize(Decimal(1))
            if value == value.to_integral_value() and abs(value) < Decimal(10) ** 27
            else value.normalize()
        )
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
