"""Executes one signal on one account.

A message may be delivered several times and the process may crash at any point. A conditional write to the
order store lets exactly one attempt settle. On a paper book, one transaction holds the orders, their effect
on cash and holdings, and their events. At an exchange, each order is written before it is sent and again
after.
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
_TRIES = 12  # attempts while other workers change the same account or risk rule


def execute_signal(instruction: Instruction, seconds: float = _PATIENCE_S) -> None:
    """Executes an instruction once. An instruction that has already settled is skipped.

    Args:
        seconds: Longest wait for an exchange, seconds.

    Raises:
        Retryable: The account's records were modified concurrently, or the exchange did not answer in time.
            The next delivery of the message continues from the order store.
    """
    instruction = _mark_overtaken(instruction)
    for attempt in range(_TRIES):
        try:
            _attempt(instruction, seconds, recheck=attempt > 0)
        except _BookChanged:
            sleep(uniform(0.005, 0.02) * 2 ** min(attempt, 5))  # noqa: S311 - jitter, not a secret
        else:
            return
    raise Retryable("account records modified concurrently on every attempt")


class _BookChanged(Exception):
    """The records that an execution is based on were modified concurrently. Nothing was written."""


def _mark_overtaken(instruction: Instruction) -> Instruction:
    """Returns the instruction, marked `came_late` if the signal that overtook it closed the position.

    An account's signals run in sequence, so the overtaking signal has settled.
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
    risk_keys = risk_state.item_keys([*active_rules, *others])
    valued = paper_context.symbols(stored) if stored else []
    symbol = instruction.symbol.name if instruction.symbol else ""
    on_paper = instruction.exchange == "paper"
    order_keys = (
        []
        if on_paper
        else in_flight.item_keys(instruction.signal_id, instruction.account_id, order_legs(instruction))
    )
    basis_keys = [] if on_paper else _cost_basis_keys(instruction)
    settled, account_item, profile, *more = paper_context.read(
        [
            ("orders", {"signal_id": instruction.signal_id, "leg": instruction.account_id}),
            ("accounts", {"account_id": instruction.account_id}),
            ("users", {"user_id": instruction.user_id, "part": "profile"}),
            *order_keys,
            *basis_keys,
            *paper_context.price_keys(valued, instruction.user_id, instruction.exchange),
            *risk_keys,
            *prices.keys_for(instruction),
        ]
    )
    order_items, more = more[: len(order_keys)], more[len(order_keys) :]
    positions = cost_basis.CostBasisBook(
        {key["item"]: item for (_, key), item in zip(basis_keys, more, strict=False)}
    )
    more = more[len(basis_keys) :]
    known_prices = paper_context.prices_of(valued, more, now)
    more = more[paper_context.KEYS * len(valued) :]
    risk = RiskState(active_rules, more[: len(risk_keys)], others)
    if settled:
        log.info("already settled", extra=_log_ids(instruction))
        if not instruction.single_account:
            store.count_outcome(settled)
        queue_flatten.queue_flatten(risk.flattening)
        return
    if account_item is None:
        raise Misconfigured(f"account {instruction.account_id} has no record")
    account = Account.model_validate(account_item)
    if account.has_exchange:
        try:
            # Other executions under the same risk rules often force the settling transaction to be retried.
            # The order's record does not wait for that.
            defer_write = not recheck and not risk.watches_losses
            live = LiveExecution(
                account,
                instruction,
                Patience(seconds),
                None,
                in_flight.from_items(order_items),
                positions,
                defer_write=defer_write,
            )
        except Refused as refused:
            execution = _empty_result(instruction, account, now).model_copy(
                update={"refused": (_whole_refusal(refused),)}
            )
            _settle(instruction, execution, None, risk, now)
            return
        execution = _trade_live(instruction, account, profile, risk, live, now=now)
        _settle(instruction, execution, live, risk, now)
        return
    price, source = reference_price.of_simulated(
        instruction, *prices.live_and_last(more[len(risk_keys) :], now)
    )
    new_price = price if source is PriceSource.SIGNAL else None
    risk.count_in(account.currency, _rate(account, risk, known_prices))
    book = paper_store.book(account, stored) if instruction.simulated else paper_store.read_book(account)
    book.prices = known_prices
    client = PaperExecution(book, instruction, {symbol: price} if price else {}, now, source)
    book.permit = paper_context.permit(book, risk, profile, account, lambda: client.profits, now)
    if new_price:
        client.on_price(symbol, new_price)
    client.liquidate()
    risk_check = PreTradeRiskCheck(instruction, client, risk, lambda: risk, now)
    execution = _carry_out(instruction, account, client, profile, risk_check, now=now)
    if new_price and not recheck:
        prices.queue_price_updates(
            symbol, new_price, instruction.user_id, instruction.signal_id, now, without=instruction.account_id
        )
        prices.push_price(symbol, new_price, instruction.user_id)
    _settle(instruction, execution, client, risk, now)


