"""Paper execution: the execution client of a simulated account.

All changes happen in memory. `writes` returns them for one transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.accounts.rates import Rates
from chalicelib.errors import NotDoable, Refused, Retryable
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.exchanges import client_ids
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderState, OrderStatus, Position, Side
from chalicelib.execution import protective_orders, reference_price
from chalicelib.execution.paper_journal import PaperJournal
from chalicelib.execution.reference_price import PriceSource
from chalicelib.journal import store as journal_store
from chalicelib.orders import deadlines, events, store
from chalicelib.orders.legs import CLOSING_LEG
from chalicelib.orders.models import Instruction, Order, PriceUpdate
from chalicelib.paper import book as paper_book
from chalicelib.paper import instruments, price_path
from chalicelib.paper import store as paper_store
from chalicelib.paper.book import Book
from chalicelib.paper.money import round_money
from chalicelib.paper.orders import is_marketable
from chalicelib.portfolio import equity
from chalicelib.trading import Action, MarketType, OrderType, PositionSide, Symbol

_AT_ONCE = 15  # orders in one transaction: each takes three writes, and two if it closes a trade
_PER_PRICE = 8  # the same while a price fills orders: the next entry may bring thirteen exits


class PaperExecution:
    """A paper book while one signal or one price update runs on it.

    Attributes:
        placed: New orders.
        changed: Waiting orders that have changed.
        price_source: Source of the price of the instruction's symbol. None if no price is known.
    """

    def __init__(
        self,
        book: Book,
        instruction: Instruction | None,
        prices: dict[str, Decimal],
        now: datetime,
        source: PriceSource | None = None,
    ) -> None:
        self.book = book
        book.prices |= prices
        self.price_source = source
        self.placed: list[Order] = []
        self.changed: list[Order] = []
        self._instruction = instruction
        self._prices = prices
        self._now = now
        self._groups: dict[str, str | None] = {}
        self._instruments: dict[str, Instrument] = {}
        self._signals: dict[str, str] = {}
        self._failure_events: list[aws.Write] = []
        self._silent: set[str] = set()  # ids of `changed` orders whose stop only moved
        self._journal = PaperJournal(book, now)
        self._written = 0  # number of `placed` orders already written

    @property
    def profits(self) -> dict[str | None, Decimal]:
        """Profit realised by this execution, net of costs, by strategy, in the account's currency."""
        found: dict[str | None, Decimal] = {}
        for client_order_id, profit in self.book.realised.items():
            group_name = self._groups.get(client_order_id)
            found[group_name] = found.get(group_name, Decimal(0)) + profit
        return found

    @property
    def rates(self) -> Rates:
        """Trading costs of the account."""
        return self.book.account.rates

    @property
    def exits_hold(self) -> bool:
        """False: on a simulated account exits lock no holdings. They shrink when holdings are sold."""
        return False

    @property
    def manages_exits(self) -> bool:
        """True: the book moves stops by each price that it sees."""
        return True

    def sellable(self, instrument: Instrument, held: Decimal) -> Decimal:  # noqa: ARG002
        """Returns the whole holding: the step is assumed from the current price and must leave no rest."""
        return held

    @property
    def insists(self) -> bool:
        """False: the account's fill rate decides how much of an order fills."""
        return False

    def instrument(self, symbol: Symbol, market_type: MarketType, near: Decimal | None) -> Instrument:
        """Returns the instrument with the rules usual for its price."""
        return instruments.assumed_instrument(
            symbol, market_type, near or Decimal(1), self.book.account.currency
        )

    def market_price(self, symbol: Symbol) -> Decimal | None:
        """Returns the live price, else the signal's price, else the last known price, quote per base."""
        return self._prices.get(symbol.name)

    def current_price(self, symbol: Symbol) -> Decimal | None:
        """Returns the same price as `market_price`."""
        return self.market_price(symbol)

    def execution_price(self, order: OrderRequest, price: Decimal) -> Decimal:
        """Returns the price at which the order fills, quote per base.

        Includes slippage for a taking order. Never worse than the limit price, and rounded to the tick.
        """
        return self.book.fill_price(
            order, price, taking=order.order_type is not OrderType.LIMIT or is_marketable(order, price)
        )

    def free(self, instrument: Instrument) -> Decimal:
        """Returns the free quote balance, quote units."""
        return self.book.free(instrument.quote)

    def positions(
        self, instrument: Instrument, position_side: PositionSide | None = None
    ) -> Sequence[Position]:
        """Returns the position, or the free holdings on spot.

        Raises:
            NotDoable: `hedge_unsupported`: a simulated account has one position per symbol.
        """
        if position_side is not None:
            raise NotDoable("hedge_unsupported", account=self.book.account.name)
        return [Position(instrument.name, instrument.market_type, self.book.held(instrument))]

    def standing(self, instrument: Instrument, position: Position) -> Decimal:  # noqa: ARG002  there is one position only
        """Returns how much of the position is open now, base units without sign."""
        return abs(self.book.held(instrument))

    def claimed(self, leg: str) -> bool:  # noqa: ARG002
        """Returns False: the orders of an attempt are written only when the signal settles."""
        return False

    def until_ended(self, order: Order) -> Order:
        """Returns the order: a simulated market order has ended once it is placed."""
        return order

    def wait_for_rest(self, attempt: int) -> bool:  # noqa: ARG002
        """Returns False: the part that the account's fill rate leaves open is not retried."""
        return False

    def look_again(self) -> None:
        """Does nothing: the book is always current."""

    def exposure(self, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Returns the exposure on one side, base units, and the number of other positions.

        Waiting orders count with the size that they would add.
        """
        return self.book.exposure(instrument, side)

    def place(self, leg: str, order: OrderRequest, percent: Decimal | None = None) -> Order:
        """Places an order in the book."""
        assert self._instruction is not None
        self._instruments[order.client_order_id] = order.instrument
        return self._place(self._record(self._instruction, leg, order, percent), order)

    def _place(self, record: Order, order: OrderRequest) -> Order:
        price = self._prices.get(order.instrument.name)
        state = self.book.place(order, price, record.model_dump(mode="json"), self._now)
        self._groups[order.client_order_id] = record.group_name
        placed = self._add(record, state)
        self._note_ended()
        return placed

    def _add(self, record: Order, state: OrderState) -> Order:
        """Adds a new order as the book reports it."""
        number = {"number": self.book.orders, "exchange_order_id": state.exchange_order_id, "version": 1}
        self.placed.append(self._as_reported(record, state).model_copy(update=number))
        return self.placed[-1]

    def _note_ended(self) -> None:
        """Records exits that ended or shrank together with their position."""
        ended, self.book.ended = self.book.ended, []
        for waiting, state in ended:
            noted = self._note(Order.model_validate(waiting.reference), state)
            name = waiting.order.client_order_id
            if name in self.book.waiting:
                reference = noted.model_dump(mode="json")
                self.book.waiting[name] = replace(self.book.waiting[name], reference=reference)
        if self._pending > _AT_ONCE:
            self.write_ended_exits()

    @property
    def _pending(self) -> int:
        """Number of orders that the next transaction writes."""
        return len(self.changed) + len(self.placed) - self._written

    def _note_moved(self) -> None:
        """Records the new prices of stop-losses that moved. A move is no event."""
        moved, self.book.moved = self.book.moved, set()
        for name in sorted(moved & self.book.waiting.keys()):
            waiting = self.book.waiting[name]
            order = Order.model_validate(waiting.reference)
            if order.stop_price == waiting.order.stop_price:
                continue
            unwritten = {each.order_id for each in (*self.placed[self._written :], *self.changed)}
            noted = self._note(
                order.model_copy(update={"stop_price": waiting.order.stop_price}), waiting.state
            )
            if order.order_id not in unwritten:
                self._silent.add(order.order_id)
            self.book.waiting[name] = replace(waiting, reference=noted.model_dump(mode="json"))

    def write_ended_exits(self) -> None:
        """Writes the end of exits ahead of the fill that ended them: one transaction may not hold them all.

        If the fill is never written, its message is delivered again and finds the position without them.

        Raises:
            Retryable: The book was modified concurrently.
        """
        ended = [order for order in self.changed if order.exit_of and order.status is OrderStatus.CANCELLED]
        for start in range(0, len(ended), _AT_ONCE):
            some = ended[start : start + _AT_ONCE]
            names = {f"order#{order.client_order_id}" for order in some}
            self._transact(
                [
                    *map(store.order_change_write, some),
                    *(outbox.event_write(events.order_event(order)) for order in some),
                    *paper_store.order_writes(self.book, names),
                ]
            )
            self.book.changed -= names
        self.changed = [order for order in self.changed if order not in ended]

    def protect(self, entry: Order) -> None:
        """Places the exits of an entry's filled part.

        If the price has already passed an exit, the position is closed at once.
        """
        if not entry.unprotected:
            return
        price = self._prices.get(entry.symbol)
        failed: Refused | None = None
        missing = "stop_loss"
        for leg, request in protective_orders.exit_orders(
            entry, self._instruments[entry.client_order_id], price
        ).items():
            missing = "stop_loss" if ".sl" in leg else "take_profit"
            try:
                self._place(self._exit(entry, leg, request), replace(request, leverage=None))
            except Refused as refused:
                failed = None if refused.code == "no_position" else refused  # no position is left to protect
                break
        self.book.end_exits(self._instruments[entry.client_order_id])
        self._note_ended()
        protected = entry.model_copy(update={"protected": entry.received, "exit_round": entry.exit_round + 1})
        self._replace(protected)
        if failed:
            self._failure_events.append(
                outbox.event_write(events.protection_failed_event(protected, failed, missing, again=False))
            )

    def open_orders(
        self, group_name: str | None, symbol: Symbol | None, market_type: MarketType | None
    ) -> Sequence[Order]:
        """Returns the waiting orders that match. None matches all."""
        orders = [Order.model_validate(waiting.reference) for waiting in self.book.waiting.values()]
        return [
            order
            for order in orders
            if (group_name is None or order.group_name == group_name)
            and (symbol is None or order.symbol == symbol.name)
            and (market_type is None or order.market_type is market_type)
        ]

    def cancel(self, order: Order, code: str | None = None) -> bool:
        """Cancels a waiting order."""
        cancelled = self.book.cancel(order.client_order_id)
        if cancelled:
            self._note(order.model_copy(update={"code": code}), cancelled[1])
            if len(self.changed) >= _AT_ONCE and not self.placed:
                self.flush()
        return cancelled is not None

    def on_price_update(self, update: PriceUpdate) -> None:
        """Lets the waiting orders of a symbol see a price, and before it the extremes since the last look.

        The order is: the worse extreme, the price, the better extreme, the price. Positions are liquidated by
        the price alone, because they may be younger than an extreme.
        """
        name, market = update.symbol, update.market_type
        self.book.price_time = update.at
        if update.since is not None:
            self._show_extremes(update, update.since)
        # A ticker's price is older than an order that was placed after it was fetched.
        self._show_price(name, update.price, market, None if market is None else update.at)
        self.liquidate()

    def _show_extremes(self, update: PriceUpdate, since: datetime) -> None:
        """Lets the orders that waited at the last look see the way of the price since then.

        A redelivered update finds the stops that it moved itself, and these do not see the way once more.
        """
        name, market = update.symbol, update.market_type
        seeing = [each.order.client_order_id for each in self.book.waiting_orders(name, market, since)]
        position = None if market is MarketType.SPOT else self.book.positions.get(name)
        long = position is None or position.quantity >= 0
        levels = self._stop_prices(seeing)
        worse, better = price_path.extremes(update.price, update.high, update.low, levels, long=long)
        for price in (*worse, *([update.price, *better] if better else [])):
            self._show_price(name, price, only=seeing)
        if better:  # on the way there, stops may have moved in between
            for price in price_path.way_back(better[-1], update.price, self._stop_prices(seeing)):
                self._show_price(name, price, only=seeing)

    def _stop_prices(self, names: Iterable[str]) -> list[Decimal]:
        orders = [self.book.waiting[name].order for name in names if name in self.book.waiting]
        return [order.stop_price for order in orders if order.stop_price is not None]

    def on_price(self, symbol: str, price: Decimal) -> None:
        """Applies a new price to the waiting orders of a symbol, and liquidates positions if necessary."""
        self.book.price_time = self._now
        self._show_price(symbol, price)
        self.liquidate()

    def _show_price(
        self,
        symbol: str,
        price: Decimal,
        market_type: MarketType | None = None,
        placed_before: datetime | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        for waiting, state in self.book.on_price(symbol, price, market_type, placed_before, only):
            self._note_moved()
            self._instruments[waiting.order.client_order_id] = waiting.order.instrument
            filled = self._note(Order.model_validate(waiting.reference), state)
            self._note_ended()
            self.protect(filled)
            if self._pending >= _PER_PRICE:
                self.flush()
        self._note_moved()

    def liquidate(self) -> None:
        """Closes positions whose margin no longer suffices.

        Their orders have the code `liquidated`.
        """
        for order, state in self.book.liquidate(self._closing):
            self._add(self._liquidation(order), state)
            self._note_ended()

    def _closing(
        self, name: str, position: paper_book.Position, group_name: str, quantity: Decimal
    ) -> OrderRequest:
        symbol = Symbol(raw=name, base=name.removesuffix(position.quote), quote=position.quote)
        instrument = self.instrument(symbol, MarketType.FUTURES, self.book.mark(name))
        signal_id = event_id(
            "liquidation", self.book.account.account_id, str(self.book.version), str(self.book.orders)
        )
        client_id = client_ids.client_order_id(signal_id, self.book.account.account_id, CLOSING_LEG)
        self._groups[client_id], self._signals[client_id] = group_name or None, signal_id
        side = Side.SELL if position.quantity > 0 else Side.BUY
        return OrderRequest(client_id, instrument, side, OrderType.MARKET, quantity, reduce_only=True)

    def _liquidation(self, order: OrderRequest) -> Order:
        """Returns the record of a liquidation order."""
        account, name = self.book.account, order.client_order_id
        instruction = Instruction(
            signal_id=self._signals[name],
            user_id=account.user_id,
            account_id=account.account_id,
            exchange=account.exchange,
            variant="liquidation",
            action=Action.CLOSE,
            group_name=self._groups[name],
            received_at=self._now,
            max_age_s=0,
            single_account=False,
        )
        return self._record(instruction, CLOSING_LEG, order, None)

    def writes(self) -> list[aws.Write]:
        """Returns the changes since the last flush as writes, events included.

        The writes succeed only if the book has not changed since it was read.
        """
        new = self.placed[self._written :]
        if not (new or self.changed or self.book.changed):
            return []
        published = [order for order in self.changed if order.order_id not in self._silent]
        order_writes = [store.order_write(order) for order in new] + [
            store.order_change_write(order) for order in self.changed
        ]
        event_writes = [
            outbox.event_write(event)
            for event in (*map(events.order_event, (*published, *new)), *self._positions())
        ]
        instruction = self._instruction
        due = {
            str(write): write
            for order in new
            for write in (deadlines.new_deadline_writes(instruction, order) if instruction else ())
        }
        worth = equity.point_write(self.book.account.account_id, equity.book_equity(self.book), self._now)
        return [
            *order_writes,
            *event_writes,
            *self._failure_events,
            *journal_store.trade_writes(self._journal.trades),
            *paper_store.effect_writes(self.book),
            *due.values(),
            worth,
        ]

    def _positions(self) -> Iterator[Event]:
        """Yields the events of the positions and holdings that fills have changed."""
        for name in sorted(self.book.changed):
            kind, _, symbol = name.partition("#")
            if kind == "asset":
                market_type, quantity = MarketType.SPOT, self.book.holdings[symbol].quantity
                average = self.book.holdings[symbol].average_price
            elif kind == "position":
                market_type, quantity = MarketType.FUTURES, self.book.positions[symbol].quantity
                average = self.book.positions[symbol].entry_price
            else:
                continue
            version, average_price = self.book.version + 1, average if quantity else None
            at = self._now + timedelta(microseconds=1)  # after the order that changed it
            yield events.position_event(
                self.book.account, market_type, symbol, quantity, average_price, version=version, at=at
            )

    def discard(self) -> None:
        """Discards all unwritten changes, after an error that may have left a change half done."""
        self.placed, self.changed, self._failure_events = self.placed[: self._written], [], []
        self.book.changed, self.book.realised, self.book.fills = set(), {}, []
        self._journal.trades = []

    def flush(self) -> None:
        """Writes the changes to waiting orders so far.

        A transaction holds at most 100 writes, and a cancel may concern more orders.

        Raises:
            Retryable: The book was modified concurrently. Nothing was written.
        """
        self._transact(self.writes())
        self.changed, self._failure_events, self._silent = [], [], set()
        self._journal.trades = []
        self._written = len(self.placed)
        self.book.changed = set()

    def _transact(self, writes: list[aws.Write]) -> None:
        """Writes changes that count as one version of the book. Raises Retryable as `flush` does."""
        try:
            aws.transact(writes)
        except aws.WriteRefused as refused:
            raise Retryable("account records modified concurrently") from refused
        self.book.version += 1

    def _note(self, order: Order, state: OrderState) -> Order:
        number = self.book.orders if order.number == 0 else order.number
        self._groups[order.client_order_id] = order.group_name
        self._silent.discard(order.order_id)
        noted = self._as_reported(order, state).model_copy(update={"number": number})
        unwritten = [*self.placed[self._written :], *self.changed]
        if before := next((each for each in unwritten if each.order_id == order.order_id), None):
            return self._replace(
                noted.model_copy(update={"version": before.version})
            )  # one write for both changes
        self.changed.append(noted.model_copy(update={"version": order.version + 1}))
        return self.changed[-1]

    def _replace(self, order: Order) -> Order:
        """Replaces an order's record in `placed` and `changed`."""
        for orders in (self.placed, self.changed):
            orders[:] = [order if each.order_id == order.order_id else each for each in orders]
        return order

    def _exit(self, entry: Order, leg: str, request: OrderRequest) -> Order:
        """Returns the record of an entry's exit."""
        own = {
            "leg": leg,
            "number": self.book.orders + 1,
            "client_order_id": request.client_order_id,
            "side": request.side,
            "order_type": request.order_type,
            "reduce_only": request.reduce_only,
            "status": OrderStatus.OPEN,
            "quantity": request.quantity,
            "stop_price": request.stop_price,
            "signal_price": request.price or request.stop_price,
            "created_at": self._now,
            "version": 1,
        }
        nothing_yet = dict.fromkeys(
            (
                "price",
                "average_price",
                "value",
                "fee",
                "fee_currency",
                "realized_profit",
                "percent",
                "expires_at",
                "exit_after_s",
                "opened_at",
                "exits",
                "filled_at",
                "held_before",
            )
        )
        fresh = {"filled": Decimal(0), "protected": Decimal(0), "exit_round": 0}
        return entry.model_copy(update={**own, **nothing_yet, **fresh})

    def _record(
        self, instruction: Instruction, leg: str, order: OrderRequest, percent: Decimal | None
    ) -> Order:
        account = self.book.account
        return Order(
            signal_id=instruction.signal_id,
            account_id=account.account_id,
            user_id=account.user_id,
            leg=leg,
            number=self.book.orders + 1,
            client_order_id=order.client_order_id,
            exchange_order_id=str(self.book.orders + 1),
            exchange=account.exchange,
            market_type=order.instrument.market_type,
            symbol=order.instrument.name,
            base=order.instrument.base,
            side=order.side,
            order_type=order.order_type,
            reduce_only=order.reduce_only,
            status=OrderStatus.OPEN,
            quantity=order.quantity,
            filled=Decimal(0),
            price=order.price
            or (self._prices.get(order.instrument.name) if order.order_type is OrderType.MARKET else None),
            stop_price=order.stop_price,
            exits=order.exits,
            margin_mode=order.margin_mode,
            hedged=order.hedged,
            percent=percent,
            group_name=instruction.group_name,
            signal_price=reference_price.wanted_price(
                order, instruction, self._prices.get(order.instrument.name)
            ),
            created_at=self._now,
            updated_at=self._now,
            **deadlines.order_fields(instruction, leg, order, self._now),
        )

    def _as_reported(self, order: Order, state: OrderState) -> Order:
        """Returns the order updated with the state that the book reports."""
        fields: dict[str, Any] = {
            "status": state.status,
            "updated_at": self._now,
            "filled": state.filled,
            "quantity": state.quantity,
        }
        if order.exit_after_s and state.filled and not order.filled:
            fields["opened_at"] = self._now
        if reason := self.book.reasons.pop(order.client_order_id, None):
            fields |= {"code": reason.code, "values": reason.values}
        if state.average_price is not None:
            fields["average_price"] = state.average_price
            fields["value"] = round_money(state.average_price * state.filled, state.fee_currency or "")
            fields["fee"], fields["fee_currency"] = state.fee, state.fee_currency
            fields["realized_profit"] = self.book.realised.get(order.client_order_id)
            fields |= self._journal.take_fills(order)
        return order.model_copy(update=fields)
