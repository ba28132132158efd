"""The groups of the OpenAPI document, in the order in which a reader meets them."""

from collections.abc import Mapping

TAGS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "inbound webhooks": (
        "Take signals from TradingView, bots and scripts.",
        ("api", "webhook", "personal", "xc"),
    ),
    "signals": ("Accepted signals, and what became of them.", ("signals",)),
    "incoming requests": ("Every request to a webhook, refused ones too.", ("webhook-logs",)),
    "orders": ("Orders, and orders by hand.", ("orders",)),
    "positions": ("Holdings and futures positions.", ("positions",)),
    "journal": ("Closed trades, and what they earned and cost.", ("trades", "performance")),
    "prices": ("Prices that simulated accounts trade at.", ("prices", "paper")),
    "users": ("Users with settings, tokens and chats.", ("users",)),
    "accounts": ("Paper, demo and live accounts.", ("accounts",)),
    "strategies": ("Strategies, the accounts on them, and their alert messages.", ("strategies",)),
    "risk": ("Halts and risk rules.", ("halt", "risk-rules")),
    "webhooks": ("Outbound webhooks and their deliveries.", ("webhooks",)),
    "events": ("The event log and the types of events.", ("events", "event-types")),
    "realtime": ("WebSocket connections and connect tickets.", ("realtime",)),
    "telegram": ("What Telegram calls.", ("telegram",)),
    "payments": ("Payments and transactions of balances.", ("payments", "transactions")),
    "tickets": ("Support tickets.", ("tickets",)),
    "audit": ("Who changed what, and proof that nobody altered it.", ("audit",)),
    "system": (
        "Health, this document, and the pages for the browser.",
        ("", "dashboard", "docs", "health", "openapi.json"),
    ),
}
"""Each group with its description and the first segments of its paths."""


def tag_of(path: str) -> str:
    """Returns the group of a path.

    Raises:
        LookupError: No group has the path's first segment.
    """
    segment = path.split("/")[1]
    for name, (_, segments) in TAGS.items():
        if segment in segments:
            return name
    raise LookupError(f"{path} belongs to no group of chalicelib/openapi/tags.py")
