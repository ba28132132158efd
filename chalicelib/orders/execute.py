"""Executing one signal on one account.

The message may come any number of times and the process may die anywhere: the ledger's conditional write lets exactly one
attempt settle. On a paper book the orders, their effect on cash and holdings, and their events are one transaction; at a real exchange
each order has its own, before and after it is sent.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chalicelib import aws
from chalicelib.errors import Forbidden, Misconfigured, NotDoable, NotFound, Refused, Retryable
from chalicelib.exchanges import paper_store
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.limiter import Patience
from chalicelib.orders import events, prices, store, trade
from chalicelib.orders.live_desk import LiveDesk
from chalicelib.orders.models import Execution, Instruction, PricesSeen, RefusedLeg
from chalicelib.orders.paper_desk import PaperDesk
from chalicelib.telemetry import Metric, log, measure
from chalicelib.trading import Variant

_PATIENCE_S = 45.0


def execute(instruction: Instruction, seconds: float = _PATIENCE_S) -> None:
    """Executes an instruction once; a repeat of one that has settled does nothing.

    Args:
        seconds: How long it may wait for an exchange.

    Raises:
        Retryable: Somebody else changed the account's books meanwhile, or the exchange could not be asked in the time there is; the
            next delivery of the message goes on from what the ledger holds.
    """
    now = datetime.now(UTC)
    scopes = ("global", f"user#{instruction.user_id}", f"account#{instruction.account_id}")
    symbol = instruction.symbol.name if instruction.symbol else ""
    settled, account_item, profile, *more = aws.get_many(
        [
            ("orders", {"signal_id": instruction.signal_id, "leg": instruction.account_id}),
            ("accounts", {"account_id": instruction.account_id}),
            ("users", {"user_id": instruction.user_id, "part": "profile"}),
            *(("controls", {"scope": scope}) for scope in scopes),
            *(prices.keys(symbol, instruction.user_id) if symbol else []),
        ]
    )
    if settled:
        log.info("already settled", extra=_who(instruction))
        return
    if account_item is None:
        raise Misconfigured(f"account {instruction.account_id} has no record")
    account = Account.model_validate(account_item)
    controls, known_prices = more[: len(scopes)], more[len(scopes) :]
    if account.has_exchange:
        _settle(instruction, _live(instruction, account, profile, controls, now=now, seconds=seconds), None, now)
        return
    price = instruction.market_price or prices.newest(known_prices)
    desk = PaperDesk(paper_store.read(account), instruction, {symbol: price} if price else {}, now)
    if instruction.market_price and instruction.symbol:
        desk.see(instruction.symbol.name, instruction.market_price)
    execution = _carry_out(instruction, account, desk, profile, controls, now=now)
    if instruction.market_price:
        prices.tell(symbol, instruction.market_price, instruction.user_id, instruction.signal_id, now, without=instruction.account_id)
        prices.show(symbol, instruction.market_price, instruction.user_id)
    _settle(instruction, execution, desk, now)


def _live(
    instruction: Instruction,
    account: Account,
    profile: aws.Item | None,
    controls: Sequence[aws.Item | None],
    *,
    now: datetime,
    seconds: float,
) -> Execution:
    """Trades at the exchange; every order is in the ledger when this returns."""
    try:
        desk = LiveDesk(account, instruction, Patience(seconds))
    except Refused as refused:
        return _nothing_yet(instruction, account, now).model_copy(update={"refused": (_whole(refused),)})
    execution = _carry_out(instruction, account, desk, profile, controls, now=now)
    desk.leave(next((NotDoable(leg.code, **leg.values) for leg in execution.refused), None))
    placed = {order.leg for order in desk.placed}
    # A leg that an earlier attempt has placed was not refused, whatever keeps it from being placed now.
    refused_legs = tuple(leg for leg in execution.refused if leg.leg not in placed)
    return execution.model_copy(update={"orders": tuple(desk.placed), "refused": refused_legs, "delays": tuple(desk.delays)})


def _carry_out(
    instruction: Instruction,
    account: Account,
    desk: PaperDesk | LiveDesk,
    profile: aws.Item | None,
    controls: Sequence[aws.Item | None],
    *,
    now: datetime,
) -> Execution:
    """Trades, and says what came of it. What permitted the signal at acceptance must still hold."""

    def check_opening() -> None:
        if any(control and control.get("halted") for control in controls):
            raise Forbidden("halted")
        age = now - instruction.age_from
        if age > timedelta(seconds=instruction.max_age_s):
            raise NotDoable("stale", age=int(age.total_seconds()), limit=instruction.max_age_s)

    execution = _nothing_yet(instruction, account, now)
    try:
        if profile is None or not profile.get("is_active", True):
            raise Forbidden("user_not_active")
        if not account.is_active:
            raise NotFound("account_not_found", account=account.name)
        outcome = trade.run(instruction, desk, check_opening)
    except Refused as refused:
        return execution.model_copy(update={"refused": (_whole(refused),), "orders": tuple(desk.placed)})
    told = {
        "orders": tuple(outcome.orders),
        "refused": tuple(outcome.refused),
        "cancelled": outcome.cancelled,
        "not_cancelled": outcome.not_cancelled,
        "detail": _simulation(instruction, desk) if isinstance(desk, PaperDesk) else {},
    }
    return execution.model_copy(update=told)


def _nothing_yet(instruction: Instruction, account: Account, now: datetime) -> Execution:
    return Execution(
        signal_id=instruction.signal_id,
        account_id=account.account_id,
        account_name=account.name,
        exchange=account.exchange,
        settled_at=now,
    )


def _whole(refused: Refused) -> RefusedLeg:
    """The refusal of the instruction as a whole."""
    return RefusedLeg(leg="0", code=refused.code, values=refused.values, status=refused.status)


def _simulation(instruction: Instruction, desk: PaperDesk) -> dict[str, object]:
    """What the paper seed's answer tells of a fill; an order by hand is answered alike."""
    fill = desk.book.last_fill
    if instruction.variant not in (Variant.PAPER, Variant.MANUAL) or fill is None:
        return {}
    return {
        "slippage": fill.slippage,
        "commission": fill.commission,
        "fill_rate": desk.book.account.fill_rate,
        "total_cost": fill.total,
    }


