"""Chooses the accounts of a signal and builds the instruction for each account."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Any

from chalicelib import symbols
from chalicelib.errors import Forbidden, NotDoable, NotFound, Refused, Unauthorized
from chalicelib.orders.models import Instruction
from chalicelib.risk import rules
from chalicelib.signals.alert_gaps import AlertGap
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import sizes, terms
from chalicelib.signals.source import SignalSource
from chalicelib.trading import Action, ExitFields, MarketType, OrderType, Unit, Variant
from chalicelib.users.models import AccountEntry, AccountKind

_SIZED_BY_WORD = (Action.CLOSE, Action.STOP, Action.CANCEL_ALL)
"""Actions that imply the size. A size in the body is the maximum."""


@dataclass(frozen=True, slots=True)
class Target:
    """An account that receives the signal.

    Attributes:
        weight: Factor on each percentage, in percent.
    """

    account_id: str
    name: str
    exchange: str
    kind: AccountKind
    weight: Decimal = Decimal(100)


@dataclass(frozen=True, slots=True)
class Plan:
    """A signal's accounts, and the market to trade on.

    Attributes:
        accounts: The number of accounts on the strategy, whether they take part or not.
    """

    targets: tuple[Target, ...]
    market_type: MarketType | None
    accounts: int


def make_plan(signal: Signal, sender: SignalSource, now: datetime) -> Plan:
    """Returns the accounts that take part.

    Raises:
        NotFound: The account or strategy that the signal names does not exist.
        NotDoable: No account takes part, or the strategy does not trade the symbol.
        NotDoable: A risk rule forbids the signal, and the signal can only open. `leverage_too_high`.
        Unauthorized: A signal without a token would reach real money.
        Refused: The exchange of an account does not trade the symbol. `risk_needs_stop`.
        Forbidden: Trading is halted, and the signal can only open.
    """
    plan = _PLANNERS[signal.variant](signal, sender)
    for target in plan.targets:
        check_instrument(signal, target)
    if not plan.targets:
        raise NotDoable("no_accounts")
    if not sender.authenticated and any(target.kind.real_money for target in plan.targets):
        raise Unauthorized("token_missing")
    unmeasured = signal.risk_unreadable or (signal.risk_percent is not None and signal.stop_loss is None)
    if unmeasured and not only_closes(signal, plan.market_type):
        raise Refused("risk_needs_stop", field="risk_percent")
    leverage_of(signal, sender, plan.market_type)
    if sender.halted and only_opens(signal, plan.market_type):
        raise Forbidden("halted")
    if only_opens(signal, plan.market_type):
        check_rules(signal, sender, now)
    return plan


def check_instrument(signal: Signal, target: Target) -> None:
    """Refuses a symbol that the target's exchange cannot trade: a share, or a coin without a quote."""
    if signal.symbol is not None and signal.action is not Action.CANCEL_ALL:
        symbols.check_exchange(signal.symbol, target.exchange)


def check_rules(signal: Signal, sender: SignalSource, now: datetime) -> None:
    """Checks the risk rules of the user and the strategy, for any size and for the size in the signal.

    Raises:
        NotDoable: A rule refuses the signal.
    """
    rules.check_signal(sender.rules, signal.symbol.name if signal.symbol else None, now)
    if signal.size and signal.size.unit is Unit.QUOTE:
        rules.check_notional(sender.rules, signal.size.amount)
    # A purchase trades at its limit at most. A market order is valued at execution, by the market's price.
    if signal.quantity is not None and signal.price is not None and signal.order_type in terms.WITH_LIMIT:
        rules.check_notional(sender.rules, signal.quantity * signal.price)


def leverage_of(signal: Signal, sender: SignalSource, market_type: MarketType | None) -> int:
    """Returns the leverage of a signal: that of its body, or the setting.

    Raises:
        NotDoable: `leverage_too_high`: more than the setting, or more than 1 on spot.
    """
    most = sender.owner.settings.leverage if market_type is MarketType.FUTURES else 1
    if signal.leverage is not None and signal.leverage > most:
        raise NotDoable("leverage_too_high", leverage=signal.leverage, limit=most)
    return signal.leverage or most


