"""Nobody reads or changes another user's records, by whatever route."""

import pytest

from chalicelib.accounts.manage import create_account
from chalicelib.accounts.routes import ACCOUNTS
from chalicelib.audit.routes import AUDIT
from chalicelib.controls.routes import HALT
from chalicelib.strategies.manage import create_strategy
from chalicelib.strategies.members import add_accounts
from chalicelib.strategies.routes import STRATEGIES
from chalicelib.users import tokens
from chalicelib.users.credentials import Kind
from chalicelib.users.models import AccountKind
from chalicelib.users.routes import USERS
from tests.support.api import everything

BODIES = {
    "POST /users": {},
    "PATCH /users/{user_id}": {"first_name": "Eve"},
    "PATCH /users/{user_id}/settings": {"leverage": 7},
    "POST /users/{user_id}/tokens": {"kind": "webhook"},
    "POST /accounts": {"user_id": 7, "name": "mine", "kind": "paper"},
    "PATCH /accounts/{account_id}": {"is_active": False},
    "POST /strategies": {"user_id": 7, "group_name": "mine"},
    "PATCH /strategies/{strategy_id}": {"is_active": False},
    "PATCH /strategies/{strategy_id}/accounts/{account_id}": {"active": False},
    "POST /halt": {"scope": "user", "id": 7, "halted": True},
}
LISTS = {"GET /users", "GET /accounts", "GET /strategies", "GET /halt", "GET /audit"}


@pytest.fixture
def theirs(api):
    account = create_account("7", "theirs-account", AccountKind.PAPER, by="7")
    strategy = create_strategy("7", "theirs-strategy", by="7")
    add_accounts(strategy, [{"account_id": account.account_id}], by="7")
    token = tokens.create_token("7", Kind.WEBHOOK, by="7")
    return {
        "user_id": "7",
        "account_id": account.account_id,
        "strategy_id": strategy.strategy_id,
        "token_id": token.item["token_id"],
    }


@pytest.mark.parametrize("route", [*USERS, *ACCOUNTS, *STRATEGIES, *HALT, *AUDIT], ids=lambda route: f"{route.method} {route.path}")
def test_foreign_token_gets_nowhere(api, theirs, route):
    """Another user's token is answered 404 or 403 and changes nothing; without a token it is 401."""
    name = f"{route.method} {route.path}"
    path = {key: value for key, value in theirs.items() if f"{{{key}}}" in route.path}
    body = BODIES.get(name) or ({"account_id": int(theirs["account_id"])} if route.path == "/strategies/{strategy_id}/accounts" else None)
    assert api(None, route.method, route.path, body, **path)[0] == 401
    assert api("nonsense", route.method, route.path, body, **path)[0] == 401
    before = everything()
    status, answer = api("8", route.method, route.path, body, **path)
    if name in LISTS:
        assert status == 200
        assert "theirs" not in str(answer)
        assert api("8", route.method, route.path, query={"user_id": "7"})[0] in ((200,) if name == "GET /users" else (403,))
    else:
        assert status in (403, 404), answer
    assert everything() == before


def test_foreign_account_cannot_be_put_on_ones_own_strategy(api, theirs):
    """A strategy takes its owner's accounts only."""
    _, mine = api("8", "POST", "/strategies", {"group_name": "g"})
    status, answer = api(
        "8", "POST", "/strategies/{strategy_id}/accounts", {"account_id": int(theirs["account_id"])}, strategy_id=mine["strategy_id"]
    )
    assert (status, answer["code"]) == (422, "unknown_reference")


def test_foreign_token_id_under_ones_own_path(api, theirs):
    """Another user's token is not to be ended under one's own path."""
    assert api("8", "DELETE", "/users/{user_id}/tokens/{token_id}", user_id=8, token_id=theirs["token_id"])[0] == 404
