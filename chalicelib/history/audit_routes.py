"""The routes of the audit trail."""

import re
from typing import Any

from chalicelib import aws, paging
from chalicelib.audit import chain, record
from chalicelib.errors import Refused
from chalicelib.http import Answer, Request, Route
from chalicelib.users.access import caller
from chalicelib.users.models import Role, shown_id

_FILTERS = ("entity", "action", "by")


def list_changes(request: Request) -> Answer:
    """Lists changes with their authors, newest first.

    An admin gets all changes, or those that concern `?user_id=`. Other callers get those that concern them.
    """
    who, page = caller(request), paging.page_request(request)
    filters = {name: request.query[name] for name in _FILTERS if request.query.get(name)}
    expression = " AND ".join(f"#{name} = :{name}" for name in filters)
    only: dict[str, Any] = filters | ({"filter_expression": expression} if filters else {})
    if who.role is Role.ADMIN and not request.query.get("user_id"):
        trail = record.EVERYTHING
        return paging.answer(
            "audit", "trail = :trail", page, _view, index="trail", trail=trail, newest_first=True, **only
        )
    user_id = who.whose(request)
    return paging.answer(
        "audit", "user_id = :user", page, _view, index="by_user", user=user_id, newest_first=True, **only
    )


def verify_chain(request: Request) -> Answer:
    """Checks the hash chain of a month, `?month=2026-11`. The default is the current month. For admins."""
    caller(request).require_admin()
    month = request.query.get("month") or chain.month_of(request.received_at)
    if not _MONTH.fullmatch(month):
        raise Refused("invalid_time", field="month")
    found = chain.verify(month, request.received_at)
    return Answer(
        200, found | {"intact": not found["problems"], "problems": found["problems"][:_SHOWN_PROBLEMS]}
    )


def _view(item: aws.Item) -> dict[str, Any]:
    ids = {"user_id": shown_id(item.get("user_id")), "by": shown_id(item["by"])}
    return {name: value for name, value in item.items() if name not in ("trail", "hash")} | ids


_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_SHOWN_PROBLEMS = 100

AUDIT = [
    Route("GET", "/audit", list_changes),
    Route("GET", "/audit/verify", verify_chain),
]
