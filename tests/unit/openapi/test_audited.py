"""Every route that changes something leaves exactly one audit entry: a walk over the OpenAPI document."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.execution.execute_signal import execute_signal
from chalicelib.openapi import subjects
from chalicelib.orders.models import Instruction
from chalicelib.trading import Action, MarketType, OrderType, Symbol
from chalicelib.users.create import create_user
from chalicelib.users.models import Role
from testkit import cloud, pump
from testkit.api import Api, trail
from tests.unit.openapi.test_foreign import call, records_of

CHANGES_NOTHING = {"POST /signals/explain", "POST /webhooks/{webhook_id}/test"}
"""A dry run, and an example event that no counter includes."""
OWN_RECORD = {"POST /orders", "POST /api/orders"}
"""An order by hand is a signal: its sender and its result are the signal's own trace."""
BODIES: dict[str, Any] = {
    "PATCH /users/{user_id}": {"first_name": "Other", "telegram_id": 456},
    "POST /users": {"user_id": 77},
    "PATCH /users/{user_id}/settings": {"leverage": 7},
    "POST /accounts": {"name": "another", "kind": "paper", "user_id": 7},
    "PATCH /accounts/{account_id}": {"is_active": False},
    "POST /strategies": {"group_name": "another", "user_id": 7},
    "PATCH /strategies/{strategy_id}": {"description": "other"},
    "PATCH /strategies/{strategy_id}/accounts/{account_id}": {"active": False},
    "POST /payments": {"user_id": 7, "amount": 6, "currency": "USDT"},
    "PATCH /payments/{payment_id}": {"status": "completed"},
    "PATCH /tickets/{ticket_id}": {"status": "closed"},
    "PATCH /webhooks/{webhook_id}": {"name": "other"},
    "PATCH /risk-rules": {"scope": "user", "id": 7, "max_open_positions": 3},
    "POST /positions/close": {"user_id": 7},
    "POST /halt": {"scope": "user", "id": 7, "halted": True},
    "PATCH /users/{user_id}/telegram": {"language": "ko"},
}
FIRST = {"DELETE /orders/{order_id}"}
"""An account with an open order is not reset."""
LAST = (
    "DELETE /users/{user_id}/tokens",
    "POST /users/{user_id}/deactivate",
    "POST /users/{user_id}/activate",
    "DELETE /strategies/{strategy_id}/accounts/{account_id}",
    "DELETE /strategies/{strategy_id}",
    "DELETE /accounts/{account_id}",
)
"""Routes that end what others need, in this order."""


@pytest.fixture
def world() -> Iterator[tuple[Api, dict[str, str]]]:
    """An admin, and a user with one record of every kind."""
    with cloud.emulated():
        create_user(by="test", user_id=1, role=Role.ADMIN)
        for user_id in (7, 8):
            create_user(by="test", user_id=user_id)
        api = Api()
        for user_id in ("1", "7", "8"):
            api.sign_in(user_id)
        ids = records_of(api)
        yield api, ids | {"order_id": resting_order(ids["account_id"])}


def resting_order(account_id: str) -> str:
    """Returns the id of an order of user 7 that can be cancelled."""
    instruction = Instruction(
        signal_id="resting",
        user_id="7",
        account_id=account_id,
        exchange="paper",
        variant="group",
        action=Action.BUY,
        symbol=Symbol(raw="BTCUSDT", base="BTC", quote="USDT"),
        market_type=MarketType.SPOT,
        order_type=OrderType.LIMIT,
        price=Decimal(40000),
        quantity=Decimal("0.1"),
        received_at=datetime.now(UTC),
        max_age_s=60,
        single_account=False,
        simulated=True,
    )
    execute_signal(instruction)
    return f"resting-{account_id}-0"


def test_each_change_leaves_exactly_one_entry(world: tuple[Api, dict[str, str]]) -> None:
    """Each mutating route, with a body that changes something: one entry more, by its caller."""
    api, ids = world
    names = [
        name
        for name, docs in subjects.docs().items()
        if docs.security == "bearer" and not name.startswith("GET")
    ]
    names = [name for name in names if name not in CHANGES_NOTHING | OWN_RECORD]
    names.sort(key=lambda name: LAST.index(name) + 2 if name in LAST else int(name.startswith("DELETE")))
    names.sort(key=lambda name: name not in FIRST)
    assert len(names) > 35
    wrong = []
    for name in names:
        method, _, route = name.partition(" ")
        body = copy.deepcopy(BODIES.get(name, subjects.docs()[name].given))
        if name == "POST /strategies/{strategy_id}/accounts":
            status, made = api("1", "POST", "/accounts", {"name": "member", "kind": "paper", "user_id": 7})
            body = {"account_id": made["account_id"]}
        if isinstance(body, dict) and body.get("user_id") not in (None, 77):
            body["user_id"] = 7
        before = len(trail())
        query = {"wait": "0"} if name.startswith("DELETE /orders") else None
        status, answer = call(api, "1", method, route, body, ids, query)
        added = trail()[before:]
        if name in FIRST:
            pump.execute()
        if status >= 300 or len(added) != 1 or added[0]["by"] != "1":
            wrong.append(
                f"{name}: {status} {json.dumps(answer)[:200]} {[entry['action'] for entry in added]}"
            )
    assert not wrong, "\n".join(wrong)