def is_closing(signal: Signal) -> bool:
    """Returns whether the signal was read as a closing signal."""
    return signal.action in _SIZED_BY_WORD or (
        signal.variant is Variant.PAPER and signal.market_position == "flat"
    )


def only_opens(signal: Signal, market_type: MarketType | None) -> bool:
    """Returns whether the signal can only open or add.

    On futures, an order may reduce an opposite position. That is known at execution only.
    """
    return (
        market_type is MarketType.SPOT and signal.action in (Action.BUY, Action.LONG) and not signal.shrinks
    )


def only_closes(signal: Signal, market_type: MarketType | None) -> bool:
    """Returns whether the signal can only close, reduce or cancel."""
    selling = market_type is MarketType.SPOT and (
        signal.action in (Action.SELL, Action.SHORT) or signal.shrinks
    )
    return selling or signal.reduce_only or signal.action in (Action.CLOSE, Action.STOP, Action.CANCEL_ALL)


def instructions(
    signal_id: str, signal: Signal, sender: SignalSource, plan: Plan, received_at: datetime
) -> tuple[Instruction, ...]:
    """Returns the instruction for each account."""
    settings = sender.owner.settings
    leverage = leverage_of(signal, sender, plan.market_type)
    shared: dict[str, Any] = {
        "signal_id": signal_id,
        "user_id": sender.user_id,
        "variant": signal.variant.value,
        "action": signal.action,
        "symbol": signal.symbol,
        "market_type": plan.market_type,
        "order_type": signal.order_type,
        "legs": signal.legs,
        "target_size": signal.market_position_size,
        "shrinks": signal.shrinks,
        "price": signal.price,
        "stop_price": signal.stop_price,
        **{name: getattr(signal, name) for name in ExitFields.model_fields},
        "risk_percent": signal.risk_percent,
        "expires_in_s": signal.expires_in_s,
        "on_expiry": signal.on_expiry,
        "exit_after_s": signal.exit_after_s,
        "position_side": signal.position_side,
        "reduce_only": signal.reduce_only,
        "post_only": signal.post_only,
        "time_in_force": signal.time_in_force,
        "leverage": leverage,
        "margin_mode": settings.margin_mode,
        "batch": signal.batch,
        "group_name": signal.group_name,
        "received_at": received_at,
        "sent_at": signal.sent_at,
        "max_price_deviation_percent": _max_price_deviation(sender),
        "max_age_s": max_age_s(signal, sender),
        "single_account": len(plan.targets) == 1,
        **_size(signal, settings.trade_amount * leverage),
    }
    resync = bool((sender.strategy or {}).get("resync"))
    shared |= _resync(signal, plan.market_type) if resync else _to_flat(signal, plan.market_type)
    return tuple(
        Instruction(
            account_id=target.account_id,
            exchange=target.exchange,
            weight=target.weight,
            simulated=not target.kind.real_money,
            **shared,
        )
        for target in plan.targets
    )


def max_age_s(signal: Signal, sender: SignalSource) -> int:
    """Returns the age in seconds from which the signal opens nothing.

    The shorter of the user's setting and the signal's own limit.
    """
    limit = sender.owner.settings.max_age_s
    return limit if signal.max_age_s is None else min(limit, ceil(signal.max_age_s))


def _max_price_deviation(sender: SignalSource) -> Decimal:
    """Returns the strategy's limit, in percent. The user's limit if the strategy has none."""
    of_strategy = (sender.strategy or {}).get("max_price_deviation_percent")
    return sender.owner.settings.max_price_deviation_percent if of_strategy is None else Decimal(of_strategy)


