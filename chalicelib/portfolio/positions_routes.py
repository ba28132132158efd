"""What a user holds: holdings and futures positions of every account, priced by the last prices seen."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalicelib import aws, paging
from chalicelib.accounts.model import Account
from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.paper.money import round_money
from chalicelib.portfolio import equity, positions
from chalicelib.prices import store as prices
from chalicelib.trading import MarketType
from chalicelib.users import store as users
from chalicelib.users.access import caller
from chalicelib.users.models import shown_id

_THREADS = 8
_ACCOUNTS_AT_ONCE = 100
Held = tuple[Account, dict[str, Any]]


def list_positions(request: Request) -> Answer:
    """What a user holds, account by account: the caller, or for an admin `?user_id=`.

    `?account_id=` narrows it.

    Accounts simulated here show their books, others what their exchange said when it was last asked, `as_of`.
    """
    who = caller(request)
    user_id, page = who.whose(request), paging.page_request(request)
    held = _holdings(_accounts(user_id, request.query.get("account_id")))
    begin = paging.start_of(page)
    end = begin + page.limit
    shown = held[begin:end]
    known = prices.latest([name for each in shown for name in _price_symbols(each)], user_id)
    simulated = [each for each in shown if not each[0].has_exchange]
    live = prices.fresh_live_prices(
        [key for each in simulated for key in _live_keys(each)], datetime.now(UTC)
    )
    following = {"offset": end} if end < len(held) else None
    return paging.list_response([_view(each, known, live) for each in shown], len(held), following)


def _accounts(user_id: str, only: str | None) -> list[Account]:
    """The user's accounts, or the one asked for. Raises NotFound if that one is not the user's."""
    entries = users.directory(user_id).accounts.values()
    wanted = [entry.account_id for entry in entries if only in (None, entry.account_id)]
    if only and not wanted:
        raise NotFound("account_not_found", account=only[:64])
    found: list[aws.Item | None] = []
    for start in range(0, len(wanted), _ACCOUNTS_AT_ONCE):
        found += aws.get_many(
            [("accounts", {"account_id": each}) for each in wanted[start : start + _ACCOUNTS_AT_ONCE]]
        )
    return [Account.model_validate(item) for item in found if item]


def _holdings(accounts: Sequence[Account]) -> list[Held]:
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(positions.positions_of, accounts)
        return [
            (account, position) for account, held in zip(accounts, found, strict=True) for position in held
        ]


def _price_symbols(held: Held) -> tuple[str, ...]:
    """The symbols its price may be known under, best first.

    A holding is an asset, which its currency makes a pair.
    """
    account, position = held
    symbol = str(position["symbol"])
    if position["market_type"] == "futures":
        return (symbol,)
    return equity.price_symbols(symbol, account.currency)


def _live_keys(held: Held) -> list[prices.LiveKey]:
    account, position = held
    return [(name, account.exchange, MarketType(position["market_type"])) for name in _price_symbols(held)]


def _last_price(
    held: Held, known: Mapping[str, aws.Item], live: Mapping[prices.LiveKey, prices.LivePrice]
) -> Mapping[str, Any] | None:
    """`price` and `at`: the live one, else the newest one seen."""
    for key in _live_keys(held):
        if key in live:
            return {"price": live[key].price, "at": live[key].at}
    return next((known[symbol] for symbol in _price_symbols(held) if symbol in known), None)


def _view(
    held: Held, known: Mapping[str, aws.Item], live: Mapping[prices.LiveKey, prices.LivePrice]
) -> dict[str, Any]:
    account, position = held
    quantity, entry, leverage = position["quantity"], position["entry_price"], position["leverage"]
    seen = _last_price(held, known, live)
    price = seen["price"] if seen else None
    profit = position["unrealized_profit"]
    if profit is None and price is not None and entry is not None:
        profit = round_money((price - entry) * quantity, account.currency)
    return {
        "account_id": shown_id(account.account_id),
        "account_name": account.name,
        "exchange": account.exchange,
        "kind": account.kind,
        "symbol": position["symbol"],
        "market_type": position["market_type"],
        "side": "short" if quantity < 0 else "long",
        "quantity": quantity,
        "entry_price": entry,
        "price": price,
        "price_at": seen["at"] if seen else None,
        "value": None if price is None else round_money(abs(quantity) * price, account.currency),
        "unrealized_pnl": profit,
        "currency": account.currency,
        "leverage": leverage,
        "margin": round_money(abs(quantity) * entry / Decimal(leverage), account.currency)
        if leverage and entry
        else None,
        "as_of": position["at"],
    }


POSITIONS = [Route("GET", "/positions", list_positions)]
