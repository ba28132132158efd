"""Closes the positions of an account, a strategy or a user because a signed-in user asks."""

from datetime import UTC, datetime
from typing import Any

from chalicelib import aws, inputs, symbols
from chalicelib.audit import record
from chalicelib.errors import NotDoable, Refused
from chalicelib.execution import queue_flatten
from chalicelib.http import Answer, Request, Route
from chalicelib.orders import queue
from chalicelib.portfolio.positions_routes import CloseInput
from chalicelib.risk import halts
from chalicelib.risk.halts import Scope, Switch
from chalicelib.risk.routes import named_switch
from chalicelib.trading import MarketType, Symbol
from chalicelib.users.access import Caller, caller
from chalicelib.users.models import Role, shown_id

_SCOPES = {"account_id": Scope.ACCOUNT, "strategy_id": Scope.STRATEGY, "user_id": Scope.USER}


def close_positions(request: Request) -> Answer:
    """Queues the closing of positions, account by account, and cancels the orders that would open more.

    Exactly one of `account_id`, `strategy_id` and `user_id` says whose. `symbol` narrows an account to one
    symbol, `market_type` to one market of that symbol. `halt` also halts trading first. At an exchange, spot
    holdings stay unless their symbol is given with `market_type: spot`.
    """
    who = caller(request)
    given = inputs.body(request, CloseInput)
    switch = _named(who, given)
    symbol = _symbol(given)
    now = datetime.now(UTC)
    if given.halt:
        admin = who.role is Role.ADMIN
        halts.set_switch(switch, halted=True, by=who.user_id, admin=admin, reason="positions closed")
    return Answer(202, request_close(switch, by=who.user_id, symbol=symbol, given=given, now=now))


def request_close(
    switch: Switch,
    *,
    by: str,
    now: datetime,
    symbol: Symbol | None = None,
    given: CloseInput | None = None,
) -> dict[str, Any]:
    """Writes the audit entry and queues the closing.

    Args:
        by: The actor, a user's id.
        given: The request's body. None closes everything.

    Raises:
        NotDoable: `no_accounts`: the strategy has no account.
    """
    market_type = given.market_type if given else None
    messages = queue_flatten.close_messages(switch, symbol, market_type, now)
    if not messages and switch.scope is Scope.STRATEGY:
        raise NotDoable("no_accounts")
    narrowed = {"symbol": symbol.name if symbol else None, "market_type": market_type}
    change = record.Change(
        by, "positions.close_requested", switch.key["scope"], switch.owner, now, after=narrowed
    )
    aws.write(record.write(change))
    queue.send_messages(messages)
    accounts = [{"account_id": shown_id(each.account_id), "exchange": each.exchange} for each in messages]
    return {"status": "accepted", "accounts": accounts}


def _named(who: Caller, given: CloseInput) -> Switch:
    """Returns whose positions are closed.

    Raises:
        Refused: The body names nobody, or several.
    """
    named = [name for name in _SCOPES if getattr(given, name) is not None]
    if not named:
        raise Refused("missing_field", field=", ".join(_SCOPES))
    if len(named) > 1:
        raise Refused("only_one_of", fields=", ".join(named))
    if given.symbol is not None and named != ["account_id"]:
        raise Refused("missing_field", field="account_id")
    if given.market_type is not None and given.symbol is None:
        raise Refused("missing_field", field="symbol")
    return named_switch(who, _SCOPES[named[0]], getattr(given, named[0]))


def _symbol(given: CloseInput) -> Symbol | None:
    """Returns the symbol to close. On the spot market a holding may be named by its asset, `BTC`."""
    if given.symbol is None:
        return None
    try:
        return symbols.resolve(given.symbol, given.market_type, paper=True)
    except Refused as refused:
        if refused.code != "ambiguous_symbol" or given.market_type is not MarketType.SPOT:
            raise
        return Symbol(raw=given.symbol, base=given.symbol.upper())


CLOSE_POSITIONS = [Route("POST", "/positions/close", close_positions)]
