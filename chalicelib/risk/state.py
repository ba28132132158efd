"""Risk state: the halts and risk rules for one signal on one account.

Read once with the other records, checked before each opening order.

The daily totals are items of their own, such as "daily_totals#user#7". Each execution under a daily loss rule
increments the item's version in its own transaction. If the loss reaches the limit, a halt is written.
Concurrent executions then fail their condition and are decided again.

An exchange account has two totals, because a sent order cannot be taken back: the realised PnL of its orders,
and the change of its equity. The equity includes fees, funding and open positions. The larger loss of the two
counts.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import uniform
from time import sleep
from typing import Any

from chalicelib import aws
from chalicelib.errors import Forbidden, NotDoable, Retryable
from chalicelib.risk import halts, rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.risk.rules import Opening, Rules

BY = "risk"
DAILY_LOSS = "max_daily_loss"
"""Reason of a halt that the daily loss rule caused."""

_ZERO = Decimal(0)
_MOST_REMEMBERED = 200  # orders. No rule allows more of them in a minute
_MOST_STRATEGIES = 20
_TRIES = 8


def switches(user_id: str, account_id: str, group_name: str | None) -> list[Switch]:
    """Returns the switches that apply to an account's orders.

    Args:
        group_name: The strategy of the orders. None for no strategy.
    """
    found = [
        Switch(Scope.GLOBAL),
        Switch(Scope.USER, user_id, user_id),
        Switch(Scope.ACCOUNT, account_id, user_id),
    ]
    return [*found, Switch(Scope.STRATEGY, None, user_id, group_name)] if group_name else found


def item_keys(active_rules: Sequence[Switch]) -> list[tuple[str, aws.Key]]:
    """Returns the keys of the switches with their rules, and of their daily totals."""
    return [("risk", key) for switch in active_rules for key in (switch.key, _daily_totals_key(switch))]


@dataclass(frozen=True, slots=True)
class Flattening:
    """A halt whose accounts close their positions, or with `entries_only` cancel their entries.

    Attributes:
        since: Start of the halt. Distinguishes halts of the same switch.
    """

    switch: Switch
    since: str
    entries_only: bool = False


@dataclass(slots=True)
class _ActiveRules:
    switch: Switch
    control: aws.Item
    daily_totals: aws.Item
    rules: Rules

    def part_of(self, profits: Mapping[str | None, Decimal], rate: Decimal | None) -> Decimal:
        """Returns the part of these profits that counts under the rule.

        For an account in its currency, else in US dollars.

        Args:
            profits: Profits by strategy.
            rate: US dollars per unit of the account's currency. None if unknown: those profits are left out
                and no order may open.
        """
        part = (
            profits.get(self.switch.name, _ZERO)
            if self.switch.scope is Scope.STRATEGY
            else sum(profits.values(), _ZERO)
        )
        return part if self.switch.scope is Scope.ACCOUNT else part * (rate or _ZERO)

    def sums(self, at: datetime) -> tuple[Decimal, Decimal]:
        """Returns the day's profit including the equity change, and the realised PnL of all orders."""
        if self.daily_totals.get("date") != at.date().isoformat():
            return _ZERO, _ZERO
        profit = Decimal(self.daily_totals.get("profit", _ZERO))
        return profit, Decimal(self.daily_totals.get("realized", profit))

    def loss(self, at: datetime, realized: Decimal = _ZERO) -> Decimal:
        """Returns today's loss including `realized`. Negative for a profit."""
        profit, before = self.sums(at)
        return max(-profit, -(before + realized))

    def over(self, at: datetime, realized: Decimal = _ZERO) -> bool:
        """Returns whether the day's loss has reached the rule's limit."""
        limit = self.rules.max_daily_loss
        return limit is not None and self.loss(at, realized) >= limit


