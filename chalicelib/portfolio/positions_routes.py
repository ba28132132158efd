"""The route of a user's holdings and futures positions on all accounts, valued at the last known prices."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from chalicelib import aws, paging
from chalicelib.accounts.model import Account
from chalicelib.errors import NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.inputs import Caseless, Input, ShortText, UserId
from chalicelib.paper.money import round_money
from chalicelib.portfolio import equity, positions
from chalicelib.prices import store as prices
from chalicelib.trading import MarketType
from chalicelib.users import store as users
from chalicelib.users.access import caller
from chalicelib.users.models import shown_id


class CloseInput(Input):
    """What to close: an account, or one symbol of it, a strategy, or all accounts of a user."""

    account_id: UserId | None = None
    strategy_id: UserId | None = None
    user_id: UserId | None = None
    symbol: ShortText | None = None
    market_type: Annotated[MarketType, Caseless] | None = None
    halt: bool = False


_THREADS = 8
_ACCOUNTS_AT_ONCE = 100
Held = tuple[Account, dict[str, Any]]


def list_positions(request: Request) -> Answer:
    """Returns a user's positions, account by account. An admin names the user by `?user_id=`.

    `?account_id=` returns one account. Simulated accounts show their book. Exchange accounts show their last
    snapshot, taken at `as_of`.
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
    next_page = {"offset": end} if end < len(held) else None
    return paging.list_response([_view(each, known, live) for each in shown], len(held), next_page)


def _accounts(user_id: str, only: str | None) -> list[Account]:
    """Returns the user's accounts, or the requested one.

    Raises:
        NotFound: The requested account does not belong to the user.
    """
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
    """Returns the symbols that may price a position, best first.

    A holding is an asset, which its currency makes a trading pair.
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
    last_price = _last_price(held, known, live)
    price = last_price["price"] if last_price else None
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
        "price_at": last_price["at"] if last_price else None,
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
