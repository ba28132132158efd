"""All event types, each with the JSON Schema (2020-12) of its payload and an example.

Money, prices and quantities are strings, times are ISO 8601 in UTC. A schema names the fields of a payload.
Later versions may add fields, so no schema forbids others.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.trading import Frozen

_TEXT: dict[str, Any] = {"type": "string"}
_DECIMAL: dict[str, Any] = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
_INTEGER: dict[str, Any] = {"type": "integer"}
_FLAG: dict[str, Any] = {"type": "boolean"}


class EventType(Frozen):
    """One event type."""

    name: str
    description: str
    fields: Mapping[str, Any]
    example: Mapping[str, Any]

    @property
    def json_schema(self) -> dict[str, Any]:
        """Returns the JSON Schema of the payload."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.description,
            "type": "object",
            "properties": dict(self.fields),
            "required": sorted(self.fields),
        }


def type_matches(pattern: str, event_type: str) -> bool:
    """Returns whether a pattern matches a type.

    `order.*` matches every type below `order`, `*` every type, anything else only itself.
    """
    return pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))


def find(name: str) -> EventType | None:
    """Returns the event type of a name, or None if there is none."""
    return next((event_type for event_type in EVENT_TYPES if event_type.name == name), None)


def is_known(pattern: str) -> bool:
    """Returns whether a type or wildcard matches at least one type."""
    return any(type_matches(pattern, event_type.name) for event_type in EVENT_TYPES)


