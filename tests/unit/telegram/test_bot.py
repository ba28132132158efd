"""The bot's webhook: linking, commands, and each update once."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from chalicelib.risk import halts
from chalicelib.telegram import links
from chalicelib.users import change
from chalicelib.users import store as users
from chalicelib.users.create import create_user
from functions.serve_api import app
from testkit import pump
from testkit.gateway import call
from testkit.records import add_account, bearer
from tests.unit.telegram.conftest import CHAT, drain, post, texts, write


def on(method, path, headers, body=None, user_id="1"):
    where = {"route": f"/users/{{user_id}}{path}", "path_parameters": {"user_id": user_id}}
    return call(app, method, f"/users/{user_id}{path}", body, headers=headers, **where)


def halted(user_id="1"):
    return halts.read_switches([halts.Switch(halts.Scope.USER, user_id, user_id)])[0]["halted"]


@pytest.mark.parametrize(
    ("secret", "code"),
    [(None, "token_missing"), ("wrong", "token_wrong"), ("ключ".encode().decode(), "token_wrong")],
)
def test_a_wrong_secret_is_refused(secret, code):
    """Only Telegram, which was given the secret, may post updates."""
    status, body, _ = post({"update_id": 1}, secret)
    assert (status, body["code"]) == (401, code)


def test_without_a_configured_secret_nobody_may_post(monkeypatch):
    """An empty setting opens nothing."""
    monkeypatch.delenv("TRADEHOOK_TELEGRAM_WEBHOOK_SECRET")
    assert post({"update_id": 1}, "")[0] == 401
    assert post({"update_id": 1}, "x")[0] == 401


@pytest.mark.parametrize(
    ("update", "field"),
    [
        ({}, "update_id"),
        ({"update_id": "x"}, "update_id"),
        ({"update_id": 1, "message": 5}, "message"),
        ("[1]", ""),
        ("{", ""),
    ],
)
def test_what_is_no_update_is_a_400(update, field):
    """A body that is no update is refused by the field that is wrong."""
    status, body, _ = post(update)
    assert status == 400
    assert field in body["error"]


def test_updates_that_do_not_concern_the_bot_are_taken():
    """Telegram need not send an edited message or a photo again."""
    assert post({"update_id": 5, "edited_message": {"text": "x"}})[0] == 200
    assert (
        post(
            {
                "update_id": 6,
                "message": {"chat": {"id": 1, "type": "private"}, "from": {"id": 1}, "photo": []},
            }
        )[0]
        == 200
    )


def test_a_link_code_links_the_chat_once(telegram, user):
    """The chat that sends the code is the user's; another chat cannot use the code again."""
    status, body, headers = on("POST", "/telegram-link", user)
    assert (status, body["command"], headers["Cache-Control"]) == (201, f"/start {body['code']}", "no-store")
    write(f"/start {body['code']}")
    write(f"/start {body['code']}", update_id=2, chat_id=99)
    drain()
    assert users.user("1").telegram_id == CHAT
    assert texts(telegram) == ["Done: this chat is now linked to user 1."]
    assert texts(telegram, 99) == [
        "This link code is not valid or no longer so. Get a new one and send it as /start CODE."
    ]
    assert on("GET", "/telegram", user)[1]["telegram_id"] == CHAT


def test_an_expired_link_code_links_nothing(user):
    """A code lasts a quarter of an hour."""
    code = links.offer("1", datetime.now(UTC) - timedelta(minutes=16), by="1")["code"]
    assert links.link(code, CHAT, datetime.now(UTC)) is None


def test_linking_takes_the_chat_from_whoever_had_it(user):
    """A chat is one user's, so a newcomer's user made by /xc gives it up for the real one."""
    create_user(by="test", user_id=2, telegram_id=CHAT)
    links.link(links.offer("1", datetime.now(UTC), by="1")["code"], CHAT, datetime.now(UTC))
    assert (users.user("1").telegram_id, users.user("2").telegram_id) == (CHAT, None)


def test_unlinking(user):
    """A user takes their chat away."""
    links.link(links.offer("1", datetime.now(UTC), by="1")["code"], CHAT, datetime.now(UTC))
    assert on("DELETE", "/telegram-link", user)[1]["telegram_id"] is None
    assert links.owner(CHAT) is None


def test_nobody_links_another(user):
    """A link code for another user is not to be had."""
    create_user(by="test", user_id=2)
    stranger = bearer("2")
    for method, path, body in (
        ("POST", "/telegram-link", None),
        ("DELETE", "/telegram-link", None),
        ("GET", "/telegram", None),
        ("PATCH", "/telegram", {"language": "ko"}),
    ):
        assert on(method, path, stranger, body)[0] == 404


def test_commands_of_a_stranger(telegram):
    """An unlinked chat gets the way to link, and can do nothing."""
    for number, command in enumerate(("/start", "/status", "/halt", "hello")):
        write(command, update_id=number)
    drain()
    assert [said.partition(".")[0] for said in texts(telegram)] == [
        "Welcome",
        *["This chat is not linked to an account yet"] * 3,
    ]
    assert list(aws.query_all("audit", "trail = :all", index="trail", all="audit")) == []


def test_halt_and_resume(telegram):
    """/halt sets the user's own switch, /resume lifts it."""
    create_user(by="test", user_id=1, telegram_id=CHAT)
    write("/halt@tradehook_bot", update_id=1)
    assert halted()
    write("/resume", update_id=2)
    assert not halted()
    drain()
    assert [said.partition(".")[0] for said in texts(telegram)] == ["Trading is halted", "Trading resumed"]