def see_prices(seen: PricesSeen) -> None:
    """Lets an account's waiting orders see a new price.

    Raises:
        Retryable: Somebody else changed the account's books meanwhile; nothing was written.
    """
    item = aws.get_many([("accounts", {"account_id": seen.account_id})])[0]
    if item is None:
        return
    desk = PaperDesk(paper_store.read(Account.model_validate(item)), None, {seen.symbol: seen.price}, datetime.now(UTC))
    desk.see(seen.symbol, seen.price)
    if desk.changed or desk.book.changed:
        desk.flush()
    log.info("price seen", extra={"account_id": seen.account_id, "symbol": seen.symbol})


def _settle(instruction: Instruction, execution: Execution, desk: PaperDesk | None, now: datetime) -> None:
    told = [events.of_refusal(instruction, execution)] if execution.refused else []
    effects = desk.writes() if desk else []
    if desk and instruction.market_price and instruction.symbol:
        effects.append(prices.seen(instruction.symbol.name, f"user#{instruction.user_id}", instruction.market_price, now))
    try:
        store.settle(execution, alone=instruction.alone, effects=effects, events=told)
    except aws.WriteRefused:
        if not store.settled(instruction.signal_id, instruction.account_id):
            raise Retryable("the account's books changed while the orders ran") from None
        log.info("already settled", extra=_who(instruction))
        return
    if execution.orders:
        took = datetime.now(UTC) - instruction.received_at
        measure(Metric.ORDERS_SETTLED, len(execution.orders), {"exchange": execution.exchange})
        measure(Metric.SIGNAL_TO_ORDER, took / timedelta(milliseconds=1), {"exchange": execution.exchange})
    codes = [leg.code for leg in execution.refused]
    log.info("signal settled", extra=_who(instruction) | {"refused": codes, "orders": len(execution.orders)})


def _who(instruction: Instruction) -> dict[str, str]:
    return {"signal_id": instruction.signal_id, "account_id": instruction.account_id, "user_id": instruction.user_id}
