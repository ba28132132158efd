"""What an execution on a simulated account reads beside its book.

Prices of what it holds, and the strategies it may trade for.
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
"""Keys that the price of one instrument may stand under."""

_MOST_SYMBOLS = 15  # beside the keys of a signal; a batch of reads holds a hundred
_AT_ONCE = 100
_USD = "USD"
Valued = tuple[str, MarketType]


def other_strategies(stored: Sequence[aws.Item], user_id: str, group_name: str | None) -> list[Switch]:
    """The strategies besides a signal's own whose orders wait on the account, or whose positions may be liquidated."""
    names = {item["reference"].get("group_name") for item in stored if item["item"].startswith("order#")}
    names |= {name for item in stored for name in item.get("owned", {})}
    return [
        Switch(Scope.STRATEGY, None, user_id, name)
        for name in sorted(filter(None, names))
        if name != group_name
    ]


def symbols(stored: Sequence[aws.Item], currency: str | None = None) -> list[Valued]:
    """The instruments, with their market, whose prices value what an account holds, what its orders are quoted in, and its currency.

    Args:
        currency: The account's; None takes it from what is stored.
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
    """Several items, in one call unless orders of many strategies wait on the account."""
    return [
        item
        for start in range(0, len(keys), _AT_ONCE)
        for item in aws.get_many(keys[start : start + _AT_ONCE])
    ]


def price_keys(wanted: Sequence[Valued], user_id: str, exchange: str) -> list[tuple[str, aws.Key]]:
    """Where the prices of instruments stand: live ones, and the last ones seen."""
    return [
        key
        for name, market_type in wanted
        for key in (prices.live_key(name, exchange, market_type), *prices.item_keys(name, user_id))
    ]


def prices_of(
    wanted: Sequence[Valued], found: Sequence[aws.Item | None], now: datetime
) -> dict[str, Decimal]:
    """The prices read under `price_keys`."""
    existing_orders: dict[str, Decimal] = {}
    for index, (name, _) in enumerate(wanted):
        live, last = prices.live_and_last(found[KEYS * index : KEYS * (index + 1)], now)
        if price := live or last:
            existing_orders.setdefault(name, price)
    return existing_orders


def dollars_per_unit(account: Account, existing_orders: Mapping[str, Decimal]) -> Decimal | None:
    """US dollars per unit of the account's currency; None if no price of it is known."""
    if account.currency in DOLLARS:
        return Decimal(1)
    return next(
        (existing_orders[name] for name in price_names(account.currency, _USD) if name in existing_orders),
        None,
    )


def permit(
    book: Book,
    watched: RiskState,
    profile: aws.Item | None,
    account: Account,
    profits: Callable[[], Mapping[str | None, Decimal]],
    now: datetime,
) -> Callable[[OrderRequest, dict[str, Any], Decimal], None]:
    """What a waiting order asks before it opens.

    What permitted it when it was placed must still hold, at the price it fills at.
    """

    def check(order: OrderRequest, reference: dict[str, Any], price: Decimal) -> None:
        if profile is None or not profile.get("is_active", True):
            raise Forbidden("user_not_active")
        if not account.is_active:
            raise NotFound("account_not_found", account=account.name)
        rules = watched.of_order(reference.get("group_name"))
        rules.check_fill(order.instrument.name, now, profits())
        held, others = book.exposure(order.instrument, order.side, waiting=False)
        notional = order.quantity * price
        rules.check_order(Opening(notional, position=held * price + notional, positions=others + 1))

    return check
