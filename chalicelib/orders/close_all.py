"""Closing what is open on an account, because a rule says so.

Simulated accounts close everything. At an exchange futures positions are closed and open orders cancelled; spot holdings stay, because
nobody can tell what of them was bought here and what its owner keeps.
"""

from collections.abc import Iterator

from chalicelib import aws
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
    execute(_instruction(message, "cancel", Action.CANCEL_ALL), seconds)
    for symbol, market_type in list(_open(account, seconds)):
        if not message.symbols or symbol.name in message.symbols:
            name = f"{market_type.value}#{symbol.name}"
            execute(_instruction(message, name, Action.CLOSE, symbol=symbol, market_type=market_type), seconds)
    log.info("account flattened", extra={"account_id": account.account_id, "user_id": account.user_id})


def _instruction(message: Flatten, what: str, action: Action, **more: Symbol | MarketType) -> Instruction:
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