def overtaken(given: tuple[Instruction, ...], missed: AlertGap | None) -> tuple[Instruction, ...]:
    """Returns the instructions of a signal after another signal was stored first.

    An exit that its entry has overtaken does nothing.
    """
    late, entry = (
        (missed.came_late, missed.last_signal_id if missed.may_be_late else None) if missed else (False, None)
    )
    return tuple(each.model_copy(update={"came_late": late, "overtaken_by": entry}) for each in given)


def _size(signal: Signal, trade_amount: Decimal) -> dict[str, Any]:
    """Returns the size fields, from the settings if these size the webhook's orders, or from the body."""
    if signal.action in _SIZED_BY_WORD:
        return sizes.instructed(signal.size, None, None)
    if signal.variant in (Variant.LEGACY, Variant.PERSONAL):
        return {"quote_amount": trade_amount}
    limit = signal.price if signal.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None
    return sizes.instructed(signal.size, limit, signal.stop_price)


def _to_flat(signal: Signal, market_type: MarketType | None) -> dict[str, Any]:
    """Returns the changes for an order that leads to flat.

    On spot, a purchase buys nothing, because there is no short position to buy back.
    """
    if market_type is MarketType.SPOT and signal.ordered in (Action.BUY, Action.LONG):
        return {"action": Action.BUY, "reduce_only": True}
    return {}


def _resync(signal: Signal, market_type: MarketType | None) -> dict[str, Any]:
    """Returns the changes that lead to the strategy's position, whatever alerts were missed before.

    Only orders toward that position may open. Spot holdings have no direction, so there is no short position
    to buy back.
    """
    after = signal.market_position
    if signal.action is Action.CLOSE and signal.variant is Variant.GROUP:
        whole = {"legs": (), "quantity": None, "quote_amount": None, "position_percent": None}
        return whole | _to_flat(signal, market_type)
    if after is None or signal.action not in (Action.BUY, Action.SELL, Action.LONG, Action.SHORT):
        return {}
    buying = signal.action in (Action.BUY, Action.LONG)
    if market_type is MarketType.SPOT:
        return {"reduce_only": True} if buying and after != "long" else {}
    if buying == (after == "long"):
        if signal.shrinks:
            return {}
        return {"action": Action.LONG if buying else Action.SHORT}
    return {"action": Action.BUY if buying else Action.SELL, "reduce_only": True, "close_same_side": True}


def _paper(signal: Signal, sender: SignalSource) -> Plan:
    """Plans for the named paper account, or the user's default. Never for an account of another kind."""
    name = signal.account or sender.owner.settings.default_account
    entry = sender.owner.directory.accounts.get(name or "")
    if name is None or entry is None:
        raise NotFound("account_not_found", account=name or "default")
    if entry.kind is not AccountKind.PAPER:
        raise NotDoable("not_a_paper_account", account=name)
    return _plan({name: entry}, MarketType.SPOT)


def _by_settings(signal: Signal, sender: SignalSource) -> Plan:
    """Plans legacy and personal signals for the account that the settings describe."""
    settings = sender.owner.settings
    exchange = signal.exchange or settings.exchange
    real = settings.account_type == "real" and not signal.demo  # `demo=NO` never makes a demo user trade live
    kind = AccountKind.LIVE if real else AccountKind.DEMO
    return _one(signal, sender, exchange, kind, signal.market_type or settings.market_type)


def _xc(signal: Signal, sender: SignalSource) -> Plan:
    """Plans an xc signal for the account on the named exchange.

    A perpetual's name selects futures. Otherwise the settings select the market.
    """
    perpetual = signal.symbol is not None and signal.symbol.perpetual
    market_type = signal.market_type or (
        MarketType.FUTURES if perpetual else sender.owner.settings.market_type
    )
    kind = AccountKind.LIVE if signal.demo is False else AccountKind.DEMO
    return _one(signal, sender, signal.exchange or "", kind, market_type)