def _optional(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": [schema["type"], "null"]}


def _identifier() -> dict[str, Any]:
    return {"type": ["string", "integer"]}


def _order(name: str, description: str, filled: str, price: str | None) -> EventType:
    fields = {
        "order_id": _TEXT,
        "version": _INTEGER,
        "signal_id": _TEXT,
        "account_id": _TEXT,
        "number": _INTEGER,
        "exchange": _TEXT,
        "market_type": _TEXT,
        "symbol": _TEXT,
        "side": {"enum": ["buy", "sell"]},
        "order_type": {"enum": ["market", "limit", "stop_limit", "stop_market"]},
        "status": {"const": "open" if name == "opened" else name},
        "quantity": _DECIMAL,
        "filled": _DECIMAL,
        "price": _optional(_DECIMAL),
        "stop_price": _optional(_DECIMAL),
        "average_price": _optional(_DECIMAL),
        "value": _optional(_DECIMAL),
        "fee": _optional(_DECIMAL),
        "fee_currency": _optional(_TEXT),
        "realized_profit": _optional(_DECIMAL),
        "group_name": _optional(_TEXT),
        "code": _optional(_TEXT),
        "values": {"type": "object"},
    }
    example = {
        "order_id": "43fcbd06b8e14977b6b55529ab4cc10c-7-1",
        "version": 1,
        "signal_id": "43fcbd06b8e14977b6b55529ab4cc10c",
        "account_id": "7",
        "number": 1,
        "exchange": "binance",
        "market_type": "spot",
        "symbol": "BTC/USDT",
        "side": "buy",
        "order_type": "market",
        "status": "open" if name == "opened" else name,
        "quantity": "0.0015",
        "filled": filled,
        "price": None,
        "stop_price": None,
        "average_price": price,
        "value": "97.50" if price else None,
        "fee": "0.0975" if price else None,
        "fee_currency": "USDT" if price else None,
        "realized_profit": "-0.0975" if price else None,
        "group_name": None,
        "code": "exchange_refused" if name == "rejected" else None,
        "values": {"exchange": "binance", "exchange_code": "-4140", "reason": "Invalid symbol status."}
        if name == "rejected"
        else {},
    }
    return EventType(name=f"order.{name}", description=description, fields=fields, example=example)


def _changed_schema(
    record: str,
    what: str,
    description: str,
    fields: Mapping[str, Any],
    example: Mapping[str, Any],
    changed: Mapping[str, Any],
) -> EventType:
    """Returns the schema of a changed record: its identity, and the changed fields with their new values."""
    return EventType(
        name=f"{record}.{what}", description=description, fields=fields, example={**example, **changed}
    )


_TICKET = {"ticket_id": _identifier(), "user_id": _identifier(), "title": _TEXT, "status": _TEXT}
_TICKET_EXAMPLE = {"ticket_id": 17, "user_id": 123, "title": "Withdrawal is missing", "status": "open"}
_SWITCH = {"scope": _TEXT, "user_id": {"type": ["string", "integer", "null"]}}
_SWITCH_EXAMPLE = {"scope": "user", "user_id": 123}
_USER = {"user_id": _identifier()}
_USER_EXAMPLE = {"user_id": 123}
_USER_CHANGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("updated", "A user's profile has been changed", {"first_name": "Test"}),
    ("activated", "A user may trade and sign in again", {"is_active": True}),
    ("deactivated", "A user may neither trade nor sign in", {"is_active": False}),
    ("settings_updated", "A user's settings have been changed", {"leverage": 10}),
)
_TOKEN = {
    "user_id": _identifier(),
    "token_id": _TEXT,
    "kind": {"enum": ["webhook", "api"]},
    "name": _optional(_TEXT),
}
_TOKEN_EXAMPLE = {"user_id": 123, "token_id": "8cebc8a7922c43f3", "kind": "webhook", "name": "TradingView"}
_TOKEN_CHANGES = (
    ("created", "A token has been made"),
    ("rotated", "A token has been replaced by a new one"),
    ("revoked", "A token is no longer good"),
)
_ACCOUNT = {"account_id": _TEXT, "user_id": _identifier(), "name": _TEXT, "exchange": _TEXT, "kind": _TEXT}
_ACCOUNT_EXAMPLE = {
    "account_id": "7",
    "user_id": 123,
    "name": "Main Account",
    "exchange": "binance",
    "kind": "demo",
}
_ACCOUNT_CHANGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("created", "An account has been made", {"is_active": True}),
    ("updated", "An account has been changed", {"is_active": False}),
    ("reset", "A simulated account starts anew", {"cash": "100000"}),
    ("deleted", "An account has been deleted", {}),
    (
        "key_failed",
        "The exchange says that an account's key may not trade any more, or that it may withdraw",
        {"code": "exchange_key_rejected"},
    ),
)
_STRATEGY = {"strategy_id": _identifier(), "user_id": _identifier(), "group_name": _TEXT}
_STRATEGY_EXAMPLE = {"strategy_id": 1, "user_id": 123, "group_name": "strategy-a"}
_STRATEGY_CHANGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("created", "A strategy has been made", {"is_active": True}),
    ("updated", "A strategy has been changed", {"is_active": False}),
    ("accounts_changed", "Other accounts take part in a strategy", {"accounts": 3}),
    ("deleted", "A strategy has been deleted", {}),
)
_WEBHOOK = {"webhook_id": _INTEGER, "name": _TEXT}
_WEBHOOK_EXAMPLE = {"webhook_id": 1, "name": "My Webhook"}

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(
        name="user.created",
        description="A user was created",
        fields={
            "user_id": _identifier(),
            "telegram_id": _optional(_INTEGER),
            "username": _optional(_TEXT),
            "first_name": _optional(_TEXT),
            "last_name": _optional(_TEXT),
            "referral_code": _optional(_TEXT),
            "referred_by_id": {"type": ["string", "integer", "null"]},
        },
        example={
            "user_id": 123,
            "telegram_id": 456789,
            "username": "testuser",
            "first_name": "Test",
            "last_name": "User",
            "referral_code": "refABC123",
            "referred_by_id": None,
        },
    ),
    EventType(
        name="payment.completed",
        description="A payment has been completed: a balance has been topped up",
        fields={
            "payment_id": _identifier(),
            "user_id": _identifier(),
            "transaction_id": _identifier(),
            "amount": _DECIMAL,
            "currency": _TEXT,
        },
        example={
            "payment_id": 9,
            "user_id": 123,
            "transaction_id": 31,
            "amount": "50.00",
            "currency": "USDT",
        },
    ),
    EventType(
        name="transaction.created",
        description="A balance transaction has been made",
        fields={
            "transaction_id": _identifier(),
            "user_id": _identifier(),
            "type": _TEXT,
            "amount": _DECIMAL,
            "currency": _TEXT,
        },
        example={
            "transaction_id": 31,
            "user_id": 123,
            "type": "deposit",
            "amount": "50.00",
            "currency": "USDT",
        },
    ),
    EventType(
        name="ticket.created", description="A ticket was opened", fields=_TICKET, example=_TICKET_EXAMPLE
    ),
    EventType(
        name="ticket.status_changed",
        description="The status of a ticket changed",
        fields={**_TICKET, "old_status": _TEXT, "new_status": _TEXT},
        example=_TICKET_EXAMPLE | {"status": "closed", "old_status": "open", "new_status": "closed"},
    ),
    EventType(
        name="ticket.message_added",
        description="A ticket has a new message from its user or an administrator",
        fields={
            "ticket_id": _identifier(),
            "message_id": _identifier(),
            "user_id": _identifier(),
            "author_id": _identifier(),
            "title": _TEXT,
            "is_from_admin": _FLAG,
            "message": _TEXT,
        },
        example={
            "ticket_id": 17,
            "message_id": 4,
            "user_id": 123,
            "author_id": 2,
            "title": "Withdrawal is missing",
            "is_from_admin": True,
            "message": "It is on its way.",
        },
    ),
    EventType(
        name="signal.accepted",
        description="A signal was accepted and stored",
        fields={
            "signal_id": _TEXT,
            "variant": {"enum": ["legacy", "personal", "xc", "group", "paper", "manual"]},
            "action": _TEXT,
            "symbol": _optional(_TEXT),
            "group_name": _optional(_TEXT),
            "accounts": _INTEGER,
        },
        example={
            "signal_id": "43fcbd06b8e14977b6b55529ab4cc10c",
            "variant": "group",
            "action": "buy",
            "symbol": "BTCUSDT",
            "group_name": "strategy-a",
            "accounts": 3,
        },
    ),
    EventType(
        name="signal.refused",
        description=(
            "A signal was refused: by its webhook, named in `webhook`, or on an account, wholly or in part"
        ),
        fields={
            "signal_id": _optional(_TEXT),
            "request_id": _optional(_TEXT),
            "webhook": _optional(_TEXT),
            "account_id": _optional(_TEXT),
            "account_name": _optional(_TEXT),
            "exchange": _optional(_TEXT),
            "symbol": _optional(_TEXT),
            "action": _optional(_TEXT),
            "code": _TEXT,
            "status": _INTEGER,
            "field": _optional(_TEXT),
            "count": _INTEGER,
            "refused": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"code": _TEXT, "values": {"type": "object"}},
                    "required": ["code", "values"],
                },
            },
        },
        example={
            "signal_id": None,
            "request_id": "43fcbd06b8e14977b6b55529ab4cc10c",
            "webhook": "/personal/{user_id}/webhook",
            "account_id": None,
            "account_name": None,
            "exchange": None,
            "symbol": "BTCUSDT",
            "action": "ENTER_LONG",
            "code": "invalid_choice",
            "status": 400,
            "field": "action",
            "count": 1,
            "refused": [
                {
                    "leg": None,
                    "code": "invalid_choice",
                    "values": {"field": "action", "allowed": "buy, sell, long, short, close"},
                }
            ],
        },
    ),
    EventType(
        name="signal.repeated",
        description=(
            "A signal was not executed, because its key was used long before: the key is probably not unique"
        ),
        fields={
            "signal_id": _TEXT,
            "request_id": _TEXT,
            "webhook": _TEXT,
            "symbol": _optional(_TEXT),
            "action": _optional(_TEXT),
            "first_received_at": _TEXT,
            "count": _INTEGER,
        },
        example={
            "signal_id": "43fcbd06b8e14977b6b55529ab4cc10c",
            "request_id": "b1946ac92492d2347c6235b4d2611184",
            "webhook": "/personal/{user_id}/webhook",
            "symbol": "BTCUSDT",
            "action": "buy",
            "first_received_at": "2026-01-02T03:04:05+00:00",
            "count": 1,
        },
    ),
    EventType(
        name="signal.missed",
        description=(
            "A signal's previous position does not follow from the signals received: an earlier one was lost"
        ),
        fields={
            "signal_id": _TEXT,
            "symbol": _TEXT,
            "group_name": _optional(_TEXT),
            "market_position": _optional(_TEXT),
            "known_position": _TEXT,
            "prev_market_position": _TEXT,
            "last_signal_id": _TEXT,
            "last_received_at": _TEXT,
        },
        example={
            "signal_id": "43fcbd06b8e14977b6b55529ab4cc10c",
            "symbol": "BTCUSDT",
            "group_name": "strategy-a",
            "market_position": "flat",
            "known_position": "flat",
            "prev_market_position": "long",
            "last_signal_id": "05c6a1e897a25a102a2941938e880bc8",
            "last_received_at": "2026-03-02T12:00:00+00:00",
        },
    ),
    _order("opened", "An order is on the book", "0", None),
    _order("partially_filled", "An order has been filled in part", "0.0005", "65000.1"),
    _order("filled", "An order has been filled", "0.0015", "65000.1"),
    _order("cancelled", "An order has been cancelled", "0", None),
    _order("rejected", "An order has been refused by the exchange", "0", None),
    _order("unknown", "What became of an order is being looked up", "0", None),
    EventType(
        name="order.protection_failed",
        description="A position has no take-profit or stop-loss, because its protective order failed",
        fields={
            "order_id": _TEXT,
            "version": _INTEGER,
            "signal_id": _TEXT,
            "account_id": _TEXT,
            "exchange": _TEXT,
            "symbol": _TEXT,
            "side": {"enum": ["buy", "sell"]},
            "filled": _DECIMAL,
            "missing": {"enum": ["stop_loss", "take_profit"]},
            "code": _TEXT,
            "values": {"type": "object"},
            "again": {"type": "boolean"},
        },
        example={
            "order_id": "sig_01JH-acc_7-0",
            "version": 3,
            "signal_id": "43fcbd06b8e14977b6b55529ab4cc10c",
            "account_id": "7",
            "exchange": "binance",
            "symbol": "BTCUSDT",
            "side": "buy",
            "filled": "0.0015",
            "missing": "stop_loss",
            "code": "exchange_refused",
            "values": {
                "exchange": "binance",
                "exchange_code": "-4045",
                "reason": "Reach max stop order limit.",
            },
            "again": True,
        },
    ),
    EventType(
        name="position.changed",
        description=(
            "A position changed. On a simulated account also a holding. "
            "Of an account with keys, published after the next reconciliation"
        ),
        fields={
            "account_id": _TEXT,
            "version": _INTEGER,
            "exchange": _TEXT,
            "market_type": {"enum": ["spot", "futures"]},
            "symbol": _TEXT,
            "position_side": _optional(_TEXT),
            "quantity": _DECIMAL,
            "average_price": _optional(_DECIMAL),
        },
        example={
            "account_id": "7",
            "version": 12,
            "exchange": "binance",
            "market_type": "futures",
            "symbol": "BTCUSDT",
            "position_side": None,
            "quantity": "0.0015",
            "average_price": "65000.1",
        },
    ),
    EventType(
        name="trade.closed",
        description="A round trip has ended: a position of a strategy on an account is closed",
        fields={
            "trade_id": _TEXT,
            "version": _INTEGER,
            "account_id": _TEXT,
            "exchange": _TEXT,
            "market_type": {"enum": ["spot", "futures"]},
            "symbol": _TEXT,
            "strategy": _optional(_TEXT),
            "side": {"enum": ["long", "short"]},
            "quantity": _DECIMAL,
            "entry_price": _DECIMAL,
            "exit_price": _DECIMAL,
            "fees": _DECIMAL,
            "other_fees": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"currency": _TEXT, "amount": _optional(_DECIMAL)},
                    "required": ["currency", "amount"],
                },
            },
            "gross_profit": _DECIMAL,
            "net_profit": _DECIMAL,
            "currency": _TEXT,
            "slippage_bps": _optional(_DECIMAL),
            "order_id": _TEXT,
            "opened_at": _optional(_TEXT),
            "closed_at": _TEXT,
        },
        example={
            "trade_id": "5c7e9a3f0d1b48c2a6e4f8901b2c3d4e",
            "version": 1,
            "account_id": "7",
            "exchange": "binance",
            "market_type": "futures",
            "symbol": "BTCUSDT",
            "strategy": "strategy-a",
            "side": "long",
            "quantity": "0.0015",
            "entry_price": "65000.1",
            "exit_price": "66000",
            "fees": "0.0983",
            "other_fees": [],
            "gross_profit": "1.49985",
            "net_profit": "1.40155",
            "currency": "USDT",
            "slippage_bps": "1.5",
            "order_id": "43fcbd06b8e14977b6b55529ab4cc10c-7-close",
            "opened_at": "2026-01-22T15:30:00.000000+00:00",
            "closed_at": "2026-01-22T18:00:00.000000+00:00",
        },
    ),
    EventType(
        name="account.drifted",
        description=(
            "The position at the exchange differs from the one that the account's orders add up to, "
            "for example after manual trading"
        ),
        fields={
            "account_id": _TEXT,
            "account_name": _TEXT,
            "exchange": _TEXT,
            "market_type": _TEXT,
            "differences": {"type": "array", "items": {"type": "object"}},
        },
        example={
            "account_id": "7",
            "account_name": "Main Account",
            "exchange": "binance",
            "market_type": "futures",
            "differences": [{"symbol": "BTCUSDT", "books": "0.01", "exchange": "0"}],
        },
    ),
    EventType(
        name="account.halted",
        description="Trading on an account was halted",
        fields={"account_id": _TEXT, "reason": _TEXT},
        example={"account_id": "7", "reason": "daily_loss"},
    ),
    EventType(
        name="account.resumed",
        description="Trading on an account resumed",
        fields={"account_id": _TEXT, "reason": _TEXT},
        example={"account_id": "7", "reason": ""},
    ),
    EventType(
        name="trading.halted",
        description="Trading of a user, of a strategy or of all users was halted",
        fields=_SWITCH | {"reason": _TEXT},
        example=_SWITCH_EXAMPLE | {"reason": "holiday"},
    ),
    EventType(
        name="trading.resumed",
        description="Trading resumed",
        fields=_SWITCH | {"reason": _TEXT},
        example=_SWITCH_EXAMPLE | {"reason": ""},
    ),
    EventType(
        name="trading.rules_changed",
        description="Risk rules changed",
        fields=_SWITCH | {"rules": {"type": "object"}},
        example=_SWITCH_EXAMPLE | {"id": 123, "rules": {"max_open_positions": 10}},
    ),
    *(
        _changed_schema("user", what, description, _USER, _USER_EXAMPLE, example)
        for what, description, example in _USER_CHANGES
    ),
    *(
        _changed_schema("token", what, description, _TOKEN, _TOKEN_EXAMPLE, {})
        for what, description in _TOKEN_CHANGES
    ),
    *(
        _changed_schema("account", what, description, _ACCOUNT, _ACCOUNT_EXAMPLE, example)
        for what, description, example in _ACCOUNT_CHANGES
    ),
    *(
        _changed_schema("strategy", what, description, _STRATEGY, _STRATEGY_EXAMPLE, example)
        for what, description, example in _STRATEGY_CHANGES
    ),
    EventType(
        name="webhook.disabled",
        description=(
            "An endpoint was disabled: it answered 410 (gone), failed for five days (failing), "
            "or its owner may no longer read what it sends (not_entitled)"
        ),
        fields=_WEBHOOK | {"reason": {"enum": ["gone", "failing", "not_entitled"]}},
        example=_WEBHOOK_EXAMPLE | {"reason": "failing"},
    ),
    EventType(
        name="webhook.created",
        description="A subscription to the events of all users was created. Only admins get this event",
        fields=_WEBHOOK | {"scope": {"const": "admin"}, "owner": _TEXT},
        example=_WEBHOOK_EXAMPLE | {"scope": "admin", "owner": "1"},
    ),
    EventType(
        name="webhook.enabled",
        description="A disabled endpoint is active again",
        fields=_WEBHOOK,
        example=_WEBHOOK_EXAMPLE,
    ),
    EventType(
        name="webhook.delivery_dead",
        description=(
            "A delivery was given up: its retries are over although the endpoint has taken others. "
            "It can be replayed"
        ),
        fields=_WEBHOOK
        | {
            "delivery_id": _TEXT,
            "event_id": _TEXT,
            "event_type": _TEXT,
            "attempts": _INTEGER,
            "response_status": _optional(_INTEGER),
            "error": _optional(_TEXT),
        },
        example=_WEBHOOK_EXAMPLE
        | {
            "delivery_id": "msg_2c26b46b68ffc68ff99b453c1d304134",
            "event_id": "00a1e897a25a102a2941938e880bc829",
            "event_type": "order.filled",
            "attempts": 10,
            "response_status": 400,
            "error": "http_400",
        },
    ),
    EventType(
        name="webhook.test",
        description="Sent on request to test an endpoint",
        fields={"message": _TEXT},
        example={"message": "This is a test from tradehook."},
    ),
)
