"""Accounts through the API: made, changed, reset, deleted; keys go in and never come out."""

from decimal import Decimal

import pytest

from chalicelib import aws
from chalicelib.accounts import key_encryption, manage
from chalicelib.accounts.model import Account
from chalicelib.errors import NotDoable
from chalicelib.exchanges.protocol import Credentials
from chalicelib.paper import store as paper_store
from chalicelib.paper.book import Holding
from chalicelib.users import store as users
from chalicelib.users.models import AccountKind
from testkit.api import everything, outbox, trail

ONE = "/accounts/{account_id}"
KEY, SECRET = "the-api-key-1234", "the-very-secret-part"


@pytest.fixture
def unchecked(monkeypatch):
    """The exchange accepts every key; the list records the checked ones."""
    asked = []
    monkeypatch.setattr(
        key_encryption,
        "check",
        lambda exchange, market_type, credentials: asked.append((exchange, credentials.demo)) or True,
    )
    return asked


def live(api, **more):
    body = {"name": "L", "kind": "live", "exchange": "bybit", "api_key": KEY, "api_secret": SECRET}
    return api("7", "POST", "/accounts", body | more)


def test_paper_account_starts_as_the_contract_says(api):
    """A paper account has the seed's rates and cash; the first one becomes the default."""
    status, account = api("7", "POST", "/accounts", {"name": "策略A", "kind": "paper"})
    assert status == 201
    shown = {
        name: account[name]
        for name in ("exchange", "currency", "starting_cash", "slippage_bps", "commission_bps", "fill_rate")
    }
    assert shown == {
        "exchange": "paper",
        "currency": "USD",
        "starting_cash": 100000,
        "slippage_bps": 5,
        "commission_bps": 10,
        "fill_rate": 1,
    }
    assert isinstance(account["account_id"], int)
    assert api("7", "POST", "/accounts", {"name": "策略B", "kind": "paper", "exchange": "Paper"})[0] == 201
    assert users.settings("7").default_account == "策略A"


def test_directory_follows_the_account(api):
    """The directory entry for acceptance is written with the account: created, switched off, deleted."""
    account = api("7", "POST", "/accounts", {"name": "my account", "kind": "demo", "exchange": "OKX"})[1]
    entry = users.directory("7").accounts["my account"]
    assert (entry.account_id, entry.exchange, entry.kind, entry.is_active) == (
        str(account["account_id"]),
        "okx",
        AccountKind.DEMO,
        True,
    )
    api("7", "PATCH", ONE, {"is_active": False}, account_id=account["account_id"])
    assert users.directory("7").accounts["my account"].is_active is False
    api("7", "DELETE", ONE, account_id=account["account_id"])
    assert users.directory("7").accounts == {}


def test_name_is_unique_per_user_and_free_after_deletion(api):
    """Two users may use one name, one user may not; a deleted account gives it back."""
    first = api("7", "POST", "/accounts", {"name": "A", "kind": "paper"})[1]
    assert api("7", "POST", "/accounts", {"name": "A", "kind": "paper"})[1]["code"] == "already_exists"
    assert api("8", "POST", "/accounts", {"name": "A", "kind": "paper"})[0] == 201
    api("7", "DELETE", ONE, account_id=first["account_id"])
    assert api("7", "POST", "/accounts", {"name": "A", "kind": "paper"})[0] == 201
    assert [item["account_id"] for item in api("7", "GET", "/accounts")[1]["items"]] != [first["account_id"]]


def test_keys_are_encrypted_and_never_shown(api, unchecked):
    """Only the end of the API key is ever seen again: not in answers, tables, events or the trail."""
    status, account = live(api)
    assert (status, account["has_keys"], account["api_key_last4"]) == (201, True, "1234")
    assert unchecked == [("bybit", False)]
    seen = (
        str(account)
        + str(api("7", "GET", ONE, account_id=account["account_id"]))
        + str(api("7", "GET", "/accounts"))
    )
    for secret in (KEY, SECRET):
        assert secret not in seen + everything() + str(outbox()) + str(trail())
    stored = Account.model_validate(aws.get("accounts", {"account_id": str(account["account_id"])}))
    assert stored.sealed_keys not in repr(stored)
    opened = key_encryption.unseal(stored.account_id, stored.sealed_keys, demo=False)
    assert (opened.api_key, opened.secret) == (KEY, SECRET)
    assert SECRET not in repr(opened)


