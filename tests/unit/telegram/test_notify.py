"""Telling users: which events, in whose words, and what happens when Telegram does not take them."""

import json
import time
import traceback
from datetime import UTC, datetime, timedelta
from io import StringIO

import boto3
import pytest

from chalicelib import aws, config
from chalicelib.errors import Misconfigured, Retryable
from chalicelib.events.models import LoggedEvent
from chalicelib.events.topic import message
from chalicelib.telegram import api, store
from chalicelib.telegram.notify import notify
from chalicelib.telegram.texts import catalogue
from chalicelib.telegram.wording import of_event
from chalicelib.telemetry import log
from chalicelib.users.create import create_user
from testkit import telegram_api
from tests.unit.telegram.conftest import CHAT, drain, texts, write

FILL = {
    "exchange": "binance",
    "symbol": "BTC/USDT",
    "side": "buy",
    "quantity": "0.0015",
    "filled": "0.0015",
    "average_price": "65000.1",
    "value": "97.50",
    "fee": "0.0975",
    "fee_currency": "USDT",
    "status": "filled",
}


@pytest.fixture
def linked(cloud):
    """User 1, whose chat is known."""
    create_user(by="test", user_id=1, telegram_id=CHAT)


def event(type_="order.filled", payload=None, *, number=1, stream="user#1", user_id="1"):
    return LoggedEvent(
        stream=stream,
        sequence=number,
        event_id=f"event-{number}",
        type=type_,
        payload=FILL if payload is None else payload,
        entity="x",
        user_id=user_id,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )


def choose(**settings):
    item = aws.get("users", {"user_id": "1", "part": "settings"})
    aws.write(aws.put_write("users", item | settings))


def queued(*events):
    for each in events:
        boto3.client("sqs").send_message(
            QueueUrl=config.queue("telegram"),
            MessageBody=message(each),
            MessageGroupId=each.stream,
            MessageDeduplicationId=f"{each.stream}:{each.sequence}",
        )


def test_a_fill_is_told(telegram, linked):
    """A user reads the fill, its price and cost."""
    notify(message(event()))
    assert texts(telegram) == [
        "Filled: BUY 0.0015 BTC/USDT at 65000.1 on binance\nValue 97.50, fee 0.0975 USDT"
    ]


def test_what_is_told_of_which_event(linked):
    """Each kind of event has its sentence; an event of no interest to the user has none."""
    refusal = {
        "exchange": "paper",
        "symbol": "AAPL",
        "action": "buy",
        "refused": [{"code": "insufficient_funds", "values": {"needed": "5", "available": "1"}}],
    }
    ticket = {"ticket_id": 4, "title": "No fill"}
    expected = {
        (
            "signal.refused",
            json.dumps(refusal),
        ): "Refused: BUY AAPL on paper: Insufficient funds: 5 needed, 1 available",
        ("signal.accepted", "{}"): None,
        ("order.opened", json.dumps(FILL)): "Order placed: BUY 0.0015 BTC/USDT on binance",
        ("order.rejected", json.dumps(FILL | {"code": "no_price"})): (
            "Rejected: BUY 0.0015 BTC/USDT on binance: "
            "No market price is known for the symbol; send one as price"
        ),
        ("order.expired", json.dumps(FILL)): "Order BUY 0.0015 BTC/USDT on binance: filled",
        (
            "payment.completed",
            '{"payment_id": 9, "amount": "50.00", "currency": "USDT"}',
        ): "Payment 9 is completed: 50.00 USDT",
        ("transaction.created", '{"type": "payment"}'): None,
        (
            "transaction.created",
            '{"type": "adjustment", "amount": "-5", "currency": "EUR", "balance_after": "1"}',
        ): ("Your balance has changed by -5 EUR and is now 1 EUR"),
        ("ticket.created", json.dumps(ticket)): "Ticket 4 is open: No fill",
        (
            "ticket.message_added",
            json.dumps(ticket | {"is_from_admin": True, "message": "Which?"}),
        ): "Ticket 4, No fill:\nWhich?",
        ("ticket.message_added", json.dumps(ticket | {"is_from_admin": False, "message": "x"})): None,
        ("ticket.status_changed", json.dumps(ticket | {"old_status": "open", "new_status": "pending"})): None,
        (
            "ticket.status_changed",
            json.dumps(ticket | {"old_status": "open", "new_status": "closed"}),
        ): "Ticket 4 is closed: No fill",
        ("trading.halted", '{"reason": "maintenance"}'): (
            "Trading is halted: maintenance. Nothing more is opened; "
            "closing, reducing and cancelling still work."
        ),
        ("trading.halted", '{"scope": "strategy", "group_name": "g", "reason": "max_daily_loss"}'): (
            "Strategy g is halted: the daily loss has reached its limit. Nothing more is opened by it; "
            "closing, reducing and cancelling still work."
        ),
        ("trading.resumed", '{"scope": "strategy", "group_name": "g", "reason": ""}'): "Strategy g goes on.",
        ("account.resumed", '{"account_id": "3", "reason": ""}'): "Trading on account 3 goes on.",
        ("webhook.disabled", '{"webhook_id": 1, "name": "My Webhook", "reason": "failing"}'): (
            "Webhook My Webhook is switched off: failing. What it misses is kept for it."
        ),
        (
            "webhook.delivery_dead",
            '{"webhook_id": 1, "name": "My Webhook", "event_type": "order.filled", "attempts": 10}',
        ): (
            "Webhook My Webhook did not take an event (order.filled) in 10 attempts. "
            "The delivery is given up and can be replayed."
        ),
        (
            "webhook.enabled",
            '{"webhook_id": 1, "name": "My Webhook"}',
        ): "Webhook My Webhook is back; what it missed is on its way.",
        ("user.updated", "{}"): None,
    }
    assert {key: of_event(event(key[0], json.loads(key[1])), "en") for key in expected} == expected


