"""Resets a simulated account to its starting cash without holdings. Order numbers continue."""

from datetime import UTC, datetime

from chalicelib import aws
from chalicelib.accounts import store
from chalicelib.accounts.equity_points import point_write
from chalicelib.accounts.model import Account
from chalicelib.audit import record
from chalicelib.errors import Conflict, Refused, Retryable
from chalicelib.paper import store as paper_store
from chalicelib.paper.book import Book
from chalicelib.users.models import AccountKind

_AT_ONCE = 90  # writes. A transaction holds 100, including cash, audit entry and event
_TRIES = 5


def reset_account(account_id: str, *, by: str) -> Account:
    """Resets a paper account, or a demo account without keys, to its starting cash.

    Raises:
        NotFound: The account does not exist.
        Refused: The account is at an exchange.
        Conflict: `open_orders`: they must be cancelled first, so that each cancel has its event.
        Retryable: Orders ran on the account during each attempt.
    """
    account = Account.model_validate(store.item(account_id))
    if account.kind == AccountKind.LIVE or account.sealed_keys:
        raise Refused("not_for_kind", field="reset", kind=account.kind)
    for _ in range(_TRIES):
        try:
            while not _reset_some(account, by):
                pass
        except aws.WriteRefused:
            continue
        return account
    raise Retryable("account modified by running orders on every attempt")


def _reset_some(account: Account, by: str) -> bool:
    """Empties as much of the book as one transaction holds. Returns True once the book is empty."""
    now = datetime.now(UTC)
    book = paper_store.read_book(account)
    if book.waiting:
        raise Conflict("open_orders", orders=len(book.waiting))
    before = {"cash": dict(book.cash), "holdings": len(book.holdings), "positions": len(book.positions)}
    items = [*(f"asset#{name}" for name in book.holdings), *(f"position#{name}" for name in book.positions)]
    _empty(book, items[:_AT_ONCE])
    change = record.Change(
        by,
        "account.reset",
        f"account#{account.account_id}",
        account.user_id,
        now,
        before,
        {"cash": book.cash},
    )
    event_write = store.event("account.reset", account, {"cash": book.cash}, book.version + 1, now)
    whole = len(items) <= _AT_ONCE
    points = [point_write(account.account_id, account.starting_cash, now)] if whole else []
    aws.transact([*paper_store.effect_writes(book), record.write(change), event_write, *points])
    return whole


def _empty(book: Book, items: list[str]) -> None:
    book.cash = {book.account.currency: book.account.starting_cash}
    book.reset_at_order = book.orders
    for item in items:
        kind, _, name = item.partition("#")
        (book.holdings if kind == "asset" else book.positions)[name].quantity *= 0
    book.changed = set(items)