def test_keys_of_one_account_do_not_open_as_anothers(api):
    """The account's id is bound into the encryption."""
    sealed = key_encryption.seal("5", Credentials(KEY, SECRET))
    with pytest.raises(Exception, match="InvalidCiphertext"):
        key_encryption.unseal("6", sealed, demo=False)


def test_new_keys_count_up(api, unchecked):
    """A changed key is another version, so a decrypted copy of the old one is known to be stale."""
    account = live(api)[1]
    changed = api(
        "7",
        "PATCH",
        ONE,
        {"api_key": "another-key-9876", "api_secret": "another-secret"},
        account_id=account["account_id"],
    )[1]
    assert changed["api_key_last4"] == "9876"
    assert aws.get("accounts", {"account_id": str(account["account_id"])})["key_version"] == 2


def test_key_the_exchange_refuses_is_not_kept(api, monkeypatch):
    """A key that may withdraw makes no account."""

    def refuse(*_):
        raise NotDoable("exchange_key_may_withdraw", exchange="bybit")

    monkeypatch.setattr(key_encryption, "check", refuse)
    assert live(api)[1]["code"] == "exchange_key_may_withdraw"
    assert users.directory("7").accounts == {}


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({"kind": "paper"}, 400, "missing_field", "name"),
        ({"name": "A"}, 400, "missing_field", "kind"),
        ({"name": "", "kind": "paper"}, 400, "too_short", "name"),
        ({"name": "A", "kind": "demo"}, 400, "missing_field", "exchange"),
        ({"name": "A", "kind": "live", "exchange": "okx"}, 400, "missing_field", "api_key"),
        (
            {"name": "A", "kind": "live", "exchange": "okx", "api_key": KEY},
            400,
            "missing_field",
            "api_secret",
        ),
        (
            {"name": "A", "kind": "live", "exchange": "paper", "api_key": KEY, "api_secret": SECRET},
            400,
            "not_for_kind",
            "exchange",
        ),
        ({"name": "A", "kind": "paper", "exchange": "okx"}, 400, "not_for_kind", "exchange"),
        (
            {"name": "A", "kind": "paper", "api_key": KEY, "api_secret": SECRET},
            400,
            "not_for_kind",
            "api_key",
        ),
        (
            {
                "name": "A",
                "kind": "live",
                "exchange": "okx",
                "api_key": KEY,
                "api_secret": SECRET,
                "starting_cash": 5,
            },
            400,
            "not_for_kind",
            "starting_cash",
        ),
        ({"name": "A", "kind": "paper", "fill_rate": 0}, 400, "must_be_more", "fill_rate"),
        ({"name": "A", "kind": "paper", "slippage_bps": -1}, 400, "must_be_at_least", "slippage_bps"),
        ({"name": "A", "kind": "paper", "currency": "dollars"}, 400, "invalid_value", "currency"),
        ({"name": "A", "kind": "paper", "market_types": ["margin"]}, 400, "invalid_choice", "market_types"),
        ({"name": "A", "kind": "paper", "market_types": []}, 400, "missing_field", "market_types"),
        ({"name": "A", "kind": "paper", "user_id": 8}, 404, "not_found", ""),
    ],
)
def test_bad_account_is_refused_by_field(api, body, status, code, named):
    """Every bad field of a new account gets a 4xx that names it, and no secret comes back."""
    answer = api("7", "POST", "/accounts", body)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert named in answer[1]["error"]
    assert KEY not in str(answer)
    assert SECRET not in str(answer)


def test_admin_makes_accounts_for_others(api):
    """An admin may name another user; that user must exist."""
    assert api("1", "POST", "/accounts", {"user_id": 7, "name": "A", "kind": "paper"})[1]["user_id"] == 7
    assert api("1", "POST", "/accounts", {"user_id": 99, "name": "A", "kind": "paper"})[0] == 404


