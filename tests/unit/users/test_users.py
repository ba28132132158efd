"""Users and their settings through the API."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.users import store
from chalicelib.users.change import update_user
from testkit.api import outbox, trail


def test_created_user_shows_the_seeds_fields_as_numbers(api):
    """A user created under a chosen id is shown with numeric ids, as the seeds print them."""
    status, user = api(
        "1",
        "POST",
        "/users",
        {"user_id": 123456789, "telegram_id": 456789, "username": "testuser", "referred_by_id": 7},
    )
    assert status == 201
    assert (user["user_id"], user["telegram_id"], user["referred_by_id"], user["role"]) == (
        123456789,
        456789,
        7,
        "user",
    )
    assert user["referral_code"].startswith("ref")


def test_user_created_event_has_exactly_the_seeds_payload(api):
    """`user.created` carries the admin seed's seven fields and nothing else."""
    body = {
        "telegram_id": 5,
        "username": "u",
        "first_name": "T",
        "last_name": "U",
        "referral_code": "refABC123",
    }
    _, user = api("1", "POST", "/users", body)
    payload = outbox()[-1]["payload"]
    assert payload == {"user_id": user["user_id"], **body, "referred_by_id": None}


def test_seed_settings_are_taken(api):
    """The settings that the Arabic seed passes are taken as printed."""
    settings = {"market_type": "futures", "trade_amount": 100.0, "leverage": 10, "account_type": "demo"}
    api("1", "POST", "/users", {"user_id": 123456789})
    status, answer = api("1", "PATCH", "/users/{user_id}/settings", settings, user_id=123456789)
    assert status == 200
    assert {name: answer[name] for name in settings} == settings


def test_counter_skips_numbers_that_were_chosen(api):
    """A user without a chosen id gets an unused number."""
    api("1", "POST", "/users", {"user_id": 2})
    ids = [api("1", "POST", "/users", {})[1]["user_id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert not {1, 2, 7, 8} & set(ids)


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({"user_id": 7}, 409, "already_exists", "user_id"),
        ({"telegram_id": 99}, 409, "already_exists", "telegram_id"),
        ({"referral_code": "taken"}, 409, "already_exists", "referral_code"),
        ({"referred_by_id": 5000}, 422, "unknown_reference", "referred_by_id"),
        ({"user_id": 5000, "referred_by_id": 5000}, 422, "unknown_reference", "referred_by_id"),
        ({"usrname": "x"}, 400, "unknown_field", "usrname"),
        ({"user_id": 0}, 400, "must_be_at_least", "user_id"),
        ({"user_id": True}, 400, "invalid_value", "user_id"),
        ({"user_id": 2**53}, 400, "must_be_at_most", "user_id"),
        ({"username": 5}, 400, "invalid_text", "username"),
        ({"username": "a\nb"}, 400, "invalid_value", "username"),
        ({"username": "x" * 65}, 400, "too_long", "username"),
        ({"role": "root"}, 400, "invalid_choice", "role"),
        ({"is_active": "perhaps"}, 400, "invalid_flag", "is_active"),
        ({"settings": 5}, 400, "invalid_object", "settings"),
        ({"settings": {"leverage": 126}}, 400, "must_be_at_most", "settings.leverage"),
        ({"settings": {"trade_amount": 0}}, 400, "must_be_more", "settings.trade_amount"),
        ({"settings": {"trade_amount": "1e-30"}}, 400, "too_many_decimals", "settings.trade_amount"),
        ({"settings": {"exchange": "mtgox"}}, 400, "invalid_choice", "exchange"),
        ({"settings": {"allowed_addresses": ["10.0.0.0/33"]}}, 400, "invalid_address", "allowed_addresses"),
        ('{"username": "\\ud800"}', 400, "not_utf8", ""),
        ('{"user_id": NaN}', 400, "invalid_number", ""),
        ("[]", 400, "not_a_json_object", ""),
        ('{"a"', 400, "broken_body", ""),
        ("", 400, "no_data", ""),
        ("[" * 100_000, 400, "too_deep", ""),
        (f'{{"user_id": {"9" * 5000}}}', 400, "invalid_number", ""),
    ],
)
def test_bad_user_is_refused_by_field(api, body, status, code, named):
    """Every bad field of a new user gets a 4xx that names it."""
    api("1", "POST", "/users", {"telegram_id": 99, "referral_code": "taken"})
    answer = api("1", "POST", "/users", body)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert named in answer[1]["error"]


