"""The credentials that a request presents, wherever they stand: header, `Authorization: Bearer`, query, body.

Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from chalicelib.http import Request
from chalicelib.signals.aliases import squash
from chalicelib.signals.fields import Fields
from chalicelib.users import credentials

NAMES = frozenset({"token", "secret", "key", "passphrase", "apikey"})
"""What a credential is called in query and body, squashed. Case and separators do not matter."""

_HEADER = "x-webhook-token"


@dataclass(frozen=True, slots=True)
class Presented:
    """The credentials of one request.

    Attributes:
        checked: Those that must be right, without repetition. The first one says whose signal it is.
        secrets: All of them, to be masked: also another product's secret, which a body may hold beside a
            token in header or URL.
    """

    checked: tuple[str, ...]
    secrets: tuple[str, ...]


def of(request: Request, fields: Fields | None) -> Presented:
    """What a request presents; `fields` is None if the body could not be read."""
    outside = [*_of_headers(request), *_of_query(request)]
    inside = list(of_body(fields)) if fields else []
    counting = [value for value in inside if credentials.owner(value)] if outside else inside
    return Presented(tuple(dict.fromkeys([*outside, *counting])), tuple(dict.fromkeys([*outside, *inside])))


def _of_headers(request: Request) -> Iterator[str]:
    if value := request.headers.get(_HEADER, "").strip():
        yield value
    scheme, _, bearer = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        yield bearer.strip()


def _of_query(request: Request) -> Iterator[str]:
    for name, value in request.query.items():
        if squash(name) in NAMES and value.strip():
            yield value.strip()


def of_body(fields: Fields) -> Iterator[str]:
    """The credentials in a body."""
    yield from filter(None, (fields.token, fields.code))
    for name, value in fields.values.items():
        if squash(name) not in NAMES:
            continue
        if isinstance(value, Decimal) and value.is_finite():
            yield f"{value:f}"
        elif isinstance(value, str) and value.strip():
            yield value.strip()