class RiskState:
    """The switches and rules that apply to one account's orders, as they were read.

    Attributes:
        active_rules: The switches that apply, with their items.
        others: Switches of strategies with waiting orders on the account. The signal's price may fill those
            orders, so their losses count too.
        currency: The account's currency.
        rate: US dollars per unit of `currency`. None if unknown.

    Args:
        found: The items under `item_keys` of both, in that order.
    """

    def __init__(
        self, active_rules: Sequence[Switch], found: Sequence[aws.Item | None], others: Sequence[Switch] = ()
    ) -> None:
        items = [item or {} for item in found]
        pairs = zip([*active_rules, *others], items[::2], items[1::2], strict=True)
        every = [
            _ActiveRules(switch, control, daily_totals, rules.rules_from_item(control))
            for switch, control, daily_totals in pairs
        ]
        self.active_rules, self.others = every[: len(active_rules)], every[len(active_rules) :]
        self.currency = "USD"
        self.rate: Decimal | None = Decimal(1)
        self._placed = 0

    def count_in(self, currency: str, rate: Decimal | None) -> None:
        """Sets the currency of profits and its rate in US dollars per unit."""
        self.currency, self.rate = currency, rate

    def of_order(self, group_name: str | None) -> "RiskState":
        """Returns the risk state for a waiting order of a strategy. None means no strategy."""
        found = copy(self)
        every = (*self.active_rules, *self.others)
        found.active_rules = [
            each
            for each in every
            if each.switch.scope is not Scope.STRATEGY or each.switch.name == group_name
        ]
        return found

    @property
    def rules(self) -> list[Rules]:
        """Returns all risk rules."""
        return [each.rules for each in self.active_rules]

    @property
    def looks_at_positions(self) -> bool:
        """Whether a rule needs the account's positions."""
        return any(each.about_positions for each in self.rules)

    @property
    def watches_losses(self) -> bool:
        """Whether a rule limits the daily loss."""
        return any(each.rules.max_daily_loss is not None for each in (*self.active_rules, *self.others))

    @property
    def flattening(self) -> list[Flattening]:
        """Halts by daily loss whose accounts have not been sent the closing message yet."""
        marked = [each for each in self.active_rules if each.control.get("flattening")]
        return [
            Flattening(each.switch, each.control["flattening"], entries_only=not each.rules.flatten)
            for each in marked
        ]

    def check(self, symbol: str | None, at: datetime, profits: Mapping[str | None, Decimal]) -> None:
        """Raises Refused if no order of this symbol may open now.

        Args:
            profits: This signal's profits so far, as in `writes`.
        """
        if self.halted:
            raise Forbidden("halted")
        rules.check_signal(self.rules, symbol, at)
        rules.check_pace(self.rules, self._earlier_openings(), self._placed, at)
        self._check_loss(at, profits)

    def check_fill(self, symbol: str, at: datetime, profits: Mapping[str | None, Decimal]) -> None:
        """Raises Refused if a waiting order of this symbol may not open now.

        Pace and trading hours are checked only when an order is placed. If a rule keeps resting orders during
        a halt, neither the halt nor the daily loss that caused it blocks them.
        """
        if not self.keeps_resting:
            if self.halted:
                raise Forbidden("halted")
            self._check_loss(at, profits)
        rules.check_symbol(self.rules, symbol)

    @property
    def halted(self) -> bool:
        """Whether a switch is halted."""
        return any(each.control.get("halted") for each in self.active_rules)

    @property
    def keeps_resting(self) -> bool:
        """Whether a rule keeps resting orders during a halt."""
        return any(not each.cancel_on_halt for each in self.rules)

    def _check_loss(self, at: datetime, profits: Mapping[str | None, Decimal]) -> None:
        for each in self.active_rules:
            if (
                each.rules.max_daily_loss is not None
                and self.rate is None
                and each.switch.scope is not Scope.ACCOUNT
            ):
                raise NotDoable("rule_cannot_count", currency=self.currency, unit="USD")
            mine = each.part_of(profits, self.rate)
            if each.over(at, mine):
                limit = each.rules.max_daily_loss or _ZERO
                raise NotDoable("daily_loss", loss=rules.plain(each.loss(at, mine)), limit=rules.plain(limit))

    def check_order(self, opening: Opening) -> None:
        """Raises Refused if this order exceeds a rule."""
        rules.check_opening(self.rules, opening)

    def opened(self) -> None:
        """Counts an opening order."""
        self._placed += 1

    def after(self, before: "RiskState") -> "RiskState":
        """Returns this newer state with the order counts of an earlier state of the same signal."""
        self._placed = before._placed  # noqa: SLF001 - its own kind
        return self

    def writes(
        self, profits: Mapping[str | None, Decimal], at: datetime, *, traded: bool, equity: bool = False
    ) -> tuple[list[aws.Write], list[Flattening]]:
        """Returns the risk writes for the transaction of the trades, and the accounts to flatten afterwards.

        The writes include halts.

        Args:
            profits: Realised PnL net of costs by strategy, in the account's currency. The key None holds
                orders without a strategy.
            traded: Whether orders were placed or filled.
            equity: Whether the account is at an exchange, so that `add_equity_change` adds up its equity
                loss.
        """
        writes: list[aws.Write] = []
        flattening: list[Flattening] = []
        for each in (*self.active_rules, *self.others):
            fields: dict[str, Any] = {}
            if traded and each.rules.max_daily_loss is not None:
                realized = each.part_of(profits, self.rate)
                lost, halts, marks = _add_loss_writes(each, _ZERO if equity else realized, realized, at)
                fields |= lost
                writes += halts
                flattening += marks
            if each.switch.scope is Scope.ACCOUNT and self._placed:
                fields |= self._opening_fields(each.daily_totals, at, equity=equity)
            if fields:
                writes.append(_daily_totals_write(each, fields))
        return writes, flattening

    def _opening_fields(self, daily_totals: aws.Item, at: datetime, *, equity: bool) -> dict[str, Any]:
        """Returns the stored times of opening orders, as far as a rule needs them."""
        fields: dict[str, Any] = {}
        if any(each.about_pace for each in self.rules):
            fields["opened"] = [
                moment.isoformat() for moment in [*self._earlier_openings(), *[at] * self._placed]
            ][-_MOST_REMEMBERED:]
        strategy = next((each for each in self.active_rules if each.switch.scope is Scope.STRATEGY), None)
        if equity and strategy and strategy.rules.max_daily_loss is not None:
            others = [name for name in daily_totals.get("strategies", []) if name != strategy.switch.name]
            fields["strategies"] = [*others, strategy.switch.name][-_MOST_STRATEGIES:]
        return fields

    def _earlier_openings(self) -> list[datetime]:
        """Returns when orders of earlier signals opened on this account, as far back as rules need."""
        daily_totals = next(
            each.daily_totals for each in self.active_rules if each.switch.scope is Scope.ACCOUNT
        )
        return [datetime.fromisoformat(moment) for moment in daily_totals.get("opened", [])]


