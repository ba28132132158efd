"""Finds the credentials of a request in header, `Authorization: Bearer`, query and body. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from chalicelib.http import Request
from chalicelib.signals.reading.aliases import squash
from chalicelib.signals.reading.fields import Fields
from chalicelib.users import credentials

NAMES = frozenset({"token", "secret", "key", "passphrase", "apikey"})
"""Names of credentials in query and body, squashed. Case and separators are ignored."""

_HEADER = "x-webhook-token"


@dataclass(frozen=True, slots=True)
class Presented:
    """The credentials of one request.

    Attributes:
        checked: The credentials that must be valid, without duplicates. The first one names the user.
        secrets: All credentials, to be masked. Includes another product's secret in the body next to a token
            in header or URL.
    """

    checked: tuple[str, ...]
    secrets: tuple[str, ...]


def of(request: Request, fields: Fields | None) -> Presented:
    """Returns the credentials of a request. `fields` is None if the body is unreadable."""
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
    """Yields the credentials in a body."""
    yield from filter(None, (fields.token, fields.code))
    for name, value in fields.values.items():
        if squash(name) not in NAMES:
            continue
        if isinstance(value, Decimal) and value.is_finite():
            yield f"{value:f}"
        elif isinstance(value, str) and value.strip():
            yield value.strip()
