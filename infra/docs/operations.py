"""`python -m infra.docs.operations`: writes docs/operations.md, every operation with its page and command.

A route without a page or a command needs a reason here. Without one the page is not written.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from chalicelib.openapi import subjects
from tradehook.nouns import VERBS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operations.md"
_SEND = "send"
COMMANDS: Mapping[str, str] = {
    "GET /accounts": "accounts list",
    "POST /accounts": "accounts create",
    "GET /accounts/{account_id}": "accounts show",
    "PATCH /accounts/{account_id}": "accounts update",
    "DELETE /accounts/{account_id}": "accounts delete",
    "POST /accounts/{account_id}/reset": "accounts reset",
    "GET /audit": "audit",
    "GET /audit/verify": "audit verify",
    "GET /halt": "halts",
    "POST /halt": "halt",
    "GET /risk-rules": "rules",
    "PATCH /risk-rules": "rules",
    "GET /strategies": "strategies list",
    "POST /strategies": "strategies create",
    "PATCH /strategies/{strategy_id}": "strategies update",
    "DELETE /strategies/{strategy_id}": "strategies delete",
    "GET /strategies/{strategy_id}/accounts": "strategies accounts",
    "POST /strategies/{strategy_id}/accounts": "strategies add",
    "PATCH /strategies/{strategy_id}/accounts/{account_id}": "strategies change",
    "DELETE /strategies/{strategy_id}/accounts/{account_id}": "strategies remove",
    "GET /strategies/{strategy_id}/alert-message": "strategies alert-message",
    "GET /users": "users list",
    "POST /users": "users create",
    "GET /users/{user_id}": "users show",
    "PATCH /users/{user_id}": "users update",
    "POST /users/{user_id}/activate": "users activate",
    "POST /users/{user_id}/deactivate": "users deactivate",
    "GET /users/{user_id}/referrals": "users referrals",
    "GET /users/{user_id}/settings": "users settings",
    "PATCH /users/{user_id}/settings": "users settings",
    "GET /users/{user_id}/xc-code": "users xc-code",
    "POST /users/{user_id}/xc-code": "users xc-code",
    "GET /users/{user_id}/tokens": "tokens list",
    "POST /users/{user_id}/tokens": "tokens create",
    "DELETE /users/{user_id}/tokens": "tokens revoke-all",
    "DELETE /users/{user_id}/tokens/{token_id}": "tokens revoke",
    "POST /users/{user_id}/tokens/{token_id}/rotate": "tokens rotate",
    "POST /api/webhook": _SEND,
    "POST /webhook": _SEND,
    "POST /personal/{user_id}/webhook": _SEND,
    "POST /xc": _SEND,
} | {verb.operation: f"{verb.noun} {verb.verb}".strip() for verb in VERBS}
"""The command of each operation. Those of the table `VERBS` join by themselves."""

PAGES: Mapping[str, tuple[str, ...]] = {
    "accounts": (
        *("GET /accounts", "POST /accounts"),
        *("PATCH /accounts/{account_id}", "DELETE /accounts/{account_id}"),
    ),
    "builder": ("GET /strategies/{strategy_id}/alert-message",),
    "connections": ("GET /realtime/connections",),
    "equity": ("GET /accounts/{account_id}/equity",),
    "incoming": ("GET /webhook-logs",),
    "orders": ("GET /orders", "DELETE /orders/{order_id}"),
    "performance": ("GET /performance",),
    "positions": ("GET /positions", "POST /positions/close"),
    "send": ("POST /signals/explain",),
    "signals": ("GET /signals",),
    "strategies": (
        *("GET /strategies", "POST /strategies", "GET /strategies/{strategy_id}"),
        *("GET /strategies/{strategy_id}/accounts", "POST /strategies/{strategy_id}/accounts"),
    ),
    "tickets": (
        *("GET /tickets", "POST /tickets", "GET /tickets/{ticket_id}", "PATCH /tickets/{ticket_id}"),
        *("GET /tickets/{ticket_id}/messages", "POST /tickets/{ticket_id}/messages"),
    ),
    "trades": ("GET /trades",),
    "trace": ("GET /signals/{signal_id}",),
    "users": (
        *("GET /users", "POST /users", "GET /users/{user_id}", "GET /users/{user_id}/settings"),
        *("PATCH /users/{user_id}/settings", "POST /users/{user_id}/activate"),
        *("POST /users/{user_id}/deactivate", "GET /users/{user_id}/tokens"),
        *("POST /users/{user_id}/tokens", "DELETE /users/{user_id}/tokens/{token_id}"),
        "POST /users/{user_id}/tokens/{token_id}/rotate",
    ),
    "webhooks": (
        *("GET /webhooks", "POST /webhooks", "GET /webhooks/stats", "GET /webhooks/{webhook_id}"),
        *("GET /webhooks/{webhook_id}/stats", "GET /webhooks/{webhook_id}/deliveries"),
        "GET /webhooks/{webhook_id}/deliveries/{delivery_id}",
        "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
        *("POST /webhooks/{webhook_id}/replay", "POST /webhooks/{webhook_id}/test"),
        *("POST /webhooks/{webhook_id}/pause", "POST /webhooks/{webhook_id}/resume"),
        "POST /webhooks/{webhook_id}/rotate-secret",
    ),
}
"""The dashboard's page of each operation, by the name of its module in `web/pages`."""
EVERYWHERE = {
    "GET /halt": "every page: banner",
    "POST /halt": "every page: *Halt trading*",
    "POST /realtime/tickets": "every page: live events",
    "POST /api/webhook": "*Send a signal*",
    "POST /webhook": "*Send a signal*",
    "POST /personal/{user_id}/webhook": "*Send a signal*",
    "POST /xc": "*Send a signal*",
}
_FILE = "a file for the browser"
_COMMAND = "the command line only, so far"
NO_COMMAND = {
    **dict.fromkeys(("GET /", "GET /dashboard", "GET /docs"), "a page for the browser"),
    **dict.fromkeys(("GET /dashboard/{file}", "GET /dashboard/{file}/{name}"), _FILE),
    "GET /openapi.json": "for programs",
    "POST /api/orders": "the same as `POST /orders`",
    "POST /telegram/webhook": "Telegram calls it",
}
NO_PAGE = {
    **NO_COMMAND,
    "GET /": "leads to the dashboard",
    "GET /dashboard": "the dashboard itself",
    "GET /docs": "the API reference, linked in the menu",
    "GET /openapi.json": "for programs, shown at `/docs`",
    "GET /health": "for monitoring",
    "GET /event-types": "shown at `/docs` by its schema",
    "GET /realtime/events/{sequence}": "the JavaScript client reads it",
    "GET /prices": "positions show the price",
    **dict.fromkeys(
        (
            "POST /accounts/{account_id}/reset",
            *("GET /accounts/{account_id}", "GET /audit", "GET /audit/verify", "GET /events"),
            *("POST /orders", "GET /orders/{order_id}", "GET /paper/prices", "POST /paper/prices"),
            *(
                "GET /payments",
                "POST /payments",
                "GET /payments/{payment_id}",
                "PATCH /payments/{payment_id}",
            ),
            *("GET /risk-rules", "PATCH /risk-rules"),
            *("PATCH /strategies/{strategy_id}", "DELETE /strategies/{strategy_id}"),
            "PATCH /strategies/{strategy_id}/accounts/{account_id}",
            "DELETE /strategies/{strategy_id}/accounts/{account_id}",
            *("GET /transactions", "POST /transactions", "GET /transactions/{transaction_id}"),
            *("PATCH /users/{user_id}", "GET /users/{user_id}/balance", "GET /users/{user_id}/referrals"),
            *("GET /users/{user_id}/telegram", "PATCH /users/{user_id}/telegram"),
            *("POST /users/{user_id}/telegram-link", "DELETE /users/{user_id}/telegram-link"),
            *(
                "DELETE /users/{user_id}/tokens",
                "GET /users/{user_id}/xc-code",
                "POST /users/{user_id}/xc-code",
            ),
            *("PATCH /webhooks/{webhook_id}", "DELETE /webhooks/{webhook_id}"),
        ),
        _COMMAND,
    ),
}


