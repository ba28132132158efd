"""A paper account's balances: cash, holdings, futures positions and free amounts. Pure functions.

There is one balance per asset. The account's own currency is `cash`. A dollar account keeps all dollar
currencies in one cash balance. Every other asset is a holding, whether bought as a base or received as a
quote currency. A holding's cost is kept in the account's currency.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from chalicelib.accounts.model import Account
from chalicelib.paper.money import places, round_money

DOLLARS = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD"})
"""Currencies counted at par. A paper account keeps them in one cash balance."""

MAINTENANCE = Decimal("0.005")
"""Maintenance margin as a share of a position's value: the lowest tier of BTCUSDT at Bybit.

Binance and OKX require 0.4 %.

https://www.bybit.com/en/help-center/article/Maintenance-Margin-USDT-Contract
"""

NO_STRATEGY = ""
"""Owner of quantities bought by signals without a strategy."""

_ZERO = Decimal(0)


@dataclass(slots=True)
class Holding:
    """One asset.

    Attributes:
        quantity: Base units.
        average_price: Cost per unit, in the account's currency.
        owned: Base units by the strategy that bought them.
        carry: Realised PnL below one cent, carried over to the next sale.
        lots: The open round trips, as stored by `journal`.
    """

    quantity: Decimal = _ZERO
    average_price: Decimal = _ZERO
    owned: dict[str, Decimal] = field(default_factory=dict)
    carry: Decimal = _ZERO
    lots: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Position:
    """A futures position. Negative quantities are short. `owned` and `lots` are as for a holding."""

    quote: str
    quantity: Decimal = _ZERO
    entry_price: Decimal = _ZERO
    leverage: int = 1
    owned: dict[str, Decimal] = field(default_factory=dict)
    lots: list[dict[str, Any]] = field(default_factory=list)

    @property
    def margin(self) -> Decimal:
        """Initial margin, quote units."""
        return abs(self.quantity) * self.entry_price / self.leverage

    def profit(self, price: Decimal) -> Decimal:
        """Returns the unrealised profit at a price, quote units."""
        return (price - self.entry_price) * self.quantity


@dataclass(slots=True)
class Balances:
    """Balances of an account.

    Attributes:
        cash: Balance in the account's own currency.
        prices: Last known prices by instrument, for unrealised profits and conversions.
        changed: Names of items to write: "asset#…", "position#…", "order#…".
    """

    account: Account
    cash: dict[str, Decimal]
    holdings: dict[str, Holding] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    prices: dict[str, Decimal] = field(default_factory=dict)

    def purse(self, asset: str) -> str:
        """Returns the balance in which an asset is kept."""
        return self.account.currency if asset in DOLLARS and self.account.currency in DOLLARS else asset

    def balance(self, asset: str) -> Decimal:
        """Returns the total of an asset."""
        purse = self.purse(asset)
        if purse == self.account.currency:
            return self.cash.get(purse, _ZERO)
        return self.holdings[purse].quantity if purse in self.holdings else _ZERO

    def rate(self, asset: str) -> Decimal | None:
        """Returns the value of one unit of an asset, in the account's currency.

        Uses its last price, else its cost. None if unknown.
        """
        purse, currency = self.purse(asset), self.account.currency
        if purse == currency:
            return Decimal(1)
        known = next(
            (self.prices[name] for name in price_names(purse, currency) if name in self.prices), None
        )
        held = self.holdings.get(purse)
        return known or (held.average_price if held and held.quantity else None)

    def mark(self, name: str) -> Decimal:
        """Returns the last known price of a position's instrument, else its entry price."""
        return self.prices.get(name, self.positions[name].entry_price)

    def unrealised(self, asset: str) -> Decimal:
        """Returns the profit of the open futures positions that settle in an asset."""
        return sum((position.profit(self.mark(name)) for name, position in self.settling_in(asset)), _ZERO)

    def settling_in(self, asset: str) -> Iterator[tuple[str, Position]]:
        """Yields the futures positions that settle in an asset, with their names."""
        purse = self.purse(asset)
        for name in sorted(self.positions):
            position = self.positions[name]
            if position.quantity and self.purse(position.quote) == purse:
                yield name, position

    def below_maintenance(self, asset: str) -> bool:
        """Returns whether the positions that settle in an asset must be liquidated.

        If so, balance and unrealised profit do not cover the maintenance margin.
        """
        found = list(self.settling_in(asset))
        upkeep = sum(
            (abs(position.quantity) * self.mark(name) * MAINTENANCE for name, position in found), _ZERO
        )
        return bool(found) and self.balance(asset) + self.unrealised(asset) <= upkeep

    def take(self, asset: str, amount: Decimal, group: str) -> Decimal:
        """Takes an amount from a balance. Returns its cost, in the account's currency."""
        purse = self.purse(asset)
        if purse == self.account.currency:
            self.cash[purse] = self.cash.get(purse, _ZERO) - amount
            return amount
        holding = self.holdings.setdefault(purse, Holding())
        holding.owned = owners(holding.owned, group, holding.quantity, -amount)
        holding.quantity -= amount
        self.changed.add(f"asset#{purse}")
        return amount * holding.average_price

    def give(self, asset: str, amount: Decimal, cost: Decimal, group: str) -> Decimal:
        """Adds an amount to a balance. Returns its value, in the account's currency.

        Args:
            cost: Value of the amount, in the account's currency. It becomes the cost of a holding.
        """
        purse = self.purse(asset)
        if purse == self.account.currency:
            self.cash[purse] = self.cash.get(purse, _ZERO) + amount
            return amount
        if not amount:
            return _ZERO
        holding = self.holdings.setdefault(purse, Holding())
        paid = holding.quantity * holding.average_price + cost
        holding.owned = owners(holding.owned, group, holding.quantity, amount)
        holding.quantity += amount
        holding.average_price = paid / holding.quantity
        self.changed.add(f"asset#{purse}")
        return cost

    def add_profit(self, asset: str, profit: Decimal, group: str) -> Decimal:
        """Settles a futures profit or loss, fee included. Returns it in the account's currency.

        A loss beyond the balance is first paid from the unrealised profit of other positions. The exchange
        bears the rest, as its insurance fund does.
        """
        rate = self.rate(asset) or _ZERO
        missing = -(self.balance(asset) + profit)
        if missing > 0:
            for name, position in self.settling_in(asset):
                gain = round_money(position.profit(self.mark(name)), self.purse(asset))
                if gain > 0 and missing > 0:
                    position.entry_price, profit, missing = self.mark(name), profit + gain, missing - gain
                    self.changed.add(f"position#{name}")
            profit += max(missing, _ZERO)
        if profit >= 0:
            return self.give(asset, profit, profit * rate, group) if profit else _ZERO
        self.take(asset, -profit, group)
        return profit * rate


