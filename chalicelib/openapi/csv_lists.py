"""Lists as CSV (RFC 4180), for every route that answers a list, where the client asks for `text/csv`.

The columns are the fields of the documentation, so that all pages of a list have the same ones. A spreadsheet
takes a cell that begins with `=`, `+`, `-` or `@` for a formula. Such a text gets an apostrophe in front,
unless it is a number (https://owasp.org/www-community/attacks/CSV_Injection).
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.http import Answer, Request, Route, to_json
from chalicelib.openapi import subjects
from chalicelib.openapi.docs import Docs

CSV = "text/csv"
TYPE = "text/csv; charset=utf-8; header=present"

_JSON = "application/json"

_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # a spreadsheet takes the wide forms, too
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_ITEM = "item"  # the column of a list of plain values
_LIST = {"items", "total", "next"}


def is_list(docs: Docs) -> bool:
    """Returns whether a route answers a list."""
    return bool(docs.answer.get("properties", {}).keys() == _LIST)


def represent(request: Request, route: Route, answer: Answer) -> Answer:
    """Returns a list as CSV if the client prefers that, else the answer unchanged.

    The header `X-Next-Cursor` has the cursor of the next page, `X-Total-Count` the number of all items where
    it is known.
    """
    if route.method != "GET" or not _prefers_csv(request.headers.get("accept", "")):
        return answer
    docs = subjects.docs()[f"{route.method} {route.path}"]
    if answer.status != docs.status or not is_list(docs) or not isinstance(answer.body, Mapping):
        return answer
    name = route.path.replace("/{", "/").replace("}", "").strip("/").replace("/", "-")
    headers = {"Content-Type": TYPE, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    if answer.body["total"] is not None:
        headers["X-Total-Count"] = str(answer.body["total"])
    if answer.body["next"]:
        headers["X-Next-Cursor"] = str(answer.body["next"])
    return Answer(answer.status, text(answer.body["items"], _columns(docs)), {**answer.headers, **headers})


def text(items: Iterable[Any], columns: Sequence[str]) -> str:
    """Returns items as CSV with a header."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(columns)
    for item in items:
        fields = item if isinstance(item, Mapping) else {_ITEM: item}
        writer.writerow([_cell(fields.get(name)) for name in columns])
    return lines.getvalue()


def _columns(docs: Docs) -> list[str]:
    return list(docs.answer["properties"]["items"]["items"].get("properties", (_ITEM,)))


def _cell(value: Any) -> str:
    """Returns a value as a cell: a text as it is, anything else as in JSON, and nothing for null."""
    if value is None:
        return ""
    written = to_json(value)
    if not written.startswith('"'):
        return written
    plain = value if isinstance(value, str) else written.strip('"')
    is_formula = _FORMULA.match(plain.lstrip(" ")) and not _NUMBER.fullmatch(plain)
    return f"'{plain}" if is_formula else str(plain)


def _prefers_csv(accept: str) -> bool:
    """Returns whether a header `Accept` prefers CSV to JSON. Of two equal types the first one wins."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        weights.setdefault(kind, _weight(parameters))
    wanted, order = weights.get(CSV, 0), list(weights)
    if not wanted:
        return False
    json = weights.get(_JSON, 0)
    first = _JSON not in weights or order.index(CSV) < order.index(_JSON)
    others = [weights.get(kind, 0) for kind in ("application/*", "*/*")]
    return max(others) <= wanted and (json < wanted or (json == wanted and first))


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if re.fullmatch(r"[01](\.\d{0,3})?", value.strip()) else 0
    return 1