def page_of(operation: str) -> str | None:
    """Returns where the dashboard does an operation. None if nowhere."""
    if operation in EVERYWHERE:
        return EVERYWHERE[operation]
    return next((f"`#/{page}`" for page, operations in PAGES.items() if operation in operations), None)


def gaps() -> list[str]:
    """Returns the operations that lack a page or a command, and a reason for it."""
    return sorted(
        f"{operation}: {what}"
        for operation in subjects.docs()
        for what, place, reasons in (
            ("page", page_of(operation), NO_PAGE),
            ("command", COMMANDS.get(operation), NO_COMMAND),
        )
        if place is None and operation not in reasons
    )


def table() -> str:
    """Returns the text of docs/operations.md."""
    rows = []
    for operation in sorted(subjects.docs(), key=lambda name: (name.split()[1], name)):
        page = page_of(operation) or f"– ({NO_PAGE[operation]})"
        command = COMMANDS.get(operation)
        shown = f"`tradehook {command}`" if command else f"– ({NO_COMMAND[operation]})"
        rows.append(f"| `{operation}` | {page} | {shown} |")
    return (
        "# Operations\n\n"
        "Every operation of the API, with the page of the dashboard and the command that do it.\n"
        "`python -m infra.docs.operations` writes this page, and a test keeps it up to date.\n\n"
        "| operation | dashboard | command |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def main() -> int:
    """Writes the page. Returns 1 and prints the gaps if there are any."""
    if missing := gaps():
        print("\n".join(missing))
        return 1
    PAGE.write_text(table(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
