"""Closes an account's positions, or only cancels its entry orders, because of a halt or because a user asked.

- A simulated account is closed completely.
- At an exchange, futures positions are closed and open orders cancelled. Spot holdings stay, because
  purchases through this service cannot be separated from the owner's other holdings. A user who names a
  symbol of the spot market sells that holding.
- A halt cancels every order first. For a user, exits stay until the position is closed.

Positions that stay open are noted on the halt.
"""

import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.accounts.connections import Connections
from chalicelib.accounts.model import Account
from chalicelib.errors import Refused, Retryable
from chalicelib.events.models import event_id
from chalicelib.exchanges.protocol import Position
from chalicelib.exchanges.rate_limiter import Patience
from chalicelib.exchanges.wire import text
from chalicelib.execution.execute_signal import execute_signal
from chalicelib.orders.models import Flatten, Instruction
from chalicelib.paper import store as paper_store
from chalicelib.paper.book import DOLLARS
from chalicelib.prices import store as prices
from chalicelib.risk import halts
from chalicelib.risk import state as risk_state
from chalicelib.risk.halts import Scope, Switch
from chalicelib.telemetry import log
from chalicelib.trading import Action, MarketType, Symbol

_VARIANT = "risk"
_ROUNDS = 3  # of closes. Each round retries the rest until its share of time is up
_ROUND_S = 10.0  # least time left to start another round


def close_all(message: Flatten, seconds: float) -> None:
    """Cancels an account's open orders and closes its positions, each as its own signal executed once.

    Args:
        seconds: Longest wait for the exchange, seconds in all.

    Raises:
        Retryable: Time is up before everything is done. The next delivery continues.
    """
    [item] = aws.get_many([("accounts", {"account_id": message.account_id})])
    if item is None or "deleted_at" in item:
        return
    account = Account.model_validate(item)
    until = time.monotonic() + seconds
    if message.entries_only and not _cancels_entries(message):
        return
    _cancel(message, account, "cancel", seconds, entries_only=message.entries_only or message.is_requested)
    if message.entries_only:
        log.info("entries cancelled", extra={"account_id": account.account_id, "user_id": account.user_id})
        return
    if account.has_exchange:
        left_open = _close_at_exchange(message, account, until)
        _note(message, account, left_open)
        if left_open:
            log.error(
                "account not flat, positions left open",
                extra={"account_id": account.account_id, "positions": left_open},
            )
            return
    elif message.group_name:
        for name, action, more in _strategy_closes(message, account):
            execute_signal(
                _instruction(message, name, action, group_name=message.group_name, **more), seconds
            )
    else:
        _close(message, _meant_positions(message, account), until)
    if message.is_requested:
        _cancel(message, account, "cancel-rest", seconds, entries_only=False)
    log.info("account flattened", extra={"account_id": account.account_id, "user_id": account.user_id})


def _cancel(message: Flatten, account: Account, what: str, seconds: float, *, entries_only: bool) -> None:
    """Cancels the open orders that the message concerns."""
    code = "halted" if message.entries_only else None
    given = {"group_name": message.group_name, "entries_only": entries_only, "cancel_code": code}
    for symbol in _symbols(message, account):
        names = {"symbol": symbol, "market_type": message.market_type} if symbol else {}
        name = f"{what}#{symbol.name}" if symbol else what
        execute_signal(_instruction(message, name, Action.CANCEL_ALL, **given, **names), seconds)


def _symbols(message: Flatten, account: Account) -> list[Symbol | None]:
    """Returns the symbols whose orders are cancelled. None stands for all."""
    if message.symbol is None:
        return [None]
    if account.has_exchange:
        return [_with_quote(message.symbol, account)]
    held = [symbol for symbol, _ in _meant_positions(message, account)]
    return list({symbol.name: symbol for symbol in (message.symbol, *held)}.values())


def _with_quote(symbol: Symbol, account: Account) -> Symbol:
    """Returns the symbol as an exchange lists it: an asset in the account's currency."""
    return symbol if symbol.quote else symbol.model_copy(update={"quote": account.currency})


def _close(
    message: Flatten, what: Sequence[tuple[Symbol, MarketType]], until: float, round_: str = ""
) -> None:
    """Closes instruments one after the other, each with its share of the time.

    An instrument that has to wait does not block the others.
    """
    failed: Retryable | None = None
    for index, (symbol, market_type) in enumerate(what):
        name = f"{market_type.value}#{symbol.name}{round_}"
        share = (until - time.monotonic()) / (len(what) - index)
        try:
            execute_signal(
                _instruction(message, name, Action.CLOSE, symbol=symbol, market_type=market_type), share
            )
        except Retryable as fault:
            failed = fault
    if failed:
        raise failed