@pytest.mark.parametrize("language", ["en", "ko", "zh", "ar", "ru"])
def test_every_language_has_every_text(language):
    """A text added in one language is not forgotten in another, and shows something in each."""
    assert catalogue(language).keys() == catalogue("en").keys()
    assert all(catalogue(language).values())
    assert of_event(event(), language)


REFUSAL = {
    "code": "exchange_refused",
    "values": {"exchange": "binance", "exchange_code": "-4045", "reason": "Reach max stop order limit."},
}


@pytest.mark.parametrize("type_", ["order.rejected", "order.protection_failed"])
def test_the_exchanges_code_and_words_are_told(type_):
    """A refused order and a missing stop-loss are notified with the exchange's words."""
    order = {
        "side": "buy",
        "symbol": "BTCUSDT",
        "exchange": "binance",
        "quantity": "0.1",
        "filled": "0.1",
        "missing": "stop_loss",
    }
    said = of_event(event(type_, order | REFUSAL), "en")
    assert "Reach max stop order limit. (-4045)" in said


def test_the_users_choices(telegram, linked):
    """Only the chosen events are notified, in the chosen language."""
    choose(telegram_events=["payment.*"], language="ru")
    notify(message(event()))
    notify(
        message(event("payment.completed", {"payment_id": 9, "amount": "50", "currency": "USDT"}, number=2))
    )
    assert texts(telegram) == ["Платёж 9 завершён: 50 USDT"]


def test_nobody_else_is_told(telegram, linked):
    """Events of the admins' stream, and of users without a chat, notify no user."""
    create_user(by="test", user_id=2)
    notify(message(event(stream="admin")))
    notify(message(event(stream="user#2", user_id="2")))
    notify(message(event(stream="user#3", user_id="3")))
    assert list(telegram.sent) == []


def test_an_event_is_told_once(telegram, linked):
    """The same event from the queue again sends nothing."""
    for _ in range(3):
        notify(message(event()))
    assert len(texts(telegram)) == 1


def test_somebody_else_is_sending(telegram, linked):
    """A message that another worker is sending is skipped.

    After that worker's crash, the message goes out.
    """
    now = datetime.now(UTC)
    store.claim_message(CHAT, "event-1", now)
    with pytest.raises(Retryable):
        notify(message(event()))
    store.release(CHAT, "event-1")
    store.claim_message(CHAT, "event-1", now - timedelta(minutes=5))
    notify(message(event()))
    assert len(texts(telegram)) == 1


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 502}, {"status": 503}, {"status": 429, "retry_after": 3}]
)
def test_a_fault_is_tried_again_until_it_is_gone(telegram, linked, fault):
    """Whatever Telegram answers for a while, the message arrives, once."""
    telegram.faults.append(fault | {"times": 4})
    for _ in range(4):
        with pytest.raises(Retryable):
            notify(message(event()))
    notify(message(event()))
    assert len(texts(telegram)) == 1


