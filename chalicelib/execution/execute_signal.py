"""Executing one signal on one account.

The message may come any number of times and the process may die anywhere: the ledger's conditional write lets
exactly one attempt settle. On a paper book the orders, their effect on cash and holdings, and their events
are one transaction; at a real exchange each order has its own, before and after it is sent.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import uniform
from time import sleep

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.errors import Forbidden, Misconfigured, NotDoable, NotFound, Refused, Retryable
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.exchanges.rate_limiter import Patience
from chalicelib.execution import give_up, paper_context, plan_orders, queue_flatten, reference_price
from chalicelib.execution.live import LiveExecution, order_legs
from chalicelib.execution.paper import PaperExecution
from chalicelib.execution.reference_price import PriceSource
from chalicelib.execution.risk_check import PreTradeRiskCheck
from chalicelib.orders import events, in_flight, store
from chalicelib.orders.legs import CLOSING_LEG
from chalicelib.orders.models import CLOSE_INCOMPLETE, AccountResult, Instruction, PriceUpdate, RefusedLeg
from chalicelib.paper import store as paper_store
from chalicelib.portfolio import cost_basis
from chalicelib.prices import store as prices
from chalicelib.risk import state as risk_state
from chalicelib.risk.state import RiskState
from chalicelib.telemetry import Metric, log, measure
from chalicelib.trading import MarketType, Variant

_PATIENCE_S = 45.0
_TRIES = 12  # on books, or under a rule, that others change at the same time


def execute_signal(instruction: Instruction, seconds: float = _PATIENCE_S) -> None:
    """Executes an instruction once; a repeat of one that has settled does nothing.

    Args:
        seconds: How long it may wait for an exchange.

    Raises:
        Retryable: Somebody else changed the account's books meanwhile, or the exchange could not be asked in
            the time there is; the next delivery of the message goes on from what the ledger holds.
    """
    instruction = _overtaken(instruction)
    for attempt in range(_TRIES):
        try:
            _attempt(instruction, seconds, recheck=attempt > 0)
        except _BookChanged:
            sleep(uniform(0.005, 0.02) * 2 ** min(attempt, 5))  # noqa: S311 - jitter, not a secret
        else:
            return
    raise Retryable("the account's books changed while the orders ran")


class _BookChanged(Exception):
    """What an execution was decided by has changed; nothing was written."""


def _overtaken(instruction: Instruction) -> Instruction:
    """The instruction, late if the signal that has probably overtaken it closed the position that it was to close.

    The account's signals run in sequence, so that one has settled.
    """
    if instruction.overtaken_by is None:
        return instruction
    key = {"signal_id": instruction.overtaken_by, "leg": f"{instruction.account_id}#{CLOSING_LEG}"}
    [closing] = aws.get_many([("orders", key)])
    closed = closing is not None and closing["status"] != OrderStatus.REJECTED
    return instruction.model_copy(update={"came_late": closed})


def _attempt(instruction: Instruction, seconds: float, *, recheck: bool) -> None:
    now = datetime.now(UTC)
    stored = paper_store.items(instruction.account_id) if instruction.simulated else []
    active_rules = risk_state.switches(instruction.user_id, instruction.account_id, instruction.group_name)
    others = paper_context.other_strategies(stored, instruction.user_id, instruction.group_name)
    watch_keys = risk_state.item_keys([*active_rules, *others])
    valued = paper_context.symbols(stored) if stored else []
    symbol = instruction.symbol.name if instruction.symbol else ""
    on_paper = instruction.exchange == "paper"
    ledger_keys = (
        []
        if on_paper
        else in_flight.item_keys(instruction.signal_id, instruction.account_id, order_legs(instruction))
    )
    entry_keys = [] if on_paper else _cost_basis_keys(instruction)
    settled, account_item, profile, *more = paper_context.read(
        [
            ("orders", {"signal_id": instruction.signal_id, "leg": instruction.account_id}),
            ("accounts", {"account_id": instruction.account_id}),
            ("users", {"user_id": instruction.user_id, "part": "profile"}),
            *ledger_keys,
            *entry_keys,
            *paper_context.price_keys(valued, instruction.user_id, instruction.exchange),
            *watch_keys,
            *prices.keys_for(instruction),
        ]
    )
    in_ledger, more = more[: len(ledger_keys)], more[len(ledger_keys) :]
    positions = cost_basis.CostBasisBook(
        {key["item"]: item for (_, key), item in zip(entry_keys, more, strict=False)}
    )
    more = more[len(entry_keys) :]
    existing_orders = paper_context.prices_of(valued, more, now)
    more = more[paper_context.KEYS * len(valued) :]
    watched = RiskState(active_rules, more[: len(watch_keys)], others)
    if settled:
        log.info("already settled", extra=_order_of_whom(instruction))
        if not instruction.single_account:
            store.count_outcome(settled)
        queue_flatten.queue_flatten(watched.flattening)
        return
    if account_item is None:
        raise Misconfigured(f"account {instruction.account_id} has no record")
    account = Account.model_validate(account_item)
    if account.has_exchange:
        try:
            # Where others may write under the same rules at the same time, the settlement often needs a
            # second try; the order's record
            # does not wait for that.
            defer_write = not recheck and not watched.watches_losses
            live = LiveExecution(
                account,
                instruction,
                Patience(seconds),
                None,
                in_flight.from_items(in_ledger),
                positions,
                defer_write=defer_write,
            )
        except Refused as refused:
            execution = _is_untouched(instruction, account, now).model_copy(
                update={"refused": (_whole_refusal(refused),)}
            )
            _settle(instruction, execution, None, watched, now)
            return
        execution = _live(instruction, account, profile, watched, live, now=now)
        _settle(instruction, execution, live, watched, now)
        return
    price, source = reference_price.of_simulated(
        instruction, *prices.live_and_last(more[len(watch_keys) :], now)
    )
    new_price = price if source is PriceSource.SIGNAL else None
    watched.count_in(account.currency, _rate(account, watched, existing_orders))
    book = paper_store.book(account, stored) if instruction.simulated else paper_store.read_book(account)
    book.prices = existing_orders
    client = PaperExecution(book, instruction, {symbol: price} if price else {}, now, source)
    book.permit = paper_context.permit(book, watched, profile, account, lambda: client.profits, now)
    if new_price:
        client.on_price(symbol, new_price)
    client.liquidate()
    risk_check = PreTradeRiskCheck(instruction, client, watched, lambda: watched, now)
    execution = _carry_out(instruction, account, client, profile, risk_check, now=now)
    if new_price and not recheck:
        prices.queue_price_updates(
            symbol, new_price, instruction.user_id, instruction.signal_id, now, without=instruction.account_id
        )
        prices.push_price(symbol, new_price, instruction.user_id)
    _settle(instruction, execution, client, watched, now)


def _rate(account: Account, watched: RiskState, existing_orders: dict[str, Decimal]) -> Decimal | None:
    """US dollars per unit of the account's currency.

    An account that has never traded is asked about here for the first time.
    """
    rate = paper_context.dollars_per_unit(account, existing_orders)
    if rate is None and watched.watches_losses:
        found = prices.latest(
            [name for name, _ in paper_context.symbols([], account.currency)], account.user_id
        )
        rate = paper_context.dollars_per_unit(account, {name: item["price"] for name, item in found.items()})
    return rate


def _cost_basis_keys(instruction: Instruction) -> list[tuple[str, aws.Key]]:
    if instruction.symbol is None or instruction.market_type is None:
        return []
    side = instruction.position_side if instruction.market_type is MarketType.FUTURES else None
    return [cost_basis.key(instruction.account_id, instruction.market_type, instruction.symbol.name, side)]


def _live(
    instruction: Instruction,
    account: Account,
    profile: aws.Item | None,
    watched: RiskState,
    client: LiveExecution,
    *,
    now: datetime,
) -> AccountResult:
    """Trades at the exchange.

    Every order is in the ledger when this returns, the record of the last one's end aside.
    """
    active_rules = [each.switch for each in watched.active_rules]
    risk_check = PreTradeRiskCheck(
        instruction,
        client,
        watched,
        lambda: RiskState(active_rules, aws.get_many(risk_state.item_keys(active_rules))),
        now,
    )
    client.recheck_risk = risk_check.recheck
    execution = _carry_out(instruction, account, client, profile, risk_check, now=now)
    client.leave(next((NotDoable(leg.code, **leg.values) for leg in execution.refused), None))
    placed = {order.leg for order in client.placed if order.status is not OrderStatus.REJECTED}
    # A leg that an earlier attempt has placed was not refused, whatever keeps it from being placed now; one
    # that never arrived was.
    refused_legs = tuple(
        leg for leg in execution.refused if leg.leg not in placed or leg.code == CLOSE_INCOMPLETE
    )
    return execution.model_copy(
        update={"orders": tuple(client.placed), "refused": refused_legs, "delays": tuple(client.delays)}
    )


def _carry_out(
    instruction: Instruction,
    account: Account,
    client: PaperExecution | LiveExecution,
    profile: aws.Item | None,
    risk_check: PreTradeRiskCheck,
    *,
    now: datetime,
) -> AccountResult:
    """Trades, and says what came of it. What permitted the signal at acceptance must still hold."""
    execution = _is_untouched(instruction, account, now)
    try:
        if profile is None or not profile.get("is_active", True):
            raise Forbidden("user_not_active")
        if not account.is_active:
            raise NotFound("account_not_found", account=account.name)
        outcome = plan_orders.plan_orders(instruction, client, risk_check)
    except Refused as refused:
        return execution.model_copy(
            update={"refused": (_whole_refusal(refused),), "orders": tuple(client.placed)}
        )
    except ArithmeticError:
        # What cannot be computed now never can be: it is settled at once, or it would hold up its account for
        # hours.
        give_up.alarm("signal could not be computed", instruction.account_id, signal_id=instruction.signal_id)
        if isinstance(client, PaperExecution):
            client.discard()
        return execution.model_copy(update={"refused": (give_up.INTERNAL,), "orders": tuple(client.placed)})
    told = {
        "orders": tuple(outcome.orders),
        "refused": tuple(outcome.refused),
        "cancelled": outcome.cancelled,
        "not_cancelled": outcome.not_cancelled,
        "note": outcome.note,
        "detail": _simulation(instruction, client) if isinstance(client, PaperExecution) else {},
    }
    return execution.model_copy(update=told)


def _is_untouched(instruction: Instruction, account: Account, now: datetime) -> AccountResult:
    return AccountResult(
        signal_id=instruction.signal_id,
        account_id=account.account_id,
        account_name=account.name,
        exchange=account.exchange,
        settled_at=now,
    )


def _whole_refusal(refused: Refused) -> RefusedLeg:
    """The refusal of the instruction as a whole."""
    return RefusedLeg(leg="0", code=refused.code, values=refused.values, status=refused.status)


def _simulation(instruction: Instruction, client: PaperExecution) -> dict[str, object]:
    """What the paper seed's answer tells of a fill; an order by hand is answered alike."""
    fill = client.book.last_fill
    if instruction.variant not in (Variant.PAPER, Variant.MANUAL) or fill is None:
        return {}
    return {
        "slippage": fill.slippage,
        "commission": fill.commission,
        "fill_rate": client.book.account.fill_rate,
        "total_cost": fill.total,
    }