def test_refused_user_leaves_nothing_behind(api):
    """A user whose telegram id is taken is not half created."""
    api("1", "POST", "/users", {"user_id": 20, "telegram_id": 99})
    api("1", "POST", "/users", {"user_id": 21, "telegram_id": 99})
    assert api("1", "GET", "/users/{user_id}", user_id=21)[0] == 404
    assert [event["payload"]["user_id"] for event in outbox() if event["type"] == "user.created"][-1] == 20


def test_lookups_find_a_user_without_a_scan(api):
    """Telegram id, uuid and referral code find their user, and a stale one finds none."""
    _, user = api("1", "POST", "/users", {"telegram_id": 99, "referral_code": "mine"})
    for field in ("telegram_id", "user_uuid", "referral_code"):
        _, found = api("1", "GET", "/users", query={field: str(user[field])})
        assert [item["user_id"] for item in found["items"]] == [user["user_id"]]
    api("1", "PATCH", "/users/{user_id}", {"telegram_id": 100}, user_id=user["user_id"])
    assert store.lookup("telegram_id", 99) is None
    assert store.lookup("telegram_id", 100) == str(user["user_id"])


def test_list_is_paged_and_filtered(api):
    """An admin lists users newest first, page after page, by activity and role."""
    first = api("1", "GET", "/users", query={"limit": "2"})[1]
    second = api("1", "GET", "/users", query={"limit": "2", "cursor": first["next"]})[1]
    assert [item["user_id"] for item in first["items"] + second["items"]] == [8, 7, 1]
    assert (first["total"], second["next"]) == (3, None)
    api("1", "POST", "/users/{user_id}/deactivate", user_id=8)
    assert [
        item["user_id"] for item in api("1", "GET", "/users", query={"is_active": "false"})[1]["items"]
    ] == [8]
    assert [item["user_id"] for item in api("1", "GET", "/users", query={"role": "admin"})[1]["items"]] == [1]
    assert api("1", "GET", "/users", query={"role": "king"})[0] == 400


def test_user_sees_only_themselves_in_the_list(api):
    """A user's list of users holds that user."""
    assert [item["user_id"] for item in api("7", "GET", "/users")[1]["items"]] == [7]


def test_referral_chain_and_cycles(api):
    """A chain of referrals is listed nearest first, and may not close on itself."""
    api("1", "PATCH", "/users/{user_id}", {"referred_by_id": 7}, user_id=8)
    api("1", "POST", "/users", {"user_id": 9, "referred_by_id": 8})
    assert api("1", "GET", "/users/{user_id}/referrals", user_id=9)[1]["items"] == [8, 7]
    assert [
        item["user_id"] for item in api("1", "GET", "/users", query={"referred_by_id": "8"})[1]["items"]
    ] == [9]
    assert (
        api("1", "PATCH", "/users/{user_id}", {"referred_by_id": 9}, user_id=7)[1]["code"] == "referral_cycle"
    )
    assert (
        api("1", "PATCH", "/users/{user_id}", {"referred_by_id": 7}, user_id=7)[1]["code"] == "referral_cycle"
    )
    assert (
        api("1", "PATCH", "/users/{user_id}", {"referred_by_id": None}, user_id=9)[1]["referred_by_id"]
        is None
    )


