"""The price, free balance and positions that one signal's orders are sized from.

Each value is read once per signal and stored with the orders. A redelivered message therefore plans the same
orders, even if the balance has changed since.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from chalicelib.exchanges.dialects.dialect import is_about_long
from chalicelib.exchanges.protocol import Instrument, OrderRequest, Position, Side
from chalicelib.exchanges.session import ExchangeSession
from chalicelib.orders import in_flight
from chalicelib.orders.models import Instruction
from chalicelib.paper.book import DOLLARS
from chalicelib.portfolio.cost_basis import OWNED
from chalicelib.trading import MarketType, PositionSide, Symbol

_ZERO = Decimal(0)
_HELD = "held"  # key of the sum in `basis`. Each position has its own key, such as "held_long_cross"


class SessionSource(Protocol):
    """Source of an account's sessions, one per market: at the exchange, or from a stored snapshot."""

    def of(self, market_type: MarketType) -> ExchangeSession:
        """Returns the session for a market."""
        ...


class AccountView:
    """The account as one signal sees it.

    Attributes:
        basis: Values read so far, by name. Stored with every order of the signal.
    """

    def __init__(
        self, sessions: SessionSource, instruction: Instruction, basis: Mapping[str, Decimal]
    ) -> None:
        """Starts from the values that an earlier attempt has read."""
        self.basis = dict(basis)
        self._sessions = sessions
        self._instruction = instruction

    def price(self, symbol: Symbol) -> Decimal:
        """Returns the exchange's last price, quote per base. Never the signal's own price."""
        market_type = self._instruction.market_type
        assert market_type is not None
        session = self._sessions.of(market_type)
        return self._read_once("price", lambda: session.last_price(session.instrument(symbol.name)))

    def free(self, instrument: Instrument) -> Decimal:
        """Returns the free quote balance, quote units."""
        return self._read_once("free", lambda: self._balance(instrument, instrument.quote))

    def positions(self, instrument: Instrument, position_side: PositionSide | None) -> Sequence[Position]:
        """Returns the futures positions in an instrument, of one side if `position_side` is given.

        On spot, returns the free holdings as one position.
        """
        if instrument.market_type is MarketType.SPOT:
            held = self._read_once(_HELD, lambda: self._balance(instrument, instrument.base))
            return [Position(instrument.base, MarketType.SPOT, held)]
        if _HELD not in self.basis:
            found = _positions_in(
                self._sessions.of(instrument.market_type).open_positions(), instrument, position_side
            )
            self.basis |= {_name(each): each.quantity for each in found}
            self.basis[_HELD] = _total(found)
        return [
            _position(instrument, name, held)
            for name, held in self.basis.items()
            if name.startswith(f"{_HELD}_")
        ]

    def standing(self, instrument: Instrument, position: Position) -> Decimal:
        """Returns how much of a position the exchange shows now, base units without sign."""
        session = self._sessions.of(instrument.market_type)
        if instrument.market_type is MarketType.SPOT:
            return session.free_and_total().get(instrument.base, (_ZERO, _ZERO))[0]
        now = _total(
            each
            for each in _positions_in(session.open_positions(), instrument, None)
            if _name(each) == _name(position)
        )
        return abs(now) if now * position.quantity > 0 else _ZERO

    def basis_of(self, request: OrderRequest) -> dict[str, Decimal]:
        """Returns the values to store with an order: the basis, and the size of the order's own position."""
        if request.instrument.market_type is MarketType.SPOT or _HELD not in self.basis:
            return dict(self.basis)
        side = None
        if request.hedged:
            side = (
                PositionSide.LONG
                if is_about_long(request.side, reduce_only=request.reduce_only)
                else PositionSide.SHORT
            )
        return {
            **self.basis,
            OWNED: _total(_positions_in(self.positions(request.instrument, None), request.instrument, side)),
        }

    def exposure(self, account_id: str, instrument: Instrument, side: Side) -> tuple[Decimal, int]:
        """Returns the exposure on one side, base units, and the number of other positions.

        Exposure is the position or holdings at the exchange plus the order store's open orders that would add
        to it.
        """
        direction = 1 if side is Side.BUY else -1
        session = self._sessions.of(instrument.market_type)
        if instrument.market_type is MarketType.FUTURES:
            held = [(each.instrument_name, each.quantity) for each in session.open_positions()]
        else:
            held = [
                (currency, total)
                for currency, (_, total) in session.free_and_total().items()
                if currency not in DOLLARS and total
            ]
        name = instrument.name if instrument.market_type is MarketType.FUTURES else instrument.base
        # In hedge mode a long and a short position do not cancel each other out.
        total = sum((max(quantity * direction, _ZERO) for each, quantity in held if each == name), _ZERO)
        there = {each for each, _ in held}
        for order in in_flight.unfinished(account_id):
            opens = not order.reduce_only and (
                order.side is Side.BUY or order.market_type is MarketType.FUTURES
            )
            if order.status.final or not opens or order.market_type is not instrument.market_type:
                continue
            base = (
                order.symbol
                if instrument.market_type is MarketType.FUTURES
                else order.symbol.removesuffix(instrument.quote)
            )
            there.add(base)
            if base == name and order.side is side:
                total += order.quantity - order.filled
        return total, len(there - {name})

    def refresh(self, seen_later: Mapping[str, Decimal] | None) -> None:
        """Drops the values that an exit has changed.

        Args:
            seen_later: Values that an earlier attempt read after the exit. None if no attempt read them.
        """
        self.basis = (
            {name: value for name, value in self.basis.items() if name == "price"}
            if seen_later is None
            else dict(seen_later)
        )

    def _balance(self, instrument: Instrument, currency: str) -> Decimal:
        """Returns a currency's free balance. One balance request caches both currencies of the pair."""
        balances = self._sessions.of(instrument.market_type).free_and_total()
        free = {name: balances.get(name, (_ZERO, _ZERO))[0] for name in (instrument.base, instrument.quote)}
        if instrument.market_type is MarketType.SPOT:
            owned = balances.get(instrument.base, (_ZERO, _ZERO))[1]
            self.basis |= {_HELD: free[instrument.base], "free": free[instrument.quote], OWNED: owned}
        return free[currency]

    def _read_once(self, what: str, look: Callable[[], Decimal]) -> Decimal:
        if what not in self.basis:
            self.basis[what] = look()
        return self.basis[what]


def _positions_in(
    positions: Sequence[Position], instrument: Instrument, side: PositionSide | None
) -> list[Position]:
    """Returns the positions in an instrument, of one side if given. In one-way mode the sign is the side."""
    mine = [each for each in positions if each.instrument_name == instrument.name]
    if side is None:
        return mine
    return [each for each in mine if (each.position_side or _direction(each)) is side]


def _direction(position: Position) -> PositionSide:
    return PositionSide.LONG if position.quantity > 0 else PositionSide.SHORT


def _total(positions: Iterable[Position]) -> Decimal:
    return sum((each.quantity for each in positions), _ZERO)


def _name(position: Position) -> str:
    """Returns a position's name in the basis: `held_long_cross`, `held_net_isolated`, `held_net_account`."""
    return "_".join([_HELD, position.position_side or "net", position.margin_mode or "account"])


def _position(instrument: Instrument, name: str, quantity: Decimal) -> Position:
    """Returns the position stored in the basis under this name."""
    _, side, mode = name.split("_")
    return Position(
        instrument.name,
        instrument.market_type,
        quantity,
        position_side=None if side == "net" else PositionSide(side),
        margin_mode=None if mode == "account" else mode,
    )
