"""Tokens and xc codes: shown once, never kept in clear, ended on time."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.errors import Unauthorized
from chalicelib.users import access, tokens, xc_codes
from chalicelib.users.credentials import Kind
from testkit.api import everything

TOKENS = "/users/{user_id}/tokens"
ONE = "/users/{user_id}/tokens/{token_id}"


def test_token_is_shown_once(api):
    """The token is in the answer that made it and nowhere else."""
    status, made = api("7", "POST", TOKENS, {"kind": "webhook", "name": "TradingView"}, user_id=7)
    assert status == 201
    assert made["token"].startswith("whk_7_")
    [listed] = api("7", "GET", TOKENS, user_id=7, query={"kind": "webhook"})[1]["items"]
    assert "token" not in listed
    assert (listed["name"], listed["is_active"], listed["last_used_at"]) == ("TradingView", True, None)
    assert made["token"] not in everything()


def test_api_token_opens_the_api_until_it_is_revoked(api):
    """A new API token works at once, a revoked one not any more."""
    made = api("7", "POST", TOKENS, {"kind": "api"}, user_id=7)[1]
    assert api(made["token"], "GET", "/users/{user_id}", user_id=7)[0] == 200
    assert api("7", "DELETE", ONE, user_id=7, token_id=made["token_id"])[0] == 200
    assert api(made["token"], "GET", "/users/{user_id}", user_id=7)[0] == 401
    assert api("7", "DELETE", ONE, user_id=7, token_id=made["token_id"])[0] == 404


def last_used(token_id):
    """Returns a token as the list shows it to another one."""
    from chalicelib import aws
    from chalicelib.users import signal_quota

    [item] = [
        each
        for each in aws.query_all("credentials", "user_id = :u", index="by_user", u="7")
        if each.get("token_id") == token_id
    ]
    return tokens.view(item, signal_quota.last_used("7"))["last_used_at"]


def test_the_last_use_of_an_api_token_is_noted_once_a_minute(api):
    """The first use shows, the next one within the minute writes nothing, one after it does."""
    made = tokens.create_token("7", Kind.API, by="test")
    now = datetime.now(UTC)
    assert last_used(made.item["token_id"]) is None
    for later, shown in ((0, 0), (59, 0), (61, 61)):
        access.by_token(made.token, now + timedelta(seconds=later))
        assert last_used(made.item["token_id"]) == (now + timedelta(seconds=shown)).isoformat()
    access.by_token(made.token, now)  # one that was slower
    assert last_used(made.item["token_id"]) == (now + timedelta(seconds=61)).isoformat()


def test_a_request_never_fails_for_noting_the_use(api, monkeypatch):
    """Where it cannot be written the API opens all the same."""
    from botocore.exceptions import ClientError

    from chalicelib import aws

    def fail(_write):
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "UpdateItem")

    made = tokens.create_token("7", Kind.API, by="test")
    monkeypatch.setattr(aws, "write", fail)
    assert access.by_token(made.token, datetime.now(UTC)).user_id == "7"
    assert last_used(made.item["token_id"]) is None


def test_rotation_overlaps(api):
    """Both tokens work during the overlap; after it only the new one does."""
    old = api("7", "POST", TOKENS, {"kind": "api", "name": "bot"}, user_id=7)[1]
    status, new = api("7", "POST", ONE + "/rotate", {"overlap_s": 60}, user_id=7, token_id=old["token_id"])
    assert (status, new["name"]) == (201, "bot")
    now = datetime.now(UTC)
    assert access.by_token(old["token"], now).user_id == access.by_token(new["token"], now).user_id == "7"
    with pytest.raises(Unauthorized, match="token_expired"):
        access.by_token(old["token"], now + timedelta(seconds=61))
    assert access.by_token(new["token"], now + timedelta(days=365)).user_id == "7"


def test_rotation_never_prolongs(api):
    """A token that expires before the overlap is over still does."""
    ends = datetime.now(UTC) + timedelta(minutes=5)
    old = api("7", "POST", TOKENS, {"kind": "api", "expires_at": ends.isoformat()}, user_id=7)[1]
    api("7", "POST", ONE + "/rotate", user_id=7, token_id=old["token_id"])
    listed = {
        item["token_id"]: item for item in api("7", "GET", TOKENS, user_id=7)[1]["items"] if item["token_id"]
    }
    assert datetime.fromisoformat(listed[old["token_id"]]["expires_at"]) == ends


def test_own_token_is_taken(api):
    """A webhook token of the user's own making, as the Chinese seed makes it with openssl, is accepted."""
    chosen = "q1W2e3R4t5Y6u7I8o9P0aSdFgHjKlZxCvBnM1234567="
    status, made = api("7", "POST", TOKENS, {"kind": "webhook", "token": chosen}, user_id=7)
    assert (status, made["token"], made["chosen"]) == (201, chosen, True)
    assert (
        api("8", "POST", TOKENS, {"kind": "webhook", "token": chosen}, user_id=8)[1]["code"]
        == "invalid_value"
    )
    assert chosen not in everything()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "webhook", "token": "short"}, "too_short"),
        ({"kind": "webhook", "token": "whk_8_abcdefghijklmnopqrstuvwxyz"}, "invalid_value"),
        ({"kind": "api", "token": "q1W2e3R4t5Y6u7I8o9P0aSdFg"}, "not_for_kind"),
        ({"kind": "webhook", "expires_at": "2020-01-01T00:00:00Z"}, "must_be_future"),
        ({"kind": "webhook", "expires_at": "2099-01-01T00:00:00"}, "invalid_time"),
        ({"kind": "cookie"}, "invalid_choice"),
        ({}, "missing_field"),
    ],
)
def test_bad_token_is_refused(api, body, code):
    """A token that is weak, claims another owner or is over already is not made."""
    status, answer = api("7", "POST", TOKENS, body, user_id=7)
    assert (status, answer["code"]) == (400, code)


