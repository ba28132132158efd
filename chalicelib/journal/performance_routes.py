"""The route of performance figures, out of daily totals."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from chalicelib import aws, inputs, paging
from chalicelib.accounts.model import Account
from chalicelib.errors import Refused
from chalicelib.http import Answer, Request, Route
from chalicelib.journal.add_up import EVERYBODY, GROUPINGS, totals_from_item
from chalicelib.journal.figures import Totals, figures
from chalicelib.users.access import caller
from chalicelib.users.models import shown_id

_LONGEST = timedelta(days=366)
_USUAL = timedelta(days=89)
_EARLIEST, _LATEST = date(2000, 1, 1), date(2999, 12, 31)
_MOST = 20_000
"""Daily totals that one answer reads."""

_FIELDS = {"strategy": "strategy", "account": "account_id", "symbol": "symbol", "user": "user_id"}
_ACCOUNTS_AT_ONCE = 100
Group = tuple[str, str]
"""Currency and name."""


def get_performance(request: Request) -> Answer:
    """Returns what trades came to, by strategy, account, symbol or user: a row for each group and currency.

    An admin without `user_id` gets a row for each user by `by=user`.

    `from` and `to` are days in UTC, both included, at most 366. By default the last 90. `capital` is what was
    there before the first day, for the ratios. `days=true` adds each day's result.
    """
    who, by = caller(request), inputs.choice(request, "by", GROUPINGS) or "strategy"
    user_id = (who.whose_or_all(request) or EVERYBODY) if by == "user" else who.whose(request)
    first, last = _period(request)
    capital, with_days = _capital(request), inputs.flag(request, "days")
    groups = _read(user_id, by, first, last)
    known = _starting_cash(groups) if by == "account" and capital is None else {}
    rows = [
        {
            _FIELDS[by]: shown_id(name) if by in ("account", "user") else name or None,
            "currency": currency,
            "from": first.isoformat(),
            "to": last.isoformat(),
            **figures(days, last, capital or known.get((currency, name))),
            **({"days": _days(days)} if with_days else {}),
        }
        for (currency, name), days in sorted(groups.items())
    ]
    return paging.list_response(rows, len(rows), None)


def _read(user_id: str, by: str, first: date, last: date) -> dict[Group, dict[date, Totals]]:
    """Returns the daily totals of each group, oldest first.

    Raises:
        Refused: `out_of_range`: there are too many. The error names the first day that would do.
    """
    groups: dict[Group, dict[date, Totals]] = {}
    items = aws.query_all(
        "performance",
        "subject = :subject AND #day BETWEEN :first AND :last",
        newest_first=True,
        subject=f"{user_id}#{by}",
        first=first.isoformat(),
        last=f"{last.isoformat()}~",
    )
    for number, item in enumerate(items):
        text, currency, name = item["day"].split("#", 2)
        day = date.fromisoformat(text)
        if number >= _MOST:
            least = (day + timedelta(days=1)).isoformat()
            raise Refused("out_of_range", field="from", minimum=least, maximum=last.isoformat())
        groups.setdefault((currency, name), {})[day] = totals_from_item(item)
    return {group: dict(sorted(days.items())) for group, days in groups.items()}


def _starting_cash(groups: Mapping[Group, Any]) -> dict[Group, Decimal]:
    """Returns what simulated accounts began with, by currency and account."""
    names = sorted({name for _, name in groups})
    found: dict[str, Account] = {}
    for start in range(0, len(names), _ACCOUNTS_AT_ONCE):
        part = names[start : start + _ACCOUNTS_AT_ONCE]
        items = aws.get_many([("accounts", {"account_id": name}) for name in part])
        found |= {item["account_id"]: Account.model_validate(item) for item in items if item}
    return {
        (currency, name): found[name].starting_cash
        for currency, name in groups
        if name in found and not found[name].has_exchange
    }


def _days(days: Mapping[date, Totals]) -> Sequence[dict[str, Any]]:
    return [
        {"day": day.isoformat(), "trades": totals.trades, "net_profit": totals.net}
        for day, totals in days.items()
    ]


def _period(request: Request) -> tuple[date, date]:
    """Returns the first and the last day. A time stands for its day."""
    since, until = (_day(request, name) for name in ("from", "to"))
    today = datetime.now(UTC).date()
    last = until or max(today, since or today)
    first = since or last - _USUAL
    least = last - _LONGEST + timedelta(days=1)
    if not least <= first <= last:
        raise Refused("out_of_range", field="from", minimum=least.isoformat(), maximum=last.isoformat())
    return first, last


def _day(request: Request, name: str) -> date | None:
    text = request.query.get(name)
    if text is None:
        return None
    day = inputs.moment(text, name).date()
    if not _EARLIEST <= day <= _LATEST:
        raise Refused("out_of_range", field=name, minimum=_EARLIEST.isoformat(), maximum=_LATEST.isoformat())
    return day


def _capital(request: Request) -> Decimal | None:
    text = request.query.get("capital")
    if text is None:
        return None
    try:
        capital = Decimal(text)
    except InvalidOperation:
        raise Refused("invalid_number", field="capital") from None
    if not capital.is_finite() or not 0 < capital <= Decimal("1e18"):
        raise Refused("out_of_range", field="capital", minimum="1e-18", maximum="1e18")
    return capital


PERFORMANCE = [Route("GET", "/performance", get_performance)]
