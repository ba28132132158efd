"""The halt switches and risk rules over one signal on one account: read with everything else, asked before each order that opens.

A daily loss is added up in an item of its own, "tally#user#7", and each execution that trades under such a rule moves that item's version
on in its own transaction. So what reaches the limit halts, and whatever was decided before it knew of that is not written: it is decided
again. On an account with exchange keys, where an order is out of our hands once it is sent, two sums are kept: what its orders realised,
as soon as that is known, and what its equity lost, which has fees, funding and open positions in it. The larger loss of the two counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import uniform
from time import sleep
from typing import Any

from chalicelib import aws
from chalicelib.controls import halt, rules
from chalicelib.controls.halt import Scope, Switch
from chalicelib.controls.rules import Opening, Rules
from chalicelib.errors import Forbidden, NotDoable, Retryable

BY = "risk"
DAILY_LOSS = "max_daily_loss"
"""The reason of a halt that a rule threw."""

_ZERO = Decimal(0)
_MOST_REMEMBERED = 200  # orders; no rule allows more of them in a minute
_MOST_STRATEGIES = 20
_TRIES = 8


def switches(user_id: str, account_id: str, group_name: str | None) -> list[Switch]:
    """What governs an account's orders; the strategy if they are one's."""
    found = [Switch(Scope.GLOBAL), Switch(Scope.USER, user_id, user_id), Switch(Scope.ACCOUNT, account_id, user_id)]
    return [*found, Switch(Scope.STRATEGY, None, user_id, group_name)] if group_name else found


def keys(governing: Sequence[Switch]) -> list[tuple[str, aws.Key]]:
    """Where the switches with their rules stand, and what was added up under them."""
    return [("controls", key) for switch in governing for key in (switch.key, _tally_key(switch))]


@dataclass(frozen=True, slots=True)
class Flattening:
    """Something that a daily loss has halted, and whose accounts are to close what is open; `since` tells one halt from the next."""

    switch: Switch
    since: str


@dataclass(slots=True)
class _Governing:
    switch: Switch
    control: aws.Item
    tally: aws.Item
    rules: Rules

    def part_of(self, profits: Mapping[str | None, Decimal]) -> Decimal:
        """What of these profits by strategy counts here."""
        return profits.get(self.switch.name, _ZERO) if self.switch.scope is Scope.STRATEGY else sum(profits.values(), _ZERO)

    def sums(self, at: datetime) -> tuple[Decimal, Decimal]:
        """The day's profit with the equity of accounts at exchanges, and what all orders realised."""
        if self.tally.get("date") != at.date().isoformat():
            return _ZERO, _ZERO
        profit = Decimal(self.tally.get("profit", _ZERO))
        return profit, Decimal(self.tally.get("realized", profit))

    def loss(self, at: datetime, realized: Decimal = _ZERO) -> Decimal:
        """What was lost today, with this as well; negative if more was won."""
        profit, before = self.sums(at)
        return max(-profit, -(before + realized))

    def over(self, at: datetime, realized: Decimal = _ZERO) -> bool:
        """Whether the day's loss has reached the rule's limit."""
        limit = self.rules.max_daily_loss
        return limit is not None and self.loss(at, realized) >= limit


class Watch:
    """The switches and rules that govern one account's orders, as they were read.

    Attributes:
        governing: What governs, with its items.

    Args:
        found: The items under `keys`, in that order.
    """

    def __init__(self, governing: Sequence[Switch], found: Sequence[aws.Item | None]) -> None:
        items = [item or {} for item in found]
        pairs = zip(governing, items[::2], items[1::2], strict=True)
        self.governing = [_Governing(switch, control, tally, rules.of_item(control)) for switch, control, tally in pairs]
        self._placed = 0

    @property
    def rules(self) -> list[Rules]:
        """Every rule there is."""
        return [each.rules for each in self.governing]

    @property
    def looks_at_positions(self) -> bool:
        """Some rule is about positions."""
        return any(each.about_positions for each in self.rules)

    @property
    def watches_losses(self) -> bool:
        """Some rule is about the day's loss."""
        return any(each.max_daily_loss is not None for each in self.rules)

    @property
    def flattening(self) -> list[Flattening]:
        """What a daily loss has halted without its accounts having been told yet to close what is open."""
        return [Flattening(each.switch, each.control["flattening"]) for each in self.governing if each.control.get("flattening")]

    def check(self, symbol: str | None, at: datetime, profits: Mapping[str | None, Decimal]) -> None:
        """Raises Refused if nothing of this symbol may be opened now; `profits` are this signal's so far, as in `writes`."""
        if any(each.control.get("halted") for each in self.governing):
            raise Forbidden("halted")
        rules.check_signal(self.rules, symbol, at)
        rules.check_pace(self.rules, self._before(), self._placed, at)
        for each in self.governing:
            mine = each.part_of(profits)
            if each.over(at, mine):
                limit = each.rules.max_daily_loss or _ZERO
                raise NotDoable("daily_loss", loss=rules.plain(each.loss(at, mine)), limit=rules.plain(limit))

    def check_order(self, opening: Opening) -> None:
        """Raises Refused if this order is more than a rule allows."""
        rules.check_opening(self.rules, opening)

    def opened(self) -> None:
        """Counts an order that opens."""
        self._placed += 1

    def after(self, before: "Watch") -> "Watch":
        """This, read later in the course of the same signal."""
        self._placed = before._placed  # noqa: SLF001 - its own kind
        return self

    def writes(
        self, profits: Mapping[str | None, Decimal], at: datetime, *, traded: bool, equity: bool = False
    ) -> tuple[list[aws.Write], list[Flattening]]:
        """The writes that belong into the transaction of what was traded, halts among them, and what is to be flattened after it.

        Args:
            profits: What was realised, costs taken off, by strategy; None for orders of none. In the account's currency.
            traded: Orders were placed or filled.
            equity: The account is at an exchange, and `equity_seen` adds up what its equity loses.
        """
        writes: list[aws.Write] = []
        flattening: list[Flattening] = []
        for each in self.governing:
            fields: dict[str, Any] = {}
            if traded and each.rules.max_daily_loss is not None:
                realized = each.part_of(profits)
                lost, halts, marks = _add_up(each, _ZERO if equity else realized, realized, at)
                fields |= lost
                writes += halts
                flattening += marks
            if each.switch.scope is Scope.ACCOUNT and self._placed:
                fields |= self._opened(each.tally, at, equity=equity)
            if fields:
                writes.append(_tally_put(each, fields))
        return writes, flattening

    def _opened(self, tally: aws.Item, at: datetime, *, equity: bool) -> dict[str, Any]:
        """What is remembered of the orders that opened, as far as a rule asks for it."""
        fields: dict[str, Any] = {}
        if any(each.about_pace for each in self.rules):
            fields["opened"] = [moment.isoformat() for moment in [*self._before(), *[at] * self._placed]][-_MOST_REMEMBERED:]
        strategy = next((each for each in self.governing if each.switch.scope is Scope.STRATEGY), None)
        if equity and strategy and strategy.rules.max_daily_loss is not None:
            others = [name for name in tally.get("strategies", []) if name != strategy.switch.name]
            fields["strategies"] = [*others, strategy.switch.name][-_MOST_STRATEGIES:]
        return fields

    def _before(self) -> list[datetime]:
        """When earlier signals' orders opened on this account, as far back as matters."""
        tally = next(each.tally for each in self.governing if each.switch.scope is Scope.ACCOUNT)
        return [datetime.fromisoformat(moment) for moment in tally.get("opened", [])]