def test_refusal_does_not_repeat_the_secret(api):
    """A token that is refused does not come back in the error."""
    answer = api("7", "POST", TOKENS, {"kind": "webhook", "token": "x" * 300}, user_id=7)
    assert answer[0] == 400
    assert "xxx" not in str(answer)


def test_new_token_does_not_print_itself(api):
    """A token in hand does not get into a log by its repr."""
    made = tokens.create_token("7", Kind.API, by="test")
    assert made.token not in repr(made)


def test_xc_code_is_shown_again_and_kept_encrypted(api):
    """The same code comes back, and no table holds it in clear."""
    code = api("7", "GET", "/users/{user_id}/xc-code", user_id=7)[1]["code"]
    assert (
        api("7", "GET", "/users/{user_id}/xc-code", user_id=7)[1]["code"]
        == code
        == xc_codes.get_or_create("7")
    )
    assert code.startswith("xc_7_")
    assert code not in everything()


def test_rotated_xc_code_voids_the_old_one(api):
    """After a rotation only the new code is a valid credential."""
    from chalicelib import aws
    from chalicelib.users import credentials

    old = xc_codes.get_or_create("7")
    new = api("7", "POST", "/users/{user_id}/xc-code", user_id=7)[1]["code"]
    assert new == xc_codes.get_or_create("7") != old
    stored = {code: aws.get("credentials", {"token_hash": credentials.digest(code)}) for code in (old, new)}
    credentials.verify(new, stored[new], (Kind.XC_CODE,), datetime.now(UTC))
    with pytest.raises(Unauthorized):
        credentials.verify(old, stored[old], (Kind.XC_CODE,), datetime.now(UTC))


def test_xc_code_of_nobody(api):
    """There is no code without a user."""
    assert api("1", "GET", "/users/{user_id}/xc-code", user_id=99) == (
        404,
        {"error": "User not found", "code": "user_not_found"},
    )
