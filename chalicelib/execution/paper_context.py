"""The reads of an execution on a simulated account besides its book.

They are the prices of its holdings and the strategies that it may trade for.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.errors import Forbidden, NotFound
from chalicelib.exchanges.protocol import OrderRequest
from chalicelib.paper.book import DOLLARS, Book, price_names
from chalicelib.prices import store as prices
from chalicelib.risk.halts import Scope, Switch
from chalicelib.risk.rules import Opening
from chalicelib.risk.state import RiskState
from chalicelib.trading import MarketType

KEYS = 3
"""Number of keys under which one instrument's price may be stored."""

_MOST_SYMBOLS = 15  # besides the keys of a signal: a batch read holds 100 keys
_AT_ONCE = 100
_USD = "USD"
Valued = tuple[str, MarketType]


def other_strategies(stored: Sequence[aws.Item], user_id: str, group_name: str | None) -> list[Switch]:
    """Returns the other strategies with waiting orders or positions on the account."""
    names = {item["reference"].get("group_name") for item in stored if item["item"].startswith("order#")}
    names |= {name for item in stored for name in item.get("owned", {})}
    return [
        Switch(Scope.STRATEGY, None, user_id, name)
        for name in sorted(filter(None, names))
        if name != group_name
    ]


def symbols(stored: Sequence[aws.Item], currency: str | None = None) -> list[Valued]:
    """Returns the instruments, with their market, whose prices value the account.

    They price the account's holdings, the quote currencies of its orders, and its own currency.

    Args:
        currency: The account's currency. None takes it from the stored items.
    """
    currency = currency or next(
        (name for item in stored if item["item"] == "ledger" for name in item["cash"]), _USD
    )
    found = [
        (item["item"].removeprefix("position#"), MarketType.FUTURES)
        for item in stored
        if item["item"].startswith("position#")
    ]
    assets = [item["item"].removeprefix("asset#") for item in stored if item["item"].startswith("asset#")]
    assets += [item["order"]["instrument"]["quote"] for item in stored if item["item"].startswith("order#")]
    names = [
        name
        for asset in dict.fromkeys(assets)
        if asset not in {currency, *DOLLARS}
        for name in price_names(asset, currency)
    ]
    names += price_names(currency, _USD) if currency not in DOLLARS else ()
    return [*found, *((name, MarketType.SPOT) for name in dict.fromkeys(names))][:_MOST_SYMBOLS]


def read(keys: Sequence[tuple[str, aws.Key]]) -> list[aws.Item | None]:
    """Reads items in batches of 100. One batch suffices unless many strategies have waiting orders."""
    return [
        item
        for start in range(0, len(keys), _AT_ONCE)
        for item in aws.get_many(keys[start : start + _AT_ONCE])
    ]


def price_keys(valued: Sequence[Valued], user_id: str, exchange: str) -> list[tuple[str, aws.Key]]:
    """Returns the keys of instruments' prices: the live price and the last known ones."""
    return [
        key
        for name, market_type in valued
        for key in (prices.live_key(name, exchange, market_type), *prices.item_keys(name, user_id))
    ]


def prices_of(
    valued: Sequence[Valued], found: Sequence[aws.Item | None], now: datetime
) -> dict[str, Decimal]:
    """Returns the prices read under `price_keys`, by symbol. The live price comes first."""
    known_prices: dict[str, Decimal] = {}
    for index, (name, _) in enumerate(valued):
        live, last = prices.live_and_last(found[KEYS * index : KEYS * (index + 1)], now)
        if price := live or last:
            known_prices.setdefault(name, price)
    return known_prices


def dollars_per_unit(account: Account, known_prices: Mapping[str, Decimal]) -> Decimal | None:
    """Returns US dollars per unit of the account's currency. None if no price is known."""
    if account.currency in DOLLARS:
        return Decimal(1)
    return next(
        (known_prices[name] for name in price_names(account.currency, _USD) if name in known_prices),
        None,
    )


def permit(
    book: Book,
    risk: RiskState,
    profile: aws.Item | None,
    account: Account,
    profits: Callable[[], Mapping[str | None, Decimal]],
    now: datetime,
) -> Callable[[OrderRequest, dict[str, Any], Decimal], None]:
    """Returns the check of a waiting order before it opens.

    The permissions and rules of its placement must still hold at the fill price.
    """

    def check(order: OrderRequest, reference: dict[str, Any], price: Decimal) -> None:
        if profile is None or not profile.get("is_active", True):
            raise Forbidden("user_not_active")
        if not account.is_active:
            raise NotFound("account_not_found", account=account.name)
        rules = risk.of_order(reference.get("group_name"))
        rules.check_fill(order.instrument.name, now, profits())
        held, others = book.exposure(order.instrument, order.side, waiting=False)
        notional = order.quantity * price
        rules.check_order(Opening(notional, position=held * price + notional, positions=others + 1))

    return check
