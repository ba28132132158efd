"""Lists, the same everywhere: `?limit`, and `?cursor` or `?offset`, answered by `{"items", "total", "next"}`."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from chalicelib import aws, limits
from chalicelib.errors import Refused
from chalicelib.http import Answer, Request

LOOKED_AT = 5000
"""About so many items a filter looks at for one page; one that lets few of them through gives a short page, and a cursor to go on."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    limit: int
    offset: int
    start: aws.Item | None


def asked(request: Request) -> Page:
    """The page a request asks for.

    Raises:
        Refused: `limit`, `offset` or `cursor` is not what it should be.
    """
    limit = _number(request, "limit", limits.PAGE_ITEMS_USUAL, 1, limits.PAGE_ITEMS)
    offset = _number(request, "offset", 0, 0, limits.COUNTED)
    cursor = request.query.get("cursor")
    return Page(limit, offset, _position(cursor) if cursor else None)


def answer(
    table: str,
    condition: str,
    page: Page,
    view: Callable[[aws.Item], Any],
    **arguments: Any,
) -> Answer:
    """A page of a query as an answer; `arguments` are those of `aws.query`."""
    try:
        items, following = _read(table, condition, page, arguments)
    except ClientError as error:
        if page.start is None or error.response["Error"]["Code"] != "ValidationException":
            raise
        raise Refused("invalid_cursor", field="cursor") from None  # well formed, and of another list
    total = aws.count(table, condition, most=limits.COUNTED, looked_at=LOOKED_AT, **arguments)
    return listed([view(item) for item in items], total, following)


def listed(items: Sequence[Any], total: int | None, following: aws.Item | None) -> Answer:
    """A list as an answer."""
    return Answer(200, {"items": list(items), "total": total, "next": _cursor(following) if following else None})


def part(request: Request, items: Sequence[Any], view: Callable[[Any], Any]) -> Answer:
    """A list that is known as a whole and short: all of it, or the page that `limit` asks for."""
    page = asked(request)
    start = page.start.get("offset", 0) if page.start else page.offset
    if not isinstance(start, int):
        raise Refused("invalid_cursor", field="cursor")
    end = start + page.limit if "limit" in request.query else len(items)
    return listed([view(item) for item in items[start:end]], len(items), {"offset": end} if end < len(items) else None)


def _read(table: str, condition: str, page: Page, arguments: dict[str, Any]) -> tuple[list[aws.Item], aws.Item | None]:
    """So many items as the page holds, as far as they are found by looking at `LOOKED_AT`; an offset is skipped by reading over it."""
    wanted = page.offset + page.limit
    items, start = aws.query(table, condition, start=page.start, limit=wanted, **arguments)
    if start is not None and len(items) < wanted:
        position = start.keys()
        more, start = aws.query(table, condition, start=start, limit=LOOKED_AT, **arguments)
        items += more
        if len(items) > wanted:
            del items[wanted:]
            start = {name: items[-1][name] for name in position}
    return items[page.offset :], start


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or not least <= int(text) <= most:
        raise Refused("out_of_range", field=name, minimum=least, maximum=most)
    return int(text)


def _cursor(position: aws.Item) -> str:
    return base64.urlsafe_b64encode(json.dumps(position, default=int).encode()).decode()


def _position(cursor: str) -> aws.Item:
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error):
        raise Refused("invalid_cursor", field="cursor") from None
    if not isinstance(position, dict) or not all(isinstance(value, (str, int)) for value in position.values()):
        raise Refused("invalid_cursor", field="cursor")
    return position
