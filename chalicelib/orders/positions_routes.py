"""What is held: holdings and futures positions of every account of a user whose books are known here."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chalicelib import aws, paging
from chalicelib.errors import NotFound
from chalicelib.exchanges import paper_store
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.paper import DOLLARS, Book
from chalicelib.exchanges.paper_money import round_money
from chalicelib.http import Answer, Request, Route
from chalicelib.orders import prices
from chalicelib.users import store as users
from chalicelib.users.access import caller
from chalicelib.users.models import shown_id

_THREADS = 8
_ACCOUNTS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Held:
    """A holding or a position; `priced_as` are the symbols its price may be known under, best first."""

    account: Account
    symbol: str
    market_type: str
    quantity: Decimal
    entry_price: Decimal
    currency: str
    priced_as: tuple[str, ...]
    leverage: int | None = None
    margin: Decimal | None = None


def list_positions(request: Request) -> Answer:
    """What a user holds, account by account: the caller, or for an admin `?user_id=`; `?account_id=` narrows it.

    Accounts simulated here show their books. What a live account holds is its exchange's to say.
    """
    who = caller(request)
    user_id, page = who.whose(request), paging.asked(request)
    held = [each for book in _books(_accounts(user_id, request.query.get("account_id"))) for each in _of(book)]
    begin = int(page.start["offset"]) if page.start and str(page.start.get("offset", "")).isdigit() else page.offset
    end = begin + page.limit
    known = prices.known([symbol for each in held for symbol in each.priced_as], user_id)
    items = [_view(each, known) for each in held[begin:end]]
    return paging.listed(items, len(held), {"offset": end} if end < len(held) else None)


def _accounts(user_id: str, only: str | None) -> list[Account]:
    """The user's accounts whose books are here, or the one asked for. Raises NotFound if that one is not the user's."""
    entries = users.directory(user_id).accounts.values()
    wanted = [entry.account_id for entry in entries if only in (None, entry.account_id)]
    if only and not wanted:
        raise NotFound("account_not_found", account=only[:64])
    found: list[aws.Item | None] = []
    for start in range(0, len(wanted), _ACCOUNTS_AT_ONCE):
        found += aws.get_many([("accounts", {"account_id": each}) for each in wanted[start : start + _ACCOUNTS_AT_ONCE]])
    accounts = [Account.model_validate(item) for item in found if item]
    return [account for account in accounts if account.kind != "live" and account.sealed_keys is None]


def _books(accounts: Sequence[Account]) -> list[Book]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(paper_store.read, accounts))


def _of(book: Book) -> Iterator[_Held]:
    account = book.account
    for asset, holding in sorted(book.holdings.items()):
        if holding.quantity:
            quotes = [account.currency, *(["USDT"] if account.currency in DOLLARS else [])]
            names = (asset, *(f"{asset}{quote}" for quote in dict.fromkeys(quotes)))
            yield _Held(account, asset, "spot", holding.quantity, holding.average_price, account.currency, names)
    for name, position in sorted(book.positions.items()):
        if position.quantity:
            margin = round_money(position.margin, position.quote)
            yield _Held(
                account, name, "futures", position.quantity, position.entry_price, position.quote, (name,), position.leverage, margin
            )


def _view(held: _Held, known: dict[str, aws.Item]) -> dict[str, Any]:
    seen = next((known[symbol] for symbol in held.priced_as if symbol in known), None)
    price = seen["price"] if seen else None
    profit = None if price is None else round_money((price - held.entry_price) * held.quantity, held.currency)
    return {
        "account_id": shown_id(held.account.account_id),
        "account_name": held.account.name,
        "exchange": held.account.exchange,
        "kind": held.account.kind,
        "symbol": held.symbol,
        "market_type": held.market_type,
        "side": "short" if held.quantity < 0 else "long",
        "quantity": held.quantity,
        "entry_price": held.entry_price,
        "price": price,
        "price_at": seen["at"] if seen else None,
        "value": None if price is None else round_money(abs(held.quantity) * price, held.currency),
        "unrealized_pnl": profit,
        "currency": held.currency,
        "leverage": held.leverage,
        "margin": held.margin,
    }


POSITIONS = [Route("GET", "/positions", list_positions)]