def on_price(seen: PriceUpdate) -> None:
    """Lets an account's waiting orders see a new price.

    Raises:
        Retryable: Somebody else changed the account's books meanwhile; nothing was written.
    """
    stored = paper_store.items(seen.account_id)
    item = aws.get_many([("accounts", {"account_id": seen.account_id})])[0]
    if item is None:
        return
    account, now = Account.model_validate(item), datetime.now(UTC)
    active_rules = risk_state.switches(account.user_id, account.account_id, None)
    others = paper_context.other_strategies(stored, account.user_id, None)
    watch_keys, valued = (
        risk_state.item_keys([*active_rules, *others]),
        paper_context.symbols(stored, account.currency),
    )
    profile_key = ("users", {"user_id": account.user_id, "part": "profile"})
    profile, *found = paper_context.read(
        [profile_key, *watch_keys, *paper_context.price_keys(valued, account.user_id, account.exchange)]
    )
    watched = RiskState(active_rules, found[: len(watch_keys)], others)
    book = paper_store.book(account, stored)
    book.prices = paper_context.prices_of(valued, found[len(watch_keys) :], now)
    watched.count_in(account.currency, paper_context.dollars_per_unit(account, book.prices))
    client = PaperExecution(book, None, {seen.symbol: seen.price}, now)
    book.permit = paper_context.permit(book, watched, profile, account, lambda: client.profits, now)
    client.on_price(seen.symbol, seen.price)
    if (
        client.placed or client.changed or client.book.changed or client.profits
    ):  # profits may be of what `see` has written already
        _write_price_effects(client, watched)
    log.info("price seen", extra={"account_id": seen.account_id, "symbol": seen.symbol})