def _close_at_exchange(message: Flatten, account: Account, until: float) -> list[dict[str, Any]]:
    """Closes the futures positions, in rounds while time is left.

    A holding is sold only if a user named its symbol and the spot market.

    Returns the positions left open, in the format of the halt.
    """
    if message.symbol is not None and message.market_type is MarketType.SPOT:
        symbol = _with_quote(message.symbol, account)
        # STOP cancels the symbol's other orders first: they would lock the holding.
        selling = {"symbol": symbol, "market_type": MarketType.SPOT}
        execute_signal(
            _instruction(message, f"spot#{symbol.name}", Action.STOP, **selling), until - time.monotonic()
        )
        return []
    if MarketType.FUTURES not in account.market_types:
        return []
    try:
        session = Connections(account, Patience(until - time.monotonic())).of(MarketType.FUTURES)
        for number in range(_ROUNDS):
            standing = [each for each in session.open_positions() if _is_meant(message, each.instrument_name)]
            if not standing or (number and until - time.monotonic() < _ROUND_S):
                break
            # A close without a position side closes each position of its instrument.
            instruments = [
                session.instrument(name) for name in dict.fromkeys(each.instrument_name for each in standing)
            ]
            symbols = [Symbol(raw=each.name, base=each.base, quote=each.quote) for each in instruments]
            _close(
                message,
                [(each, MarketType.FUTURES) for each in symbols],
                until,
                f"#{number + 1}" if number else "",
            )
        else:
            standing = [each for each in session.open_positions() if _is_meant(message, each.instrument_name)]
    except Refused as refused:
        log.error("account flattening failed", extra={"account_id": account.account_id, "code": refused.code})
        return [{"account_id": account.account_id, "code": refused.code}]
    return [_left_open_row(account, each) for each in standing]


def _note(message: Flatten, account: Account, left_open: list[dict[str, Any]]) -> None:
    if message.halt is not None:
        about = Switch(
            Scope(message.halt["scope"] or ""),
            message.halt["id"],
            message.halt["owner"],
            message.halt["name"],
        )
        halts.note_left_open(about, account.account_id, left_open)


def _left_open_row(account: Account, position: Position) -> dict[str, Any]:
    side = "short" if position.quantity < 0 else "long"
    names = {"account_id": account.account_id, "symbol": position.instrument_name, "side": side}
    return names | {"quantity": Decimal(text(abs(position.quantity))), "margin_mode": position.margin_mode}


def _is_meant(message: Flatten, symbol: str) -> bool:
    """Returns whether a futures position of this symbol is closed."""
    if message.symbol is not None and symbol != message.symbol.name:
        return False
    return not message.symbols or symbol in message.symbols


def _meant_positions(message: Flatten, account: Account) -> list[tuple[Symbol, MarketType]]:
    """Returns the symbols and markets to close on a simulated account."""
    wanted = message.symbol
    found: list[tuple[Symbol, MarketType]] = []
    for symbol, market_type in _simulated_positions(account):
        if message.market_type not in (None, market_type):
            continue
        if wanted is not None and market_type is MarketType.SPOT:
            if symbol.base == wanted.base:
                found.append((wanted if wanted.quote else symbol, market_type))
        elif _is_meant(message, symbol.name):
            found.append((symbol, market_type))
    return found


def _cancels_entries(message: Flatten) -> bool:
    """Returns whether trading is still halted and no rule keeps resting orders."""
    active_rules = risk_state.switches(message.user_id, message.account_id, message.group_name)
    risk = risk_state.RiskState(active_rules, aws.get_many(risk_state.item_keys(active_rules)))
    return risk.halted and not risk.keeps_resting


def _strategy_closes(message: Flatten, account: Account) -> list[tuple[str, Action, dict[str, Any]]]:
    """Returns orders that close the strategy's share of a simulated account: name, action, further fields."""
    book, found = paper_store.read_book(account), []
    for symbol, market_type in _simulated_positions(account):
        held = (
            book.positions[symbol.name] if market_type is MarketType.FUTURES else book.holdings[symbol.base]
        )
        quantity = held.owned.get(message.group_name or "")
        if quantity:
            side = Action.SELL if held.quantity > 0 else Action.BUY
            sizing = {"symbol": symbol, "market_type": market_type, "quantity": quantity, "reduce_only": True}
            found.append((f"{market_type.value}#{symbol.name}", side, sizing))
    return found


def _instruction(message: Flatten, what: str, action: Action, **more: Any) -> Instruction:
    return Instruction.model_validate(
        {
            "signal_id": event_id("flatten", message.flatten_id, what),
            "user_id": message.user_id,
            "account_id": message.account_id,
            "exchange": message.exchange,
            "variant": "close" if message.is_requested else _VARIANT,
            "unconditional": message.is_requested,
            "action": action,
            "received_at": message.at,
            "max_age_s": 0,
            "single_account": False,
            "simulated": message.exchange == "paper",
            **more,
        }
    )


def _simulated_positions(account: Account) -> Iterator[tuple[Symbol, MarketType]]:
    """Yields the symbols and markets that a simulated account holds."""
    book = paper_store.read_book(account)
    for name, position in book.positions.items():
        if position.quantity:
            yield (
                Symbol(raw=name, base=name.removesuffix(position.quote), quote=position.quote),
                MarketType.FUTURES,
            )
    held = [asset for asset, holding in book.holdings.items() if holding.quantity]
    quotes = [
        None,
        account.currency,
        *(sorted(DOLLARS - {account.currency}) if account.currency in DOLLARS else []),
    ]
    known_prices = prices.latest(
        [f"{asset}{quote or ''}" for asset in held for quote in quotes], account.user_id
    )
    for asset in held:
        # A stock is named by its ticker, a coin by its ticker and quote currency.
        quote = next((each for each in quotes if f"{asset}{each or ''}" in known_prices), None)
        yield Symbol(raw=asset, base=asset, quote=quote), MarketType.SPOT
