"""Users, accounts and tokens for tests, written as the product stores them."""

from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.users import credentials


def add_user(user_id: str = "1", *, role: str = "user", is_active: bool = True, **settings: Any) -> None:
    """Adds a user. Default: active, trading on the paper account "main"."""
    profile = {
        "user_id": user_id,
        "part": "profile",
        "user_uuid": f"uuid-{user_id}",
        "role": role,
        "is_active": is_active,
    }
    aws.write(aws.put_write("users", profile))
    aws.write(
        aws.put_write(
            "users", {"user_id": user_id, "part": "settings", "default_account": "main", **settings}
        )
    )
    aws.write(aws.put_write("users", {"user_id": user_id, "part": "directory", "accounts": {}}))


def add_account(
    user_id: str = "1", name: str = "main", *, kind: str = "paper", exchange: str = "paper", **more: Any
) -> str:
    """Adds an account, listed in its owner's directory. Returns its id."""
    account_id = f"{user_id}-{name}"
    entry = {"account_id": account_id, "exchange": exchange, "kind": kind, "is_active": True}
    aws.write(aws.put_write("accounts", {"user_id": user_id, "name": name, **entry, **more}))
    directory = aws.get("users", {"user_id": user_id, "part": "directory"}) or {}
    directory["accounts"][name] = entry
    aws.write(aws.put_write("users", directory))
    return account_id


def add_token(user_id: str = "1", kind: credentials.Kind = credentials.Kind.WEBHOOK, **more: Any) -> str:
    """Adds a credential of the user. Returns its plain text, as its owner sees it once."""
    token = credentials.new(kind, user_id)
    item = {
        "token_hash": credentials.digest(token),
        "kind": kind.value,
        "user_id": user_id,
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    aws.write(aws.put_write("credentials", item | more))
    return token


def bearer(user_id: str) -> dict[str, str]:
    """Returns headers with a new API token of the user."""
    return {"Authorization": f"Bearer {add_token(user_id, credentials.Kind.API)}"}


def add_strategy(
    user_id: str = "1",
    group_name: str = "my_strategy",
    accounts: dict[str, dict[str, Any]] | None = None,
    **more: Any,
) -> None:
    """Adds a strategy with these accounts, by id."""
    members = {
        account_id: {
            "name": account_id,
            "exchange": "binance",
            "kind": "demo",
            "market_types": ["spot", "futures"],
            "active": True,
            **member,
        }
        for account_id, member in (accounts or {}).items()
    }
    item = {
        "user_id": user_id,
        "group_name": group_name,
        "is_active": True,
        "accounts": members,
        "version": 1,
    }
    aws.write(aws.put_write("strategies", item | more))


def set_price(symbol: str, price: str, scope: str = "everybody") -> None:
    """Sets the last price of a symbol."""
    aws.write(
        aws.put_write(
            "prices",
            {"symbol": symbol, "scope": scope, "price": Decimal(price), "at": "2026-01-01T00:00:00+00:00"},
        )
    )


def halt(scope: str) -> None:
    """Sets a halt switch: "global", "user#1", "account#1"."""
    aws.write(aws.put_write("risk", {"scope": scope, "halted": True}))