def test_a_pause_is_kept_and_the_order_with_it(telegram, linked, monkeypatch):
    """On 429 the message and those behind it are hidden for as long as Telegram says.

    Another user's are not delayed.
    """
    create_user(by="test", user_id=2, telegram_id=99)
    pauses = []
    client = aws.client("sqs")
    real = client.change_message_visibility_batch
    monkeypatch.setattr(
        client,
        "change_message_visibility_batch",
        lambda **call: (pauses.append(call["Entries"]), real(**call)),
    )
    telegram.faults.append({"status": 429, "retry_after": 1, "chat_id": CHAT})
    queued(event(number=1), event(number=2), event(number=3, stream="user#2", user_id="2"))
    assert len(drain(times=1)) == 2
    assert [entry["VisibilityTimeout"] for entry in pauses[0]] == [1, 1]
    assert (texts(telegram), len(texts(telegram, 99))) == ([], 1)
    assert telegram.attempts.count(CHAT) == 1
    time.sleep(1.2)
    drain()
    assert len(texts(telegram)) == 2


def test_waits_grow_to_more_than_an_hour_of_tries(telegram, linked, monkeypatch):
    """The receives that the queue allows last for hours, so nothing is lost while Telegram is down."""
    from chalicelib.telegram import queue
    from infra import stack
    from tests.unit.telegram.conftest import record

    waits = []
    monkeypatch.setattr(
        aws.client("sqs"),
        "change_message_visibility_batch",
        lambda **call: waits.append(call["Entries"][0]["VisibilityTimeout"]),
    )
    for receives in range(1, stack.load().queues["telegram"].definition.receive_limit + 1):
        queue.hold([record("{}", receives=receives)], frozenset(["m1"]), {})
    assert waits[:7] == [5, 10, 20, 40, 80, 160, 300]
    assert sum(waits) > 3600


def test_a_chat_that_blocked_the_bot_is_left_alone(telegram, linked):
    """After a 403 nothing more is sent, until the person writes to the bot again."""
    telegram.faults.append({"status": 403})
    notify(message(event(number=1)))
    notify(message(event(number=2)))
    assert (texts(telegram), len(telegram.attempts)) == ([], 1)
    write("/help")
    drain()
    notify(message(event(number=3)))
    assert len(texts(telegram)) == 2


def test_a_block_is_heard_of(telegram, linked):
    """Telegram reports that a user blocked the bot."""
    from tests.unit.telegram.conftest import post

    post(
        {
            "update_id": 8,
            "my_chat_member": {
                "chat": {"id": CHAT, "type": "private"},
                "new_chat_member": {"status": "kicked"},
            },
        }
    )
    notify(message(event()))
    assert telegram.attempts == []


def test_what_telegram_never_takes_holds_up_nothing(telegram, linked):
    """A message that is refused for good is given up, and the next one goes out."""
    telegram.faults.append({"status": 400, "description": "Bad Request: message is malformed"})
    notify(message(event(number=1)))
    notify(message(event(number=2)))
    assert len(texts(telegram)) == 1


def test_a_long_text_is_cut(telegram, linked):
    """Telegram takes 4096 characters."""
    notify(
        message(
            event(
                "ticket.message_added",
                {"ticket_id": 1, "title": "x" * 200, "message": "y" * 4000, "is_from_admin": True},
            )
        )
    )
    assert len(texts(telegram)[0]) == 4096


def test_slowness_is_a_fault_like_any_other(telegram, linked, monkeypatch):
    """A Telegram that does not answer in time is tried again."""
    monkeypatch.setattr(api, "TIMEOUT_S", 0.2)
    telegram.faults.append({"delay_s": 1, "status": 500})
    with pytest.raises(Retryable, match="ReadTimeout"):
        notify(message(event()))
    notify(message(event()))
    assert len(texts(telegram)) == 1


@pytest.mark.parametrize(
    "setting", ["http://127.0.0.1:1", "http://no-such-host.invalid", "nonsense", "http://[broken"]
)
def test_no_error_shows_the_token(telegram, linked, monkeypatch, setting, caplog):
    """Neither the error nor what led to it nor a log line holds the bot's token."""
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_API", setting)
    caplog.set_level("DEBUG")
    written = StringIO()
    monkeypatch.setattr(log.handlers[0], "stream", written)
    with pytest.raises(Retryable) as raised:
        notify(message(event()))
    shown = (
        "".join(traceback.format_exception(raised.value))
        + repr(raised.value.__context__)
        + repr(raised.value.__cause__)
    )
    queued(event(number=2))
    drain(times=1)
    assert "not reachable" in written.getvalue()
    for text in (shown, caplog.text, written.getvalue()):
        assert telegram_api.TOKEN not in text


def test_a_wrong_token_says_so_without_saying_it(telegram, linked, monkeypatch):
    """A token that Telegram does not know is the deployment's fault; the message waits."""
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_BOT_TOKEN", "77:wrong")
    with pytest.raises(Misconfigured) as raised:
        notify(message(event()))
    assert "77:wrong" not in str(raised.value)
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_BOT_TOKEN", telegram_api.TOKEN)
    notify(message(event()))
    assert len(texts(telegram)) == 1