def _rate(account: Account, risk: RiskState, known_prices: dict[str, Decimal]) -> Decimal | None:
    """Returns US dollars per unit of the account's currency. None if unknown.

    Reads the price separately for an account that has never traded.
    """
    rate = paper_context.dollars_per_unit(account, known_prices)
    if rate is None and risk.watches_losses:
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


def _trade_live(
    instruction: Instruction,
    account: Account,
    profile: aws.Item | None,
    risk: RiskState,
    client: LiveExecution,
    *,
    now: datetime,
) -> AccountResult:
    """Trades at the exchange.

    On return every order is in the order store. Only the result of the last order may still be unwritten.
    """
    active_rules = [each.switch for each in risk.active_rules]
    risk_check = PreTradeRiskCheck(
        instruction,
        client,
        risk,
        lambda: RiskState(active_rules, aws.get_many(risk_state.item_keys(active_rules))),
        now,
    )
    client.recheck_risk = risk_check.recheck
    execution = _carry_out(instruction, account, client, profile, risk_check, now=now)
    client.leave(next((NotDoable(leg.code, **leg.values) for leg in execution.refused), None))
    placed = {order.leg for order in client.placed if order.status is not OrderStatus.REJECTED}
    # An order placed by an earlier attempt was not refused, even if a check refuses it now. An order that
    # never reached the exchange was refused.
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
    """Trades and returns the account result. The permissions checked at acceptance must still hold."""
    execution = _empty_result(instruction, account, now)
    try:
        if not instruction.unconditional:
            _check_active(profile, account)
        outcome = plan_orders.plan_orders(instruction, client, risk_check)
    except Refused as refused:
        return execution.model_copy(
            update={"refused": (_whole_refusal(refused),), "orders": tuple(client.placed)}
        )
    except ArithmeticError:
        # A value that cannot be computed now never can be. The signal is settled at once, because retries
        # would block the account for hours.
        give_up.alarm("signal could not be computed", instruction.account_id, signal_id=instruction.signal_id)
        if isinstance(client, PaperExecution):
            client.discard()
        return execution.model_copy(update={"refused": (give_up.INTERNAL,), "orders": tuple(client.placed)})
    fields = {
        "orders": tuple(outcome.orders),
        "refused": tuple(outcome.refused),
        "cancelled": outcome.cancelled,
        "not_cancelled": outcome.not_cancelled,
        "note": outcome.note,
        "detail": _simulation(instruction, client) if isinstance(client, PaperExecution) else {},
    }
    return execution.model_copy(update=fields)


def _check_active(profile: aws.Item | None, account: Account) -> None:
    if profile is None or not profile.get("is_active", True):
        raise Forbidden("user_not_active")
    if not account.is_active:
        raise NotFound("account_not_found", account=account.name)


def _empty_result(instruction: Instruction, account: Account, now: datetime) -> AccountResult:
    return AccountResult(
        signal_id=instruction.signal_id,
        account_id=account.account_id,
        account_name=account.name,
        exchange=account.exchange,
        settled_at=now,
    )


def _whole_refusal(refused: Refused) -> RefusedLeg:
    """Returns the refusal of the whole instruction."""
    return RefusedLeg(leg="0", code=refused.code, values=refused.values, status=refused.status)


def _simulation(instruction: Instruction, client: PaperExecution) -> dict[str, object]:
    """Returns the details of a simulated fill, for the paper webhook's answer and for manual orders."""
    fill = client.book.last_fill
    if instruction.variant not in (Variant.PAPER, Variant.MANUAL) or fill is None:
        return {}
    return {
        "slippage": fill.slippage,
        "commission": fill.commission,
        "fill_rate": client.book.account.fill_rate,
        "total_cost": fill.total,
    }


