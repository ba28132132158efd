"""The route of an account's equity over time, for charts."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalicelib import aws, inputs, paging
from chalicelib.accounts.model import Account
from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.paper import store as paper_store
from chalicelib.portfolio import equity
from chalicelib.prices import store as prices
from chalicelib.trading import MarketType
from chalicelib.users.access import caller

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = "9"  # sorts after every time and before the item "latest"


def list_equity(request: Request) -> Answer:
    """Returns an account's equity over time, oldest first.

    Returns the newest `limit` points since `?since=`, and the current equity as the last point. The currency
    is the account's own if it is simulated, else US dollars as the exchange reported.
    """
    who, page = caller(request), paging.page_request(request)
    item = aws.get("accounts", {"account_id": request.path["account_id"]})
    if item is None:
        raise NotFound("not_found")
    who.require_owner(item["user_id"])
    account = Account.model_validate(item)
    condition = "account_id = :account AND #at BETWEEN :since AND :last"
    since = _since(request)
    found, _ = aws.query_page(
        "snapshots",
        condition,
        newest_first=True,
        limit=page.limit,
        account=account.account_id,
        since=since.isoformat(),
        last=_LAST,
    )
    points: list[dict[str, Any]] = [{"at": each["at"], "equity": each["equity"]} for each in reversed(found)]
    if not account.has_exchange:
        created = item.get("created_at")
        if created and datetime.fromisoformat(created) >= since and len(points) < page.limit:
            points.insert(0, {"at": created, "equity": item.get("first_cash", account.starting_cash)})
        points.append({"at": request.received_at.isoformat(), "equity": _now(account)})
    return paging.list_response(points, len(points), None)


def _now(account: Account) -> Decimal:
    book = paper_store.read_book(account)
    assets = [name for asset in book.holdings for name in equity.price_symbols(asset, account.currency)]
    keys = [(name, account.exchange, MarketType.FUTURES) for name in book.positions]
    keys = [*((name, account.exchange, MarketType.SPOT) for name in assets), *keys]
    live = prices.fresh_live_prices(keys, datetime.now(UTC))
    last = prices.latest([*book.positions, *assets], account.user_id)
    known = {name: item["price"] for name, item in last.items()}
    return equity.book_equity(book, known | {symbol: each.price for (symbol, _, _), each in live.items()})


def _since(request: Request) -> datetime:
    text = request.query.get("since")
    return max(inputs.moment(text, "since"), _EARLIEST) if text else _EARLIEST


EQUITY = [Route("GET", "/accounts/{account_id}/equity", list_equity)]