def add_equity_change(
    user_id: str,
    account_id: str,
    equity: Decimal,
    at: datetime,
    realized: Mapping[str | None, Decimal] | None = None,
) -> list[Flattening]:
    """Adds the account's equity change since the last snapshot to the daily totals, and halts at a limit.

    A strategy that has traded on the account counts the account's whole loss, because equity is not kept per
    strategy. A withdrawal counts as a loss, which errs on the safe side.

    Args:
        equity: In US dollars.
        realized: Realised PnL of orders that have ended since, by strategy. It is compared with the limit in
            addition to the equity. A crash before the write loses it here, but the equity includes the loss.

    Returns:
        The halts whose accounts must be flattened.

    Raises:
        Retryable: The totals were modified concurrently on each attempt.
    """
    for attempt in range(_TRIES):
        active_rules = switches(user_id, account_id, None)
        [daily_totals] = aws.get_many([("risk", _daily_totals_key(active_rules[-1]))])
        names = {*(daily_totals or {}).get("strategies", []), *(name for name in realized or {} if name)}
        active_rules += [Switch(Scope.STRATEGY, None, user_id, name) for name in sorted(names)]
        state = RiskState(active_rules, aws.get_many(item_keys(active_rules)))
        if not state.watches_losses:
            return []
        writes, flattening = _equity_writes(state, equity, realized or {}, at)
        try:
            aws.transact(writes)
        except (aws.WriteRefused, Retryable):
            sleep(uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 - jitter, not a secret
        else:
            return flattening
    raise Retryable("daily totals modified concurrently on every attempt")


def mark_flattened(switch: Switch) -> None:
    """Records that the accounts of a halt have been sent the closing message."""
    aws.write(aws.update_write("risk", switch.key, "REMOVE flattening"))


def _equity_writes(
    state: RiskState, equity: Decimal, realized: Mapping[str | None, Decimal], at: datetime
) -> tuple[list[aws.Write], list[Flattening]]:
    writes: list[aws.Write] = []
    flattening: list[Flattening] = []
    account = next(each for each in state.active_rules if each.switch.scope is Scope.ACCOUNT)
    change = equity - account.daily_totals.get("equity", equity)
    for each in state.active_rules:
        fields: dict[str, Any] = {"equity": equity} if each is account else {}
        if each.rules.max_daily_loss is not None:
            lost, halts, marks = _add_loss_writes(each, change, each.part_of(realized, state.rate), at)
            fields |= lost
            writes += halts
            flattening += marks
        if fields:
            writes.append(_daily_totals_write(each, fields))
    return writes, flattening


def _add_loss_writes(
    each: _ActiveRules, profit: Decimal, realized: Decimal, at: datetime
) -> tuple[dict[str, Any], list[aws.Write], list[Flattening]]:
    """Returns the day's totals with these amounts, and the writes of a halt if a total reaches the limit."""
    before, realized_before = each.sums(at)
    sums = {"profit": before + profit, "realized": realized_before + realized}
    fields = {"date": at.date().isoformat(), **sums}
    limit, lost = each.rules.max_daily_loss, -min(sums.values())
    if limit is None or lost < limit or each.control.get("halted"):
        return fields, [], []
    since, flatten = at.isoformat(), each.rules.flatten
    acts = flatten or each.rules.cancel_on_halt
    control = each.control | ({"flattening": since} if acts else {})
    _, writes = halts.switch_writes(
        each.switch, control, at, halted=True, by=BY, admin=False, reason=DAILY_LOSS, flatten=flatten
    )
    return fields, writes, [Flattening(each.switch, since, entries_only=not flatten)] if acts else []


def _daily_totals_key(switch: Switch) -> dict[str, str]:
    return {"scope": f"daily_totals#{switch.key['scope']}"}


def _daily_totals_write(each: _ActiveRules, fields: Mapping[str, Any]) -> aws.Write:
    version = int(each.daily_totals.get("version", 0))
    item = {**each.daily_totals, **_daily_totals_key(each.switch), **fields, "version": version + 1}
    if version:
        return aws.put_write("risk", item, "version = :read", read=version)
    return aws.put_write("risk", item, "attribute_not_exists(version)")
