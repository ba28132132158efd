"""Paging, the same for all lists.

Takes `?limit`, and `?cursor` or `?offset`. Answers `{"items", "total", "next"}`.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from chalicelib import aws, request_limits, strict_json, table_keys
from chalicelib.errors import Refused
from chalicelib.http import Answer, Request
from chalicelib.telemetry import log

_LONGEST_KEY_BYTES = 1024
_FURTHEST = 10**6  # offset in a cursor

LOOKED_AT = 5000
"""About the number of items that a filter examines for one page.

A filter that few items pass returns a short page with a cursor for the rest.
"""


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that a request asks for."""

    limit: int
    offset: int
    start: aws.Item | None


def page_request(request: Request) -> Page:
    """Returns the page that a request asks for.

    Raises:
        Refused: `limit`, `offset` or `cursor` is invalid.
    """
    limit = _number(request, "limit", request_limits.PAGE_ITEMS_USUAL, 1, request_limits.PAGE_ITEMS)
    offset = _number(request, "offset", 0, 0, request_limits.COUNTED)
    cursor = request.query.get("cursor")
    return Page(limit, offset, _position(cursor) if cursor else None)


def answer(
    table: str,
    condition: str,
    page: Page,
    view: Callable[[aws.Item], Any],
    **arguments: Any,
) -> Answer:
    """Returns a page of a query as an answer. `arguments` are those of `aws.query_page`."""
    with cursor_checked(page, table, arguments.get("index")):
        items, next_value = _read(table, condition, page, arguments)
    total = aws.count(table, condition, most=request_limits.COUNTED, looked_at=LOOKED_AT, **arguments)
    return list_response([shown(view, item) for item in items], total, next_value)


@contextmanager
def cursor_checked(page: Page, table: str, index: str | None) -> Iterator[None]:
    """Refuses a cursor of another list: other keys, or keys that the store rejects for this query."""
    keys = {**table_keys.TABLES[table], **(table_keys.INDEXES[table, index] if index else {})}
    start = page.start
    if start is not None and (
        start.keys() != keys.keys() or not all(type(start[name]) is kind for name, kind in keys.items())
    ):
        raise Refused("invalid_cursor", field="cursor")
    try:
        yield
    except ClientError as error:
        if start is None or error.response["Error"]["Code"] != "ValidationException":
            raise
        raise Refused("invalid_cursor", field="cursor") from None


def shown(view: Callable[[Any], Any], item: Any) -> Any:
    """Returns the view of one item. An unreadable item is marked, so that the list still shows."""
    try:
        return view(item)
    except (ValueError, TypeError, KeyError, ArithmeticError) as fault:
        log.error("list item not readable, marked", extra={"fault": type(fault).__name__})
        return {"unreadable": True}


def start_of(page: Page) -> int:
    """Returns the first index of a page, for lists whose cursors hold an offset."""
    if page.start is None:
        return page.offset
    offset = page.start.get("offset")
    if not isinstance(offset, int) or not 0 <= offset <= _FURTHEST:
        raise Refused("invalid_cursor", field="cursor")
    return offset


def list_response(items: Sequence[Any], total: int | None, next_value: aws.Item | None) -> Answer:
    """Returns a list as an answer."""
    return Answer(
        200, {"items": list(items), "total": total, "next": _cursor(next_value) if next_value else None}
    )


def part(request: Request, items: Sequence[Any], view: Callable[[Any], Any]) -> Answer:
    """Returns a short list as an answer: all of it, or the page that `limit` asks for."""
    page = page_request(request)
    start = page.start.get("offset", 0) if page.start else page.offset
    if not isinstance(start, int):
        raise Refused("invalid_cursor", field="cursor")
    end = start + page.limit if "limit" in request.query else len(items)
    return list_response(
        [view(item) for item in items[start:end]], len(items), {"offset": end} if end < len(items) else None
    )


def _read(
    table: str, condition: str, page: Page, arguments: dict[str, Any]
) -> tuple[list[aws.Item], aws.Item | None]:
    """Returns the items of a page and the next key. Examines about `LOOKED_AT` items at most.

    An offset is skipped by reading the items before it.
    """
    wanted = page.offset + page.limit
    items, start = aws.query_page(table, condition, start=page.start, limit=wanted, **arguments)
    if start is not None and len(items) < wanted:
        position = start.keys()
        more, start = aws.query_page(table, condition, start=start, limit=LOOKED_AT, **arguments)
        items += more
        if len(items) > wanted:
            del items[wanted:]
            start = {name: items[-1][name] for name in position}
    return items[page.offset :], start


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if (
        not text.isascii()
        or not text.isdigit()
        or len(text) > len(str(most))
        or not least <= int(text) <= most
    ):
        raise Refused("out_of_range", field=name, minimum=least, maximum=most)
    return int(text)


def _cursor(position: aws.Item) -> str:
    return base64.urlsafe_b64encode(json.dumps(position, default=int).encode()).decode()


def _position(cursor: str) -> aws.Item:
    try:
        position = strict_json.read(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error, Refused):
        raise Refused("invalid_cursor", field="cursor") from None
    if not isinstance(position, dict) or not all(_is_key_value(value) for value in position.values()):
        raise Refused("invalid_cursor", field="cursor")
    return position


def _is_key_value(value: Any) -> bool:
    """Returns whether a value can be part of a table's key.

    A key is a text of up to 1,024 bytes or a whole number of up to 38 digits.
    """
    if isinstance(value, str):
        return 0 < len(value.encode()) <= _LONGEST_KEY_BYTES
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**38