def _write_price_effects(client: PaperExecution, watched: RiskState) -> None:
    """Writes what a price did to the waiting orders, with what that means for the day's loss."""
    active_rules, others = ([each.switch for each in part] for part in (watched.active_rules, watched.others))
    for _ in range(_TRIES):
        more, flattening = watched.writes(client.profits, datetime.now(UTC), traded=bool(client.profits))
        writes = [*client.writes(), *more]
        if not writes:
            return
        try:
            aws.transact(writes)
        except (Retryable, aws.WriteRefused) as fault:
            if isinstance(fault, aws.WriteRefused) and all(
                failed is None for failed in fault.failed[len(fault.failed) - len(more) :]
            ):
                raise Retryable("the account's books changed meanwhile") from fault
            before, watched = (
                watched,
                RiskState(
                    active_rules, paper_context.read(risk_state.item_keys([*active_rules, *others])), others
                ),
            )
            watched.count_in(before.currency, before.rate)
            continue
        queue_flatten.queue_flatten(flattening)
        return
    raise Retryable("the day's loss is being added up by others")


def _settle(
    instruction: Instruction,
    execution: AccountResult,
    client: PaperExecution | LiveExecution | None,
    watched: RiskState,
    now: datetime,
) -> None:
    told = [events.refusal_event(instruction, execution)] if execution.refused else []
    on_paper = isinstance(client, PaperExecution)
    profits = client.profits if client else {}
    traded = bool(profits or (client and client.placed and on_paper))
    effects = client.writes() if client else []
    more, flattening = watched.writes(profits, now, traded=traded, equity=not on_paper)
    effects += more
    if (
        isinstance(client, PaperExecution)
        and client.price_source is PriceSource.SIGNAL
        and instruction.market_price
        and instruction.symbol
    ):
        effects.append(
            prices.price_write(
                instruction.symbol.name, f"user#{instruction.user_id}", instruction.market_price, now
            )
        )
    try:
        store.record_result(
            execution, single_account=instruction.single_account, effects=effects, events=told
        )
    except aws.WriteRefused:
        if not store.is_settled(instruction.signal_id, instruction.account_id):
            raise _BookChanged from None
        log.info("already settled", extra=_order_of_whom(instruction))
        return
    except Retryable:
        raise _BookChanged from None
    queue_flatten.queue_flatten(flattening)
    if execution.orders:
        took = datetime.now(UTC) - instruction.received_at
        measure(Metric.ORDERS_SETTLED, len(execution.orders), {"exchange": execution.exchange})
        measure(Metric.SIGNAL_TO_ORDER, took / timedelta(milliseconds=1), {"exchange": execution.exchange})
    codes = [leg.code for leg in execution.refused]
    log.info(
        "signal settled",
        extra=_order_of_whom(instruction) | {"refused": codes, "orders": len(execution.orders)},
    )


def _order_of_whom(instruction: Instruction) -> dict[str, str]:
    return {
        "signal_id": instruction.signal_id,
        "account_id": instruction.account_id,
        "user_id": instruction.user_id,
    }
