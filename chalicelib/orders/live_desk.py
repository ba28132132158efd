"""A real exchange as a desk: claimed in the ledger, sent once, looked up before anything is sent again.

The message of a signal may be delivered any number of times and the process may die between any two steps. What an earlier attempt
left in the ledger decides what this one does, and what orders were sized from is kept with them, so that a repetition comes to the same
orders whatever has happened to the balance since.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from chalicelib import aws
from chalicelib.errors import NotDoable, OutcomeUnknown, Refused, Retryable
from chalicelib.exchanges import filters
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.limiter import Patience
from chalicelib.exchanges.line import Line
from chalicelib.exchanges.paper import DOLLARS
from chalicelib.exchanges.paper_money import Rates
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderState, OrderStatus, RateLimited, Side
from chalicelib.orders import exits, ledger, lookup
from chalicelib.orders.entries import OWNED, Entries, profits
from chalicelib.orders.keys import Lines
from chalicelib.orders.models import Instruction, Order
from chalicelib.orders.trade import CLOSING_LEG
from chalicelib.telemetry import log
from chalicelib.trading import Action, MarketType, OrderType, PositionSide, Symbol

_TRIES = 4  # sendings of one order, each after it was found to be absent
_PAUSE_S = 0.25
_OPEN = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.UNKNOWN)


class Opened(Protocol):
    """An account's lines, one per market: to its exchange, or to what is stored of it."""

    def of(self, market_type: MarketType) -> Line:
        """The line to a market."""
        ...


def legs(instruction: Instruction) -> list[str]:
    """What a signal may place on an account, as the ledger names it."""
    if instruction.action is Action.CANCEL_ALL:
        return []
    return [CLOSING_LEG, *(str(index) for index in range(max(len(instruction.legs), 1)))]