def on_price(update: PriceUpdate) -> None:
    """Applies a new price to an account's waiting orders.

    Raises:
        Retryable: The account's records were modified concurrently. Nothing was written.
    """
    now = datetime.now(UTC)
    if update.market_type is not None and not prices.is_fresh(update.at, now):
        # A later look has shown what matters since. An old ticker must not liquidate anybody.
        extra = {"account_id": update.account_id, "symbol": update.symbol}
        log.warning("live price dropped, too old", extra=extra)
        return
    stored = paper_store.items(update.account_id)
    item = aws.get_many([("accounts", {"account_id": update.account_id})])[0]
    if item is None:
        return
    account = Account.model_validate(item)
    active_rules = risk_state.switches(account.user_id, account.account_id, None)
    others = paper_context.other_strategies(stored, account.user_id, None)
    risk_keys, valued = (
        risk_state.item_keys([*active_rules, *others]),
        paper_context.symbols(stored, account.currency),
    )
    profile_key = ("users", {"user_id": account.user_id, "part": "profile"})
    profile, *found = paper_context.read(
        [profile_key, *risk_keys, *paper_context.price_keys(valued, account.user_id, account.exchange)]
    )
    risk = RiskState(active_rules, found[: len(risk_keys)], others)
    book = paper_store.book(account, stored)
    book.prices = paper_context.prices_of(valued, found[len(risk_keys) :], now)
    risk.count_in(account.currency, paper_context.dollars_per_unit(account, book.prices))
    client = PaperExecution(book, None, {update.symbol: update.price}, now)
    book.permit = paper_context.permit(book, risk, profile, account, lambda: client.profits, now)
    client.on_price_update(update)
    if (
        client.placed or client.changed or client.book.changed or client.profits
    ):  # `profits` may come from fills that `on_price` has already stored
        _write_price_effects(client, risk)
    log.info("price applied", extra={"account_id": update.account_id, "symbol": update.symbol})


def _write_price_effects(client: PaperExecution, risk: RiskState) -> None:
    """Writes the effects of a price on waiting orders, and adds realised profit to the daily totals."""
    active_rules, others = ([each.switch for each in part] for part in (risk.active_rules, risk.others))
    for _ in range(_TRIES):
        more, flattening = risk.writes(client.profits, datetime.now(UTC), traded=bool(client.profits))
        writes = [*client.writes(), *more]
        if not writes:
            return
        try:
            aws.transact(writes)
        except (Retryable, aws.WriteRefused) as fault:
            if isinstance(fault, aws.WriteRefused) and all(
                failed is None for failed in fault.failed[len(fault.failed) - len(more) :]
            ):
                raise Retryable("account records modified concurrently") from fault
            before, risk = (
                risk,
                RiskState(
                    active_rules, paper_context.read(risk_state.item_keys([*active_rules, *others])), others
                ),
            )
            risk.count_in(before.currency, before.rate)
            continue
        queue_flatten.queue_flatten(flattening)
        return
    raise Retryable("daily totals modified concurrently on every attempt")


def _settle(
    instruction: Instruction,
    execution: AccountResult,
    client: PaperExecution | LiveExecution | None,
    risk: RiskState,
    now: datetime,
) -> None:
    refusal_events = [events.refusal_event(instruction, execution)] if execution.refused else []
    on_paper = isinstance(client, PaperExecution)
    profits = client.profits if client else {}
    traded = bool(profits or (client and client.placed and on_paper))
    effects = client.writes() if client else []
    more, flattening = risk.writes(profits, now, traded=traded, equity=not on_paper)
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
            execution, single_account=instruction.single_account, effects=effects, events=refusal_events
        )
    except aws.WriteRefused:
        if not store.is_settled(instruction.signal_id, instruction.account_id):
            raise _BookChanged from None
        log.info("already settled", extra=_log_ids(instruction))
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
        extra=_log_ids(instruction) | {"refused": codes, "orders": len(execution.orders)},
    )


def _log_ids(instruction: Instruction) -> dict[str, str]:
    return {
        "signal_id": instruction.signal_id,
        "account_id": instruction.account_id,
        "user_id": instruction.user_id,
    }
