"""The keys of the tables behind lists, as `infra/stack.yaml` defines them.

A cursor of such a list holds these attributes only. `tests/unit/test_paging.py` compares both files.
"""

from collections.abc import Mapping

Key = Mapping[str, type]
"""The attributes of a key with their types."""

TABLES: Mapping[str, Key] = {
    "accounts": {"account_id": str},
    "audit": {"audit_id": str},
    "balances": {"user_id": str, "currency": str},
    "connections": {"connection_id": str},
    "credentials": {"token_hash": str},
    "deliveries": {"id": str, "part": str},
    "events": {"stream": str, "sequence": int},
    "orders": {"signal_id": str, "leg": str},
    "payments": {"payment_id": int},
    "prices": {"symbol": str, "scope": str},
    "signals": {"signal_id": str},
    "strategies": {"user_id": str, "group_name": str},
    "tickets": {"ticket_id": int, "message_id": int},
    "trades": {"user_id": str, "closed": str},
    "transactions": {"transaction_id": int},
    "users": {"user_id": str, "part": str},
    "webhook_logs": {"owner": str, "at": str},
}

INDEXES: Mapping[tuple[str, str], Key] = {
    ("accounts", "by_user"): {"user_id": str, "name": str},
    ("audit", "by_user"): {"user_id": str, "at": str},
    ("audit", "trail"): {"trail": str, "at": str},
    ("connections", "by_stream"): {"stream": str, "connected_at": str},
    ("connections", "open"): {"open": str, "connected_at": str},
    ("connections", "prices"): {"prices": str, "connected_at": str},
    ("credentials", "by_maker"): {"made_by": str, "created_at": str},
    ("credentials", "by_user"): {"user_id": str, "created_at": str},
    ("deliveries", "by_webhook"): {"webhook_id": int, "placed": str},
    ("deliveries", "paused"): {"paused_for": int, "placed": str},
    ("deliveries", "due"): {"due_shard": str, "look_at": str},
    ("orders", "by_account"): {"account_id": str, "created_at": str},
    ("orders", "by_user"): {"user_id": str, "created_at": str},
    ("payments", "by_user"): {"user_id": str, "payment_id": int},
    ("payments", "listed"): {"listed": str, "payment_id": int},
    ("prices", "by_scope"): {"scope": str, "symbol": str},
    ("signals", "by_user"): {"user_id": str, "received_at": str},
    ("signals", "unqueued"): {"unqueued": str, "received_at": str},
    ("strategies", "expecting_signals"): {"watched": str, "silent_from": str},
    ("tickets", "by_user"): {"user_id": str, "ticket_id": int},
    ("tickets", "listed"): {"listed": str, "ticket_id": int},
    ("trades", "uncounted"): {"uncounted": str, "closed": str},
    ("transactions", "by_user"): {"user_id": str, "transaction_id": int},
    ("transactions", "listed"): {"listed": str, "transaction_id": int},
    ("users", "listed"): {"listed": str, "created_at": str},
    ("users", "by_referrer"): {"referred_by_id": str, "created_at": str},
}