def test_user_changes_name_but_not_role_or_chat(api):
    """What decides about rights and about whose chat it is, only an admin changes."""
    assert (
        api("7", "PATCH", "/users/{user_id}", {"first_name": "Ann"}, user_id="me")[1]["first_name"] == "Ann"
    )
    for field, value in (("role", "admin"), ("is_active", True), ("telegram_id", 1), ("referred_by_id", 8)):
        status, answer = api("7", "PATCH", "/users/{user_id}", {field: value}, user_id=7)
        assert (status, answer["code"]) == (400, "unknown_field")
    assert api("7", "POST", "/users/{user_id}/activate", user_id=7)[0] == 403


def test_deactivated_user_is_out(api):
    """A deactivated user's API token opens nothing until they are activated again."""
    assert api("1", "POST", "/users/{user_id}/deactivate", user_id=7)[1]["is_active"] is False
    assert api("7", "GET", "/users/{user_id}", user_id=7) == (
        403,
        {"error": "User is not active", "code": "user_not_active"},
    )
    api("1", "POST", "/users/{user_id}/activate", user_id=7)
    assert api("7", "GET", "/users/{user_id}", user_id=7)[0] == 200
    assert [event["type"] for event in outbox()[-2:]] == ["user.deactivated", "user.activated"]


def test_admin_cannot_lock_themselves_out(api):
    """An admin neither deactivates nor demotes themselves, so one is always left."""
    assert api("1", "POST", "/users/{user_id}/deactivate", user_id=1)[0] == 409
    assert api("1", "PATCH", "/users/{user_id}", {"role": "user"}, user_id=1)[1]["code"] == "not_oneself"


def test_two_admins_editing_the_same_settings(api):
    """Of two edits that saw the same version one is made and the other gets 409 with the current version."""

    def change(leverage):
        return api("1", "PATCH", "/users/{user_id}/settings", {"leverage": leverage, "version": 1}, user_id=7)

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(change, (3, 4)), key=lambda answer: answer[0])
    assert [status for status, _ in answers] == [200, 409]
    assert (answers[1][1]["code"], answers[1][1]["version"]) == ("version_conflict", 2)
    assert api("1", "GET", "/users/{user_id}/settings", user_id=7)[1]["leverage"] == answers[0][1]["leverage"]


def test_edits_without_a_version_keep_each_others_fields(api):
    """Edits of different fields at once all stay."""
    changes = [{"leverage": 5}, {"max_age_s": 90}, {"trade_amount": 250}, {"repeat_window_s": 0}]
    with ThreadPoolExecutor(4) as pool:
        statuses = list(
            pool.map(
                lambda change: api("1", "PATCH", "/users/{user_id}/settings", change, user_id=7)[0], changes
            )
        )
    assert statuses == [200] * 4
    settings = api("1", "GET", "/users/{user_id}/settings", user_id=7)[1]
    assert {name: settings[name] for change in changes for name in change} == {
        name: v for change in changes for name, v in change.items()
    }


def test_default_account_must_be_a_paper_account(api):
    """A default account that does not exist would refuse every paper signal later."""
    status, answer = api("7", "PATCH", "/users/{user_id}/settings", {"default_account": "none"}, user_id=7)
    assert (status, answer["code"]) == (422, "unknown_reference")


def test_change_is_audited_with_before_and_after(api):
    """The trail tells who changed which field from what to what."""
    api("1", "PATCH", "/users/{user_id}/settings", {"leverage": 5}, user_id=7)
    entry = trail()[-1]
    assert (entry["by"], entry["action"], entry["entity"]) == ("1", "user.settings_updated", "user#7")
    assert (entry["before"], entry["after"]) == ({"leverage": 1}, {"leverage": 5})


def test_changing_nothing_tells_nothing(api):
    """A patch to the current values changes no version and publishes no event."""
    before = len(outbox())
    assert api("1", "PATCH", "/users/{user_id}", {"username": None}, user_id=7)[1]["version"] == 1
    assert len(outbox()) == before


def test_use_cases_work_without_http(api):
    """The functions behind the routes are for the command line and the demo data too."""
    assert update_user("7", {"first_name": "Eve"}, by="system").first_name == "Eve"