def _manual(signal: Signal, sender: SignalSource) -> Plan:
    """Plans a manual order for the named account of any kind.

    Paper accounts trade spot. For others, the symbol or the settings select the market.
    """
    entry = sender.owner.directory.accounts.get(signal.account or "")
    if signal.account is None or entry is None:
        raise NotFound("account_not_found", account=signal.account)
    if signal.demo and entry.kind.real_money:
        raise NotDoable("not_a_demo_account", account=signal.account)
    perpetual = signal.symbol is not None and signal.symbol.perpetual
    usual = MarketType.SPOT if entry.kind is AccountKind.PAPER else sender.owner.settings.market_type
    return _plan({signal.account: entry}, signal.market_type or (MarketType.FUTURES if perpetual else usual))


def _one(
    signal: Signal, sender: SignalSource, exchange: str, kind: AccountKind, market_type: MarketType
) -> Plan:
    """Plans for the named account, or for the only one on the exchange.

    With several accounts, a choice would be a guess about the user's money.
    """
    if market_type is MarketType.SPOT and signal.symbol is not None and signal.symbol.perpetual:
        raise NotDoable("perpetual_on_spot", symbol=signal.symbol.raw)
    fitting = {
        name: entry
        for name, entry in sender.owner.directory.accounts.items()
        if entry.exchange == exchange and entry.kind is kind and entry.is_active
    }
    name = signal.account or (sender.owner.settings.default_account if len(fitting) > 1 else None)
    if name is not None:
        if name not in fitting:
            raise NotFound("account_not_found", account=name)
        return _plan({name: fitting[name]}, market_type)
    if not fitting:
        raise NotDoable("no_fitting_account", exchange=exchange, kind=kind.value)
    if len(fitting) > 1:
        raise NotDoable("several_accounts", exchange=exchange, kind=kind.value)
    return _plan(fitting, market_type)


def _group(signal: Signal, sender: SignalSource) -> Plan:
    """Plans for the strategy's active accounts on the exchange and market.

    An inactive strategy gets the answer for an unknown strategy.
    """
    strategy = sender.strategy
    if not strategy or not strategy.get("is_active", True):
        raise NotFound("strategy_not_found")
    allowed = strategy.get("symbols")
    if allowed and signal.symbol is not None and signal.symbol.name not in allowed:
        raise NotDoable("symbol_not_allowed", symbol=signal.symbol.name)
    members: Mapping[str, Mapping[str, Any]] = strategy.get("accounts", {})
    if signal.account is not None and all(member["name"] != signal.account for member in members.values()):
        raise NotFound("account_not_found", account=signal.account)
    chosen = tuple(
        Target(
            account_id,
            member["name"],
            member["exchange"],
            AccountKind(member["kind"]),
            member.get("weight", Decimal(100)),
        )
        for account_id, member in sorted(members.items(), key=lambda pair: (len(pair[0]), pair[0]))
        if member.get("active", True)
        and not (signal.demo and AccountKind(member["kind"]).real_money)
        and signal.exchange in (None, member["exchange"])
        and signal.account in (None, member["name"])
        and (
            signal.market_type is None
            or signal.market_type.value in member.get("market_types", ("spot", "futures"))
        )
    )
    return Plan(chosen, signal.market_type, len(members))


def _plan(entries: Mapping[str, AccountEntry], market_type: MarketType) -> Plan:
    active = {name: entry for name, entry in entries.items() if entry.is_active}
    return Plan(
        tuple(Target(entry.account_id, name, entry.exchange, entry.kind) for name, entry in active.items()),
        market_type,
        len(entries),
    )


_PLANNERS: Mapping[Variant, Callable[[Signal, SignalSource], Plan]] = {
    Variant.PAPER: _paper,
    Variant.LEGACY: _by_settings,
    Variant.PERSONAL: _by_settings,
    Variant.XC: _xc,
    Variant.MANUAL: _manual,
    Variant.GROUP: _group,
}