def equity_seen(
    user_id: str, account_id: str, equity: Decimal, at: datetime, realized: Mapping[str | None, Decimal] | None = None
) -> list[Flattening]:
    """Adds what an account's equity has lost since it was last looked at to the day's loss, and halts what has reached its limit.

    A strategy that has traded on the account counts the account's whole loss: whose it is cannot be told from equity. Money taken off the
    account looks like a loss, which errs to the safe side.

    Args:
        equity: In US dollars.
        realized: What orders that have ended since realised, by strategy. It is only held against the limit beside the equity: a crash
            before it is written loses it here, and what was lost is in the equity all the same.

    Returns:
        What is to be flattened.

    Raises:
        Retryable: Others were adding up again and again.
    """
    for attempt in range(_TRIES):
        governing = switches(user_id, account_id, None)
        [tally] = aws.get_many([("controls", _tally_key(governing[-1]))])
        names = {*(tally or {}).get("strategies", []), *(name for name in realized or {} if name)}
        governing += [Switch(Scope.STRATEGY, None, user_id, name) for name in sorted(names)]
        watched = Watch(governing, aws.get_many(keys(governing)))
        if not watched.watches_losses:
            return []
        writes, flattening = _equity_writes(watched, equity, realized or {}, at)
        try:
            aws.transact(writes)
        except (aws.WriteRefused, Retryable):
            sleep(uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 - jitter, not a secret
        else:
            return flattening
    raise Retryable("the day's loss is being added up by others")


def flattened(switch: Switch) -> None:
    """Notes that the accounts a halt is about have been told to close what is open."""
    aws.write(aws.update("controls", switch.key, "REMOVE flattening"))


def _equity_writes(
    watched: Watch, equity: Decimal, realized: Mapping[str | None, Decimal], at: datetime
) -> tuple[list[aws.Write], list[Flattening]]:
    writes: list[aws.Write] = []
    flattening: list[Flattening] = []
    account = next(each for each in watched.governing if each.switch.scope is Scope.ACCOUNT)
    change = equity - account.tally.get("equity", equity)
    for each in watched.governing:
        fields: dict[str, Any] = {"equity": equity} if each is account else {}
        if each.rules.max_daily_loss is not None:
            lost, halts, marks = _add_up(each, change, each.part_of(realized), at)
            fields |= lost
            writes += halts
            flattening += marks
        if fields:
            writes.append(_tally_put(each, fields))
    return writes, flattening


def _add_up(each: _Governing, profit: Decimal, realized: Decimal, at: datetime) -> tuple[dict[str, Any], list[aws.Write], list[Flattening]]:
    """The day's two sums with these, and the halt if one reaches the limit."""
    before, realized_before = each.sums(at)
    sums = {"profit": before + profit, "realized": realized_before + realized}
    fields = {"date": at.date().isoformat(), **sums}
    limit, lost = each.rules.max_daily_loss, -min(sums.values())
    if limit is None or lost < limit or each.control.get("halted"):
        return fields, [], []
    since = at.isoformat()
    control = each.control | ({"flattening": since} if each.rules.flatten else {})
    _, writes = halt.thrown(each.switch, control, at, halted=True, by=BY, admin=False, reason=DAILY_LOSS)
    return fields, writes, [Flattening(each.switch, since)] if each.rules.flatten else []


def _tally_key(switch: Switch) -> dict[str, str]:
    return {"scope": f"tally#{switch.key['scope']}"}


def _tally_put(each: _Governing, fields: Mapping[str, Any]) -> aws.Write:
    version = int(each.tally.get("version", 0))
    item = {**each.tally, **_tally_key(each.switch), **fields, "version": version + 1}
    if version:
        return aws.put("controls", item, "version = :read", read=version)
    return aws.put("controls", item, "attribute_not_exists(version)")
