"""The journal of a simulated account while one signal or one price update runs on it."""

from datetime import datetime, timedelta
from typing import Any

from chalicelib.journal import models, round_trips
from chalicelib.orders.models import Order
from chalicelib.paper.book import Book, Holding, Position
from chalicelib.paper.fills import BalanceFill


class PaperJournal:
    """Keeps the lots of a book's holdings and positions up to its fills.

    Attributes:
        trades: Trades that were closed since the last write.
    """

    def __init__(self, book: Book, now: datetime) -> None:
        self.trades: list[models.Trade] = []
        self._book = book
        self._now = now
        self._fills = 0

    def take_fills(self, order: Order) -> dict[str, Any]:
        """Books an order's fills in the book. Returns what the order's record notes of them."""
        at = self._now + timedelta(microseconds=self._fills)  # fills of one message differ by a microsecond
        self._fills += 1
        own = [fill for fill in self._book.fills if fill.client_order_id == order.client_order_id]
        self._book.fills = [fill for fill in self._book.fills if fill not in own]
        for fill in own:
            self._book_fill(order, fill, at)
        held = next((fill.held for fill in own if fill.symbol == order.symbol), None)
        return {"filled_at": at, "held_before": held}

    def _book_fill(self, order: Order, fill: BalanceFill, at: datetime) -> None:
        kind, _, name = fill.item.partition("#")
        balance: Holding | Position = (
            self._book.holdings[name] if kind == "asset" else self._book.positions[name]
        )
        lots, closed = round_trips.apply_fill(
            models.read_lots(balance.lots),
            round_trips.Fill(
                order_id=order.order_id,
                symbol=fill.symbol,
                strategy=fill.group,
                quantity=fill.quantity,
                price=fill.price,
                at=at,
                fee=fill.fee,
                rounding=fill.rounding,
                signal_price=order.wanted_price if fill.symbol == order.symbol else None,
            ),
            fill.held,
            fill.average_price,
        )
        balance.lots = models.stored_lots(lots)
        currency = self._book.account.currency
        self.trades += [models.trade_of(each, order, currency) for each in closed]