def owners(owned: dict[str, Decimal], group: str, before: Decimal, change: Decimal) -> dict[str, Decimal]:
    """Returns the shares of strategies in a quantity after a change.

    A reduction takes first from the strategy itself, then from no strategy, then from the others.

    Args:
        before: The earlier quantity, base units. Negative if short.
        change: The change, base units. Negative for a sale.
    """
    after = before + change
    if not after:
        return {}
    if before * after <= 0:  # reversed, or opened from zero
        return {group: abs(after)}
    found = shares(owned, before)
    if abs(after) > abs(before):
        found[group] = found.get(group, _ZERO) + abs(change)
    left = max(abs(before) - abs(after), _ZERO)
    for name in dict.fromkeys((group, NO_STRATEGY, *sorted(found))):
        taken = min(left, found.get(name, _ZERO))
        found[name] = found.get(name, _ZERO) - taken
        left -= taken
    return {name: quantity for name, quantity in found.items() if quantity}


def shares(owned: dict[str, Decimal], quantity: Decimal) -> dict[str, Decimal]:
    """Returns what each strategy owns of a quantity. The rest belongs to no strategy."""
    of_strategies = {name: share for name, share in owned.items() if name != NO_STRATEGY}
    return of_strategies | {NO_STRATEGY: abs(quantity) - sum(of_strategies.values(), _ZERO)}


def price_names(asset: str, currency: str) -> tuple[str, ...]:
    """Returns the instruments that price an asset in a currency, best first.

    All dollar currencies are treated alike.
    """
    at_par = ("USDT", "USDC", "USD", *sorted(DOLLARS - {"USDT", "USDC", "USD"}))
    quotes = (currency, *at_par) if currency in DOLLARS else (currency,)
    return (asset, *(f"{asset}{quote}" for quote in dict.fromkeys(quotes)))


def floor_money(amount: Decimal, currency: str) -> Decimal:
    """Returns an amount rounded down to its currency's decimal places, never negative."""
    return max(amount.quantize(Decimal(1).scaleb(-places(currency)), ROUND_FLOOR), _ZERO)
