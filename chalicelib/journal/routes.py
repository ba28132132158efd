"""Routes of the journal."""

from datetime import datetime
from typing import Any

from chalicelib import aws, inputs, paging, symbols
from chalicelib.http import Answer, Request, Route
from chalicelib.journal import store
from chalicelib.journal.models import timestamp
from chalicelib.users.access import caller

_EARLIEST, _LATEST = "0", "9"


def list_trades(request: Request) -> Answer:
    """Lists a user's closed trades, the last one first.

    Filters: `account_id`, `strategy`, `symbol`, and by the time of closing `from` and `to`, both included.
    """
    user_id, page = caller(request).whose(request), paging.page_request(request)
    since, until = _moment(request, "from"), _moment(request, "to")
    first = timestamp(since) if since else _EARLIEST
    # A key continues with the trade's id, which sorts before the tilde.
    last = f"{timestamp(until)}~" if until else _LATEST
    filters: dict[str, Any] = {}
    if symbol := request.query.get("symbol"):
        filters["symbol"] = symbols.resolve(symbol, paper=True).name  # any symbol that can be traded
    filters |= {name: value for name in ("account_id", "strategy") if (value := request.query.get(name))}
    expression = " AND ".join(f"#{name} = :{name}" for name in filters)
    only = filters | ({"filter_expression": expression} if filters else {})
    return paging.answer(
        "trades",
        "user_id = :user AND closed BETWEEN :first AND :last",
        page,
        _view,
        newest_first=True,
        user=user_id,
        first=first,
        last=max(first, last),  # DynamoDB refuses a range that runs backwards
        **only,
    )


def _view(item: aws.Item) -> dict[str, Any]:
    return store.trade_from_item(item).shown()


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query.get(name)
    return None if text is None else inputs.moment(text, name)


JOURNAL = [Route("GET", "/trades", list_trades)]