def test_name_kind_and_exchange_stay(api):
    """Fields that signals and records refer to cannot change."""
    account = api("7", "POST", "/accounts", {"name": "A", "kind": "paper"})[1]
    for field in ("name", "kind", "exchange", "currency"):
        status, answer = api("7", "PATCH", ONE, {field: "x"}, account_id=account["account_id"])
        assert (status, answer["code"]) == (400, "unknown_field")


def test_versions_are_kept(api):
    """An edit of an old version is answered with the current one."""
    account = api("7", "POST", "/accounts", {"name": "A", "kind": "paper"})[1]
    assert (
        api("7", "PATCH", ONE, {"fill_rate": "0.5", "version": 1}, account_id=account["account_id"])[1][
            "version"
        ]
        == 2
    )
    status, answer = api(
        "7", "PATCH", ONE, {"fill_rate": "0.6", "version": 1}, account_id=account["account_id"]
    )
    assert (status, answer["code"], answer["version"]) == (409, "version_conflict", 2)


def test_reset_gives_the_starting_cash_back(api):
    """After a reset the account has its starting cash and holds nothing, and its order count continues."""
    account = manage.create_account("7", "A", AccountKind.PAPER, by="7")
    book = paper_store.read_book(account)
    book.cash, book.orders = {"USD": Decimal(5), "EUR": Decimal(3)}, 4
    book.holdings = {f"S{number}": Holding(Decimal(1), Decimal(1)) for number in range(95)}
    book.changed = {f"asset#S{number}" for number in range(95)}
    aws.transact(paper_store.effect_writes(book))
    assert api("7", "POST", ONE + "/reset", account_id=account.account_id)[0] == 200
    after = paper_store.read_book(account)
    assert (after.cash, after.holdings, after.orders) == ({"USD": Decimal(100_000)}, {}, 4)


def test_account_with_open_orders_is_not_reset(api, monkeypatch):
    """Open orders must be cancelled first, so that each publishes an event."""
    account = manage.create_account("7", "A", AccountKind.PAPER, by="7")
    read = paper_store.read_book
    monkeypatch.setattr(paper_store, "read_book", lambda account: _waiting(read(account)))
    assert api("7", "POST", ONE + "/reset", account_id=account.account_id)[1]["code"] == "open_orders"


def _waiting(book):
    book.waiting = {"order": None}
    return book


def test_live_account_is_not_reset(api, unchecked):
    """Real money cannot be wished back."""
    account = live(api)[1]
    assert api("7", "POST", ONE + "/reset", account_id=account["account_id"])[1]["code"] == "not_for_kind"


def test_account_on_a_strategy_is_not_deleted(api):
    """Deleting it would silently stop trading there."""
    account = api("7", "POST", "/accounts", {"name": "A", "kind": "paper"})[1]
    api("7", "POST", "/strategies", {"group_name": "g", "accounts": [{"account_id": account["account_id"]}]})
    status, answer = api("7", "DELETE", ONE, account_id=account["account_id"])
    assert (status, answer["code"]) == (409, "account_in_use")
    assert "g" in answer["error"]


def test_deleted_account_has_no_keys(api, unchecked):
    """The deletion of an account deletes its keys, and clears the default account setting."""
    account = live(api)[1]
    api("7", "DELETE", ONE, account_id=account["account_id"])
    assert "sealed_keys" not in aws.get("accounts", {"account_id": str(account["account_id"])})
    assert api("7", "GET", ONE, account_id=account["account_id"])[0] == 404
    paper = api("7", "POST", "/accounts", {"name": "P", "kind": "paper"})[1]
    api("7", "DELETE", ONE, account_id=paper["account_id"])
    assert users.settings("7").default_account is None


def test_number_that_is_taken_is_skipped(api):
    """An account id that was written by hand is neither given out again nor overwritten."""
    aws.write(
        aws.put_write(
            "accounts",
            {"account_id": "1", "user_id": "8", "name": "old", "exchange": "paper", "kind": "paper"},
        )
    )
    assert api("7", "POST", "/accounts", {"name": "A", "kind": "paper"})[1]["account_id"] == 2
    assert aws.get("accounts", {"account_id": "1"})["name"] == "old"
