"""Closing what is open on an account, or cancelling what would open more, because of a halt.

Simulated accounts close everything. At an exchange futures positions are closed and open orders cancelled; spot holdings stay, because
nobody can tell what of them was bought here and what its owner keeps.
"""

from collections.abc import Iterator
from typing import Any

from chalicelib import aws
from chalicelib.controls import watch
from chalicelib.errors import Refused
from chalicelib.events.models import event_id
from chalicelib.exchanges import paper_store
from chalicelib.exchanges.accounts import Account
from chalicelib.exchanges.limiter import Patience
from chalicelib.exchanges.paper import DOLLARS
from chalicelib.orders import prices
from chalicelib.orders.execute import execute
from chalicelib.orders.keys import Lines
from chalicelib.orders.models import Flatten, Instruction
from chalicelib.telemetry import log
from chalicelib.trading import Action, MarketType, Symbol

_VARIANT = "risk"


def close_all(message: Flatten, seconds: float) -> None:
    """Cancels an account's open orders and closes its positions, each as an execution of its own that is carried out once.

    Raises:
        Retryable: Not everything could be done in the time there is; the next delivery goes on.
    """
    [item] = aws.get_many([("accounts", {"account_id": message.account_id})])
    if item is None or "deleted_at" in item:
        return
    account = Account.model_validate(item)
    if message.entries_only and not _cancels_entries(message):
        return
    cancelling = {"group_name": message.group_name, "entries_only": message.entries_only}
    execute(_instruction(message, "cancel", Action.CANCEL_ALL, **cancelling), seconds)
    if message.entries_only:
        log.info("entries cancelled", extra={"account_id": account.account_id, "user_id": account.user_id})
        return
    if message.group_name and not account.has_exchange:
        for name, action, more in _owned(message, account):
            execute(_instruction(message, name, action, group_name=message.group_name, **more), seconds)
        log.info("strategy flattened", extra={"account_id": account.account_id, "user_id": account.user_id})
        return
    for symbol, market_type in list(_open(account, seconds)):
        if not message.symbols or symbol.name in message.symbols:
            name = f"{market_type.value}#{symbol.name}"
            execute(_instruction(message, name, Action.CLOSE, symbol=symbol, market_type=market_type), seconds)
    log.info("account flattened", extra={"account_id": account.account_id, "user_id": account.user_id})


def _cancels_entries(message: Flatten) -> bool:
    """Whether trading is still halted, and no rule keeps resting orders."""
    governing = watch.switches(message.user_id, message.account_id, message.group_name)
    watched = watch.Watch(governing, aws.get_many(watch.keys(governing)))
    return watched.halted and not watched.keeps_resting


def _owned(message: Flatten, account: Account) -> list[tuple[str, Action, dict[str, Any]]]:
    """Orders that close what the message's strategy owns of a simulated account, as name, action and further fields."""
    book, found = paper_store.read(account), []
    for symbol, market_type in _open(account, 0):
        held = book.positions[symbol.name] if market_type is MarketType.FUTURES else book.holdings[symbol.base]
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
            "variant": _VARIANT,
            "action": action,
            "received_at": message.at,
            "max_age_s": 0,
            "alone": False,
            "simulated": message.exchange == "paper",
            **more,
        }
    )


def _open(account: Account, seconds: float) -> Iterator[tuple[Symbol, MarketType]]:
    """What the account holds that is to be closed."""
    if account.has_exchange:
        yield from _at_the_exchange(account, seconds)
        return
    book = paper_store.read(account)
    for name, position in book.positions.items():
        if position.quantity:
            yield Symbol(raw=name, base=name.removesuffix(position.quote), quote=position.quote), MarketType.FUTURES
    held = [asset for asset, holding in book.holdings.items() if holding.quantity]
    quotes = [None, account.currency, *(sorted(DOLLARS - {account.currency}) if account.currency in DOLLARS else [])]
    known = prices.known([f"{asset}{quote or ''}" for asset in held for quote in quotes], account.user_id)
    for asset in held:
        # A share goes by its own name, a coin by its name and what it is priced in.
        quote = next((each for each in quotes if f"{asset}{each or ''}" in known), None)
        yield Symbol(raw=asset, base=asset, quote=quote), MarketType.SPOT


def _at_the_exchange(account: Account, seconds: float) -> Iterator[tuple[Symbol, MarketType]]:
    if MarketType.FUTURES not in account.market_types:
        return
    try:
        line = Lines(account, Patience(seconds)).of(MarketType.FUTURES)
        found = line.positions()
    except Refused as refused:
        log.error("account not flattened", extra={"account_id": account.account_id, "code": refused.code})
        return
    for name, quantity in found.items():
        if quantity:
            instrument = line.instrument(name)
            yield Symbol(raw=name, base=instrument.base, quote=instrument.quote), MarketType.FUTURES