class LiveDesk:
    """One account with exchange keys, while one signal runs on it.

    Attributes:
        placed: The orders of the signal so far, those of earlier attempts included once they have been come by.
        still: Asked before an order that opens leaves; raises Refused if it may not any more.
    """

    def __init__(
        self,
        account: Account,
        instruction: Instruction,
        patience: Patience,
        lines: Opened | None = None,
        known: ledger.Known | None = None,
        entries: Entries | None = None,
        *,
        deferring: bool = False,
    ) -> None:
        """Opens the account's lines.

        Args:
            known: What the ledger holds of `legs` on the account; None reads it.
            entries: The account's positions by its own fills, as far as they have been read.
            deferring: The record of the last order is left to whoever writes how the signal ended; see `writes`.
        """
        self.placed: list[Order] = []
        self.still: Callable[[], None] = lambda: None
        self._account = account
        self._instruction = instruction
        self._patience = patience
        self._lines: Opened = lines or Lines(account, patience)
        self._legs = [str(index) for index in range(max(len(instruction.legs), 1))]
        self._entries = entries or Entries()
        self._deferring = deferring
        self._unwritten: list[aws.Write] = []
        self._known = known or ledger.read(instruction.signal_id, account.account_id, legs(instruction))
        self._bases = [self._known.orders[leg].basis for leg in (CLOSING_LEG, *self._legs) if leg in self._known.orders]
        self._basis: dict[str, Decimal] = dict(self._bases[0]) if self._bases else {}

    @property
    def rates(self) -> Rates:
        """What trading costs here, roughly: a share of the balance must leave room for it."""
        return self._account.rates

    @property
    def profits(self) -> dict[str | None, Decimal]:
        """What the signal's orders have realised in dollars, fees taken off, as far as it is known."""
        return profits(self.placed)

    def writes(self) -> list[aws.Write]:
        """The record of the last order, for the transaction that settles the signal. If that fails, the order is looked up again."""
        writes, self._unwritten = self._unwritten, []
        return writes

    @property
    def delays(self) -> Sequence[Any]:
        """What the signal had to wait for."""
        return self._patience.delays

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:  # noqa: ARG002
        """The instrument from the stored metadata."""
        return self._lines.of(market_type).instrument(symbol.name)

    def market_price(self, symbol: Symbol) -> Decimal | None:
        """The price the signal brought, else the exchange's last one; a limit order needs none."""
        instruction = self._instruction
        if instruction.market_price is not None or instruction.order_type is OrderType.LIMIT:
            return instruction.market_price
        assert instruction.market_type is not None
        line = self._lines.of(instruction.market_type)
        return self._look("price", lambda: line.last_price(line.instrument(symbol.name)))

    def free(self, instrument: Instrument) -> Decimal:
        """Free quote balance, of the signal's one look at the balances."""
        return self._look("free", lambda: self._balance(instrument, instrument.quote))

    def held(self, instrument: Instrument, position_side: PositionSide | None = None) -> Decimal:
        """Free holdings, or the position, of the signal's one look at them."""
        if instrument.market_type is MarketType.FUTURES:
            held = self._look("held", lambda: self._line(instrument).positions(position_side).get(instrument.name, Decimal(0)))
            self._basis.setdefault(OWNED, held)
            return held
        return self._look("held", lambda: self._balance(instrument, instrument.base))

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Position or holdings of one side, as the exchange has it now, with the ledger's open orders that would add to it."""
        self._write()
        direction = 1 if side is Side.BUY else -1
        if instrument.market_type is MarketType.FUTURES:
            held = self._line(instrument).positions()
        else:
            totals = self._line(instrument).free_and_total()
            held = {currency: total for currency, (_, total) in totals.items() if currency not in DOLLARS}
        name = instrument.name if instrument.market_type is MarketType.FUTURES else instrument.base
        total = max(held.get(name, Decimal(0)) * direction, Decimal(0))
        there = {each for each, quantity in held.items() if quantity}
        for order in ledger.unfinished(self._account.account_id):
            opens = not order.reduce_only and (order.side is Side.BUY or order.market_type is MarketType.FUTURES)
            if order.status.final or not opens or order.market_type is not instrument.market_type:
                continue
            base = order.symbol if instrument.market_type is MarketType.FUTURES else order.symbol.removesuffix(instrument.quote)
            there.add(base)
            if base == name and order.side is side:
                total += order.quantity - order.filled
        return total, len(there - {name})

    def place(self, leg: str, order: OrderRequest, percent: Decimal | None = None) -> Order:
        """Places an order once, or takes up what an earlier attempt left of it.

        Raises:
            Refused: A filter or the exchange says no; what was claimed is `rejected` in the ledger.
            Retryable: Nothing certain could be done in the time there is; the next delivery of the message goes on from here.
        """
        self._write()
        if order.reduce_only:
            order = replace(order, quantity=filters.round_quantity(order.instrument, order.quantity))
        known = self._known.orders.get(leg)
        if known is None:
            filters.check(order)
            line = self._line(order.instrument)
            line.prepare(order, ahead=max(len(self._legs) - 1 - int(leg), 0) if leg.isdigit() else 0)
            known = self._claimed(leg, order, percent)
            placed = self._send(known, order)
        elif known.status is OrderStatus.REJECTED:
            raise NotDoable(known.code or "exchange_refused", **known.values)
        elif known.status in {OrderStatus.CLAIMED, OrderStatus.UNKNOWN}:
            placed = self._recover(known, self._as_claimed(known, order))
        else:
            placed = known
        self.placed.append(placed)
        if leg == CLOSING_LEG and self._instruction.action in {Action.LONG, Action.SHORT}:
            placed = self._exited(placed, order)
        return placed

    def protect(self, entry: Order) -> None:
        """Places what leaves the filled part of an order: the stop-loss first, the take-profit beside it.

        Raises:
            Retryable: Nothing certain could be done in the time there is. The order stays with the follow-up until it is protected.
        """
        if not entry.unprotected:
            return
        self._write()
        line = self._lines.of(entry.market_type)
        instrument = line.instrument(entry.symbol)
        wanted = exits.requests(entry, instrument, line.last_price(instrument))
        known = ledger.read(entry.signal_id, entry.account_id, list(wanted))
        self._known.orders |= known.orders
        self._known.count = known.count
        placed = 0
        try:
            if len(wanted) > 1 and line.pairs_at_once:
                self._place_pair(*wanted.items())
            else:
                for leg, request in wanted.items():
                    self.place(leg, request)
                    placed += 1
        except Refused as refusal:
            log.warning("exit not placed", extra={"order_id": entry.order_id, "code": refusal.code})
            missing = "take_profit" if placed or entry.stop_loss is None else "stop_loss"
            gone = refusal.code == "exchange_nothing_to_reduce"
            ledger.protected(entry, failed=refusal, missing=missing, again=not (placed or gone) and entry.exit_round + 1 < exits.ROUNDS)
        else:
            ledger.protected(entry)

    def _place_pair(self, first: tuple[str, OrderRequest], second: tuple[str, OrderRequest]) -> None:
        """Places two orders in one call, where the exchange would not take the second alone."""
        (leg, request), (other_leg, other_request) = first, second
        filters.check(other_request)
        other = self._known.orders.get(other_leg) or self._claimed(other_leg, other_request, None)
        try:
            self.place(leg, replace(request, beside=other_request))
        except Refused as refusal:
            if other.status is OrderStatus.CLAIMED:
                ledger.reject(other, refusal)
            raise
        if other.status in {OrderStatus.CLAIMED, OrderStatus.UNKNOWN}:
            self.placed.append(self._recover(other, other_request))

    def open_orders(self, group_name: str | None, symbol: Symbol | None, market_type: MarketType | None) -> Sequence[Order]:
        """The ledger's unfinished orders that match, those of unknown outcome included."""
        self._write()
        return [
            order
            for order in ledger.unfinished(self._account.account_id)
            if order.status in _OPEN
            and (group_name is None or order.group_name == group_name)
            and (symbol is None or order.symbol == symbol.name)
            and (market_type is None or order.market_type is market_type)
        ]

    def cancel(self, order: Order, code: str | None = None) -> bool:
        """Cancels an order at the exchange; False if it had ended, or could not be cancelled."""
        self._write()
        line = self._lines.of(order.market_type)
        instrument = line.instrument(order.symbol)
        try:
            state = line.cancel(lookup.state_of(order), instrument)
        except Refused as refusal:
            if refusal.code == "exchange_never_arrived":
                ledger.reject(order, refusal)
            log.warning("order not cancelled", extra={"order_id": order.order_id, "code": refusal.code})
            return False
        why = {"code": code} if code and state.status is OrderStatus.CANCELLED else {}
        book = lookup.booking(self._entries, instrument, order, state)
        return ledger.record(order, state, book, **why).status is OrderStatus.CANCELLED

    def leave(self, refusal: Refused | None) -> None:
        """Takes up the orders of an earlier attempt that this one did not come by, because it was refused before.

        Args:
            refusal: Why; an order that turns out never to have reached the exchange was not placed for the same reason.
        """
        seen = {order.leg for order in self.placed}
        for leg, order in self._known.orders.items():
            if leg in seen or order.status is OrderStatus.REJECTED:
                continue
            if order.status in {OrderStatus.CLAIMED, OrderStatus.UNKNOWN}:
                self._write()
                line = self._lines.of(order.market_type)
                order = lookup.settle(order, line, refusal or NotDoable("exchange_never_arrived"), self._entries)  # noqa: PLW2901
            self.placed.append(order)

    def _claimed(self, leg: str, request: OrderRequest, percent: Decimal | None) -> Order:
        order = self._order_of(leg, request, percent)
        ledger.claim(order)
        self._known.count += 1
        return order

    def _order_of(self, leg: str, request: OrderRequest, percent: Decimal | None) -> Order:
        """The order as it is claimed."""
        now = datetime.now(UTC)
        instruction, account = self._instruction, self._account
        return Order(
            signal_id=instruction.signal_id,
            account_id=account.account_id,
            user_id=account.user_id,
            leg=leg,
            number=self._known.count + 1,
            client_order_id=request.client_order_id,
            exchange=account.exchange,
            market_type=request.instrument.market_type,
            symbol=request.instrument.name,
            side=request.side,
            order_type=request.order_type,
            reduce_only=request.reduce_only,
            status=OrderStatus.CLAIMED,
            quantity=request.quantity,
            filled=Decimal(0),
            price=request.price or self._basis.get("price") or instruction.market_price,
            stop_price=request.stop_price,
            take_profit=request.take_profit,
            stop_loss=request.stop_loss,
            margin_mode=request.margin_mode,
            hedged=request.hedged,
            percent=percent,
            group_name=instruction.group_name,
            sent_at=now,
            tries=1,
            basis=dict(self._basis),
            delays=tuple(self._patience.delays),
            created_at=now,
            updated_at=now,
        )

    def _send(self, order: Order, request: OrderRequest) -> Order:
        """Sends a claimed order; again only when it certainly is not there."""
        line = self._line(request.instrument)
        while True:
            try:
                if not (request.reduce_only or (request.side is Side.SELL and request.instrument.market_type is MarketType.SPOT)):
                    self.still()
                state = line.place(request)
            except OutcomeUnknown as fault:
                log.warning("outcome unknown", extra={"order_id": order.order_id, "fault": str(fault)})
                return self._recover(ledger.unknown(order, sent_now=True), request)
            except Retryable as fault:
                log.info("not placed", extra={"order_id": order.order_id, "fault": str(fault)})
                if order.tries >= _TRIES and not isinstance(fault, RateLimited):
                    raise
                if not isinstance(fault, RateLimited):
                    self._patience.wait(_PAUSE_S * 2**order.tries, "fault")
                line.take_turn(request)
                found = self._find(order, request.instrument)
                if found is not None:
                    return self._record(order, found, request.instrument)
                order = ledger.send_again(order, limited=isinstance(fault, RateLimited))
            except Refused as refusal:
                ledger.reject(order, refusal)
                raise
            else:
                return self._record(order, state, request.instrument)

    def _recover(self, order: Order, request: OrderRequest) -> Order:
        """What became of an order that was sent, or may have been. Only absence after the late-arrival bound is absence."""
        line = self._line(request.instrument)
        assert order.sent_at is not None
        try:
            found = self._find(order, request.instrument)
            until = order.sent_at + timedelta(seconds=line.late_arrival_s)
            wait = (until - datetime.now(UTC)).total_seconds()
            if found is None and wait > 0:
                if wait > self._patience.left and order.status is OrderStatus.UNKNOWN:
                    return order
                self._patience.wait(wait, "late_arrival")
                found = self._find(order, request.instrument)
        except Retryable:
            if order.status is OrderStatus.CLAIMED and self._patience.left < line.late_arrival_s:
                raise
            # The exchange does not say. The order stays unknown, and is looked after by the minute.
            return ledger.unknown(order)
        if found is not None:
            return self._record(order, found, request.instrument)
        age = datetime.now(UTC) - self._instruction.age_from
        if not request.reduce_only and age > timedelta(seconds=self._instruction.max_age_s):
            refusal = NotDoable("stale", age=int(age.total_seconds()), limit=self._instruction.max_age_s)
            ledger.reject(order, refusal)
            raise refusal
        if order.tries >= _TRIES:
            refusal = NotDoable("exchange_never_arrived")
            ledger.reject(order, refusal)
            raise refusal
        line.prepare(request, ahead=0)
        return self._send(ledger.send_again(order), request)

    def _exited(self, order: Order, request: OrderRequest) -> Order:
        """Waits until the position is gone, so that the new one is sized by what is then free.

        Raises:
            NotDoable: `exit_not_filled`: the exit ended without taking the whole position away.
            Retryable: It has not traded in the time there is.
        """
        pause = _PAUSE_S
        while not order.status.final and order.status is not OrderStatus.UNKNOWN:
            self._patience.wait(pause, "exit")
            pause = min(pause * 2, 2.0)
            found = self._find(order, request.instrument)
            if found is not None:
                order = self._record(order, found, request.instrument)
        self.placed = [each if each.leg != order.leg else order for each in self.placed]
        self._write()
        if order.status is not OrderStatus.FILLED:
            raise NotDoable("exit_not_filled", symbol=order.symbol)
        later = [self._known.orders[leg].basis for leg in self._legs if leg in self._known.orders]
        self._basis = dict(later[0]) if later else {name: value for name, value in self._basis.items() if name == "price"}
        return order

    def _record(self, order: Order, state: OrderState, instrument: Instrument) -> Order:
        self._write()
        more = {**lookup.fees(self._line(instrument), state, instrument), "delays": tuple(self._patience.delays)}
        order, writes = ledger.recording(order, state, lambda changed: self._entries.booked(changed, instrument), **more)
        self._unwritten += writes
        if not self._deferring:
            self._write()
        return order

    def _write(self) -> None:
        if writes := self.writes():
            ledger.write(writes)

    def _find(self, order: Order, instrument: Instrument) -> OrderState | None:
        return self._line(instrument).find(order.client_order_id, instrument, trigger=order.stop_price is not None)

    def _as_claimed(self, known: Order, order: OrderRequest) -> OrderRequest:
        """The request as it was claimed, whatever planning has come to this time."""
        price = known.price if order.price is not None else None
        kind, quantity = known.order_type, known.quantity
        return replace(order, side=known.side, order_type=kind, quantity=quantity, price=price, stop_price=known.stop_price)

    def _line(self, instrument: Instrument) -> Line:
        return self._lines.of(instrument.market_type)

    def _balance(self, instrument: Instrument, currency: str) -> Decimal:
        """Free balance; a look at one currency of a pair is a look at both."""
        balances = self._line(instrument).free_and_total()
        free = {name: balances.get(name, (Decimal(0), Decimal(0)))[0] for name in (instrument.base, instrument.quote)}
        if instrument.market_type is MarketType.SPOT:
            owned = balances.get(instrument.base, (Decimal(0), Decimal(0)))[1]
            self._basis |= {"held": free[instrument.base], "free": free[instrument.quote], OWNED: owned}
        return free[currency]

    def _look(self, what: str, look: Any) -> Decimal:
        if what not in self._basis:
            self._basis[what] = look()
        return self._basis[what]
