"""The types of events there are, each with the JSON Schema (2020-12) of its payload and an example.

Money, prices and quantities are strings, times ISO 8601 in UTC. A schema names what a payload holds; more fields may be added to a
payload in time, so none forbids others.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.webhooks.match import type_matches
from chalicelib.webhooks.models import Frozen

_TEXT: dict[str, Any] = {"type": "string"}
_DECIMAL: dict[str, Any] = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
_INTEGER: dict[str, Any] = {"type": "integer"}
_FLAG: dict[str, Any] = {"type": "boolean"}


class EventType(Frozen):
    """One type of event."""

    name: str
    description: str
    fields: Mapping[str, Any]
    example: Mapping[str, Any]

    @property
    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the payload."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.description,
            "type": "object",
            "properties": dict(self.fields),
            "required": sorted(self.fields),
        }


def find(name: str) -> EventType | None:
    """A type by its name."""
    return next((event_type for event_type in EVENT_TYPES if event_type.name == name), None)


def known(pattern: str) -> bool:
    """Whether a type or wildcard takes anything there is."""
    return any(type_matches(pattern, event_type.name) for event_type in EVENT_TYPES)


def _optional(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": [schema["type"], "null"]}


def _identifier() -> dict[str, Any]:
    return {"type": ["string", "integer"]}


def _order(status: str, description: str, filled: str, price: str | None) -> EventType:
    fields = {
        "order_id": _TEXT,
        "signal_id": _TEXT,
        "account_id": _TEXT,
        "number": _INTEGER,
        "exchange": _TEXT,
        "symbol": _TEXT,
        "side": {"enum": ["buy", "sell"]},
        "order_type": {"enum": ["market", "limit", "stop_limit", "stop_market"]},
        "status": {"const": status},
        "quantity": _DECIMAL,
        "filled": _DECIMAL,
        "average_price": _optional(_DECIMAL),
        "value": _optional(_DECIMAL),
        "fee": _optional(_DECIMAL),
        "fee_currency": _optional(_TEXT),
    }
    example = {
        "order_id": "sig_01JH-acc_7-1",
        "signal_id": "sig_01JH",
        "account_id": "acc_7",
        "number": 1,
        "exchange": "binance",
        "symbol": "BTC/USDT",
        "side": "buy",
        "order_type": "market",
        "status": status,
        "quantity": "0.0015",
        "filled": filled,
        "average_price": price,
        "value": "97.50" if price else None,
        "fee": "0.0975" if price else None,
        "fee_currency": "USDT" if price else None,
    }
    return EventType(name=f"order.{status}", description=description, fields=fields, example=example)


_TICKET = {"ticket_id": _identifier(), "user_id": _identifier(), "title": _TEXT, "status": _TEXT}
_TICKET_EXAMPLE = {"ticket_id": 17, "user_id": 123, "title": "Withdrawal is missing", "status": "open"}
_WEBHOOK = {"webhook_id": _INTEGER, "name": _TEXT}
_WEBHOOK_EXAMPLE = {"webhook_id": 1, "name": "My Webhook"}

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(
        name="user.created",
        description="A user has been created",
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
        example={"payment_id": 9, "user_id": 123, "transaction_id": 31, "amount": "50.00", "currency": "USDT"},
    ),
    EventType(
        name="transaction.created",
        description="A balance transaction has been made",
        fields={"transaction_id": _identifier(), "user_id": _identifier(), "type": _TEXT, "amount": _DECIMAL, "currency": _TEXT},
        example={"transaction_id": 31, "user_id": 123, "type": "deposit", "amount": "50.00", "currency": "USDT"},
    ),
    EventType(name="ticket.created", description="A ticket has been opened", fields=_TICKET, example=_TICKET_EXAMPLE),
    EventType(
        name="ticket.status_changed",
        description="A ticket has another status",
        fields={"ticket_id": _identifier(), "user_id": _identifier(), "old_status": _TEXT, "new_status": _TEXT},
        example={"ticket_id": 17, "user_id": 123, "old_status": "open", "new_status": "closed"},
    ),
    EventType(
        name="ticket.message_added",
        description="A ticket has a new message, from its user or from an administrator",
        fields={
            "ticket_id": _identifier(),
            "message_id": _identifier(),
            "user_id": _identifier(),
            "is_from_admin": _FLAG,
            "message": _TEXT,
        },
        example={"ticket_id": 17, "message_id": 4, "user_id": 123, "is_from_admin": True, "message": "It is on its way."},
    ),
    EventType(
        name="signal.accepted",
        description="A signal has been accepted and stored",
        fields={
            "signal_id": _TEXT,
            "variant": {"enum": ["legacy", "personal", "xc", "group", "paper", "manual"]},
            "action": _TEXT,
            "symbol": _optional(_TEXT),
            "group_name": _optional(_TEXT),
            "accounts": _INTEGER,
        },
        example={
            "signal_id": "sig_01JH",
            "variant": "group",
            "action": "buy",
            "symbol": "BTCUSDT",
            "group_name": "strategy-a",
            "accounts": 3,
        },
    ),
    EventType(
        name="signal.refused",
        description="A signal could not be carried out on an account",
        fields={
            "signal_id": _TEXT,
            "account_id": _TEXT,
            "exchange": _TEXT,
            "symbol": _optional(_TEXT),
            "action": _TEXT,
            "code": _TEXT,
            "values": {"type": "object", "additionalProperties": _TEXT},
        },
        example={
            "signal_id": "sig_01JH",
            "account_id": "acc_7",
            "exchange": "binance",
            "symbol": "BTCUSDT",
            "action": "buy",
            "code": "insufficient_funds",
            "values": {"needed": "18577.56", "available": "10000"},
        },
    ),
    EventType(
        name="signal.missed",
        description="An alert says that the position was another than the alert before it left: one between them never arrived",
        fields={
            "signal_id": _TEXT,
            "symbol": _TEXT,
            "group_name": _optional(_TEXT),
            "market_position": _TEXT,
            "prev_market_position": _TEXT,
            "known_position": _TEXT,
            "last_signal_id": _TEXT,
            "last_received_at": _TEXT,
        },
        example={
            "signal_id": "sig_01JH",
            "symbol": "BTCUSDT",
            "group_name": "strategy-a",
            "market_position": "long",
            "prev_market_position": "flat",
            "known_position": "short",
            "last_signal_id": "sig_01JG",
            "last_received_at": "2026-01-22T15:30:00+00:00",
        },
    ),
    _order("opened", "An order is on the book", "0", None),
    _order("partially_filled", "An order has been filled in part", "0.0005", "65000.1"),
    _order("filled", "An order has been filled", "0.0015", "65000.1"),
    _order("cancelled", "An order has been cancelled", "0", None),
    _order("rejected", "An order has been refused by the exchange", "0", None),
    _order("unknown", "What became of an order is being looked up", "0", None),
    EventType(
        name="account.drifted",
        description="Futures positions changed although none of the account's orders traded",
        fields={
            "account_id": _TEXT,
            "account_name": _TEXT,
            "exchange": _TEXT,
            "market_type": {"const": "futures"},
            "differences": {"type": "array"},
        },
        example={
            "account_id": "acc_7",
            "account_name": "Main",
            "exchange": "binance",
            "market_type": "futures",
            "differences": [{"symbol": "BTCUSDT", "books": "0.5", "exchange": "0"}],
        },
    ),
    EventType(
        name="order.protection_failed",
        description="What an order has opened stands without its take-profit or stop-loss",
        fields={
            "order_id": _TEXT,
            "signal_id": _TEXT,
            "account_id": _TEXT,
            "exchange": _TEXT,
            "symbol": _TEXT,
            "side": {"enum": ["buy", "sell"]},
            "filled": _DECIMAL,
            "missing": {"enum": ["stop_loss", "take_profit"]},
            "code": _TEXT,
            "again": {"type": "boolean"},
        },
        example={
            "order_id": "sig_01JH-acc_7-0",
            "signal_id": "sig_01JH",
            "account_id": "acc_7",
            "exchange": "binance",
            "symbol": "BTCUSDT",
            "side": "buy",
            "filled": "0.0015",
            "missing": "stop_loss",
            "code": "exchange_insufficient_funds",
            "again": True,
        },
    ),
    EventType(
        name="position.changed",
        description="A position or a holding has changed",
        fields={"account_id": _TEXT, "exchange": _TEXT, "symbol": _TEXT, "quantity": _DECIMAL, "average_price": _optional(_DECIMAL)},
        example={"account_id": "acc_7", "exchange": "binance", "symbol": "BTC/USDT", "quantity": "0.0015", "average_price": "65000.1"},
    ),
    EventType(
        name="account.halted",
        description="Trading on an account has been halted",
        fields={"account_id": _TEXT, "reason": _TEXT},
        example={"account_id": "acc_7", "reason": "daily_loss"},
    ),
    EventType(
        name="webhook.disabled",
        description="An endpoint has been switched off: it answered 410 (gone), or failed for five days (failing)",
        fields=_WEBHOOK | {"reason": {"enum": ["gone", "failing"]}},
        example=_WEBHOOK_EXAMPLE | {"reason": "failing"},
    ),
    EventType(name="webhook.enabled", description="A switched-off endpoint is back", fields=_WEBHOOK, example=_WEBHOOK_EXAMPLE),
    EventType(
        name="webhook.test",
        description="Sent on request, to try an endpoint",
        fields={"message": _TEXT},
        example={"message": "This is a test from tradehook."},
    ),
)