def test_close_asks_first(telegram):
    """/close says what it would do, and only /close yes does it, for the user's own accounts."""
    create_user(by="test", user_id=1, telegram_id=CHAT)
    create_user(by="test", user_id=2)
    add_account("1", "main")
    add_account("2", "theirs")
    write("/close", update_id=1)
    assert pump.bodies("orders-paper") == []
    write("/close YES", update_id=2)
    write("/close YES", update_id=2)
    assert [message["account_id"] for message in pump.bodies("orders-paper")] == ["1-main"]
    drain()
    assert [said.partition(".")[0] for said in texts(telegram)] == [
        "This cancels all open orders and closes all positions on 1 accounts",
        "Closing 1 accounts",
    ]


def test_what_an_admin_halted_stays(telegram):
    """A user cannot lift an administrator's halt."""
    create_user(by="test", user_id=1, telegram_id=CHAT)
    halts.set_switch(halts.Switch(halts.Scope.USER, "1", "1"), halted=True, by="9", admin=True)
    write("/resume")
    drain()
    assert halted()
    assert texts(telegram) == ["An administrator halted trading; only an administrator can lift that."]


def test_an_update_is_handled_once(telegram):
    """A /halt that Telegram posts again, after a /resume, halts nothing and says nothing."""
    create_user(by="test", user_id=1, telegram_id=CHAT)
    write("/halt", update_id=1)
    write("/resume", update_id=2)
    assert write("/halt", update_id=1)[0] == 200
    drain()
    assert not halted()
    assert len(texts(telegram)) == 2


def test_status_in_the_readers_language(telegram):
    """/status shows the settings, in the language of the person's Telegram or the one they chose."""
    user = bearer(create_user(by="test", user_id=1, telegram_id=CHAT).user_id)
    write("/status", language="ru-RU", update_id=1)
    on("PATCH", "/telegram", user, {"language": "zh"})
    write("/status", language="ru", update_id=2)
    drain()
    assert texts(telegram)[0].startswith(
        "Пользователь 1, активен\nТорговля: идёт\nРынок: spot, demo, плечо 1"
    )
    assert texts(telegram)[1].startswith("用户 1")


def test_positions_of_simulated_accounts(telegram):
    """/positions lists what paper accounts hold, without zeros behind the figures."""
    create_user(by="test", user_id=1, telegram_id=CHAT)
    account_id = add_account("1")
    write("/positions", update_id=1)
    aws.write(
        aws.put_write(
            "portfolios",
            {"account_id": account_id, "item": "asset#BTC", "quantity": 5, "average_price": 65000},
        )
    )
    write("/positions", update_id=2)
    drain()
    assert texts(telegram) == [
        "Your simulated accounts hold nothing but cash.",
        "main (paper)\n  BTC: 5 at 65000",
    ]


def test_groups_get_nothing(telegram):
    """In a group others would read along, so a command there does nothing."""
    create_user(by="test", user_id=1, telegram_id=CHAT)
    write("/halt", chat_id=-100, type_="group")
    write("hello", chat_id=-100, type_="group", update_id=2)
    drain()
    assert texts(telegram, -100) == ["I only work in a private chat."]
    assert not halted()


def test_choosing_what_to_be_told(user):
    """Events and language are chosen, shown and set back.

    Two editors of one version do not overwrite each other.
    """
    chosen = {"telegram_events": ["order.filled", "TICKET.*"], "language": "ko", "version": 1}
    status, body, _ = on("PATCH", "/telegram", user, chosen)
    assert (status, body["telegram_events"], body["language"], body["version"]) == (
        200,
        ["order.filled", "ticket.*"],
        "ko",
        2,
    )
    assert on("PATCH", "/telegram", user, chosen)[1]["code"] == "version_conflict"
    assert on("PATCH", "/telegram", user, {"telegram_events": None})[1]["telegram_events"] == ["*"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"language": "xx"}, "language"),
        ({"telegram_events": "all"}, "telegram_events"),
        ({"telegram_events": ["#"]}, "telegram_events"),
        ({"x": 1}, "x"),
    ],
)
def test_bad_choices_are_named(user, body, field):
    """A wrong field is a 400 that names it."""
    status, answer, _ = on("PATCH", "/telegram", user, body)
    assert status == 400
    assert field in answer["error"]


@pytest.mark.parametrize(
    "command", ["/status", "/positions", "/halt", "/resume", "/start", "/help", "/xc", "hello"]
)
def test_a_deactivated_user_is_refused_every_command(telegram, user, command):
    """The bot does nothing for a deactivated user, and says nothing but that."""
    change.update_user("1", {"telegram_id": CHAT}, by="test")
    change.set_active("1", active=False, by="test")
    write(command)
    drain()
    assert [said for said in texts(telegram) if "not active" not in said.lower()] == []
    assert texts(telegram)
    assert not halted()


def test_a_deactivated_users_link_code_links_nothing(telegram, user):
    """A code that was offered before opens no chat afterwards."""
    code = links.offer("1", datetime.now(UTC), by="1")["code"]
    change.set_active("1", active=False, by="test")
    write(f"/start {code}")
    drain()
    assert links.owner(CHAT) is None


def test_an_update_may_be_deeper_than_our_own_bodies():
    """Telegram nests replies, polls and their formatted options."""
    update = {"update_id": 77}
    inner = update
    for name in ("message", "reply_to_message", "poll", "option", "entity", "user", "more", "more", "more"):
        inner[name] = {}
        inner = inner[name]
    update["message"] |= {"chat": {"id": 1, "type": "group"}}
    assert post(update)[0] == 200
