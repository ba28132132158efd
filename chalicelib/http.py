"""Requests and answers as plain values. Feature packages know neither Chalice nor API Gateway."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import simplejson

from chalicelib import messages
from chalicelib.errors import MethodNotAllowed, NotFound, Refused, TooMany


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        headers: Names in lower case.
        source_ip: The sender's address as seen by API Gateway, never from a forwarded header.
        received_at: When API Gateway received the request, UTC.
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
        """Returns the language of the answer, chosen by `Accept-Language`."""
        return messages.preferred(self.headers.get("accept-language", ""))

    def check_values(self) -> None:
        """Checks the values in the URL and the headers, which become keys and values of the store.

        Raises:
            NotFound: A path parameter cannot be an id.
            Refused: `too_long`, or `invalid_value` for control characters, in a query parameter or the
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
"""Characters of an id, or of any other value in a URL. The UTF-8 form fits into every key of the store."""
LONGEST_CURSOR = 4096
LONGEST_KEY = 255  # of an `Idempotency-Key`


def is_id(text: str) -> bool:
    """Returns whether a text can be an id: 1 to 128 printable characters."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable()


def _check_line(name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise Refused("too_long", field=name, limit=limit)
    if not text.isprintable():
        raise Refused("invalid_value", field=name)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: JSON, or text if `body` is a text."""

    status: int
    body: Mapping[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method, and the function that answers it.

    Chalice's routes and the OpenAPI document are built from these.
    """

    method: str
    path: str
    answer: Callable[[Request], Answer]


def to_json(value: Any) -> str:
    """Returns strict JSON: Decimal as a plain number without trailing zeros, times as ISO 8601.

    Values that strict JSON cannot hold do not fail the answer. A number that is not finite becomes null, half
    of a surrogate pair becomes `?`.
    """
    text = simplejson.dumps(_plain(value), use_decimal=True, ensure_ascii=False)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def refusal(error: Refused, language: str) -> Answer:
    """Returns a refusal as HTTP: `{"error", "code"}`, with the sentence in the reader's language."""
    body = {"error": messages.render(error.code, error.values, language), "code": error.code}
    headers = {}
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.values["allowed"]
    return Answer(error.status, body, headers)


def preference_wait(headers: Mapping[str, str], query: Mapping[str, str], default: float) -> float:
    """Returns how long the sender waits for the result, in seconds, from 0 to 25.

    `?wait=N` comes first, then `Prefer` (RFC 7240), then the default.
    """
    prefer = headers.get("prefer", "")
    seconds = query.get("wait")
    if seconds is None:
        found = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d+)", prefer, re.IGNORECASE)
        seconds = (
            found.group(1)
            if found
            else "0"
            if re.search(r"(?:^|[,;\s])respond-async\b", prefer, re.IGNORECASE)
            else None
        )
    if seconds is None or not seconds.isascii() or not seconds.isdigit():
        return default
    return float(min(int(seconds[:6]), 25))


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
