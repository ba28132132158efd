"""The process may die after any of its calls to AWS.

No acknowledged signal is lost, none is traded twice, no event is published twice.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.events import publish
from chalicelib.signals import sweep
from functions import execute_orders, publish_events, receive_signals
from testkit import pump, records
from testkit.crash import Killed, killed_after
from testkit.gateway import CONTEXT, call, queue_event, stream_event

ALERT = {"symbol": "AAPL", "side": "buy", "qty": 100, "price": 185.50}
LATER = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def trader(emulated: None) -> None:
    """A user who trades on paper without a token."""
    records.add_user("1", require_token=False)
    records.add_account("1")


def send() -> int:
    """The alert, not waiting for its result."""
    return call(receive_signals.app, "POST", "/api/webhook", ALERT, query={"wait": "0"})[0]


def settle_everything() -> None:
    """What happens by itself within two minutes: queues, sweep, streams."""
    pump.execute()
    sweep.requeue(timedelta(0), datetime.now(UTC) + LATER)
    pump.execute()
    pump.publish()
    publish.sweep(timedelta(0), datetime.now(UTC) + LATER)


def one_trade() -> None:
    """Exactly one order and one fill, published once, at the seed's cost."""
    orders = [item for item in pump.items("orders") if "#" in item["leg"]]
    assert [order["status"] for order in orders] == ["filled"]
    [order_store] = [item for item in pump.items("portfolios") if item["item"] == "ledger"]
    assert f"{order_store['cash']['USD']:.2f}" == "81422.44"
    for stream in ("admin", "user#1"):
        told = pump.events(stream)
        assert [event["type"] for event in told] == ["signal.accepted", "order.filled", "position.changed"]
        assert [int(event["sequence"]) for event in told] == [1, 2, 3]
    assert pump.items("outbox") == []
    assert not [item for item in pump.items("signals") if "unqueued" in item]


@pytest.mark.parametrize("died_after", [1, 2, 3])
def test_acceptance(died_after: int) -> None:
    """Acceptance dies after each of its three calls; the sender, unanswered, sends the same bytes again."""
    with killed_after(died_after) as made, pytest.raises(Killed):
        send()
    assert made == ["BatchGetItem", "TransactWriteItems", "SendMessageBatch"][:died_after]
    assert send() == 202
    settle_everything()
    one_trade()


@pytest.mark.parametrize("died_after", [2, 3])
def test_acceptance_without_a_second_try(died_after: int) -> None:
    """A stored signal is traded, even if it is never sent again."""
    with killed_after(died_after), pytest.raises(Killed):
        send()
    settle_everything()
    one_trade()


def test_acceptance_makes_three_calls() -> None:
    """Accepting a signal for one account takes three calls to AWS."""
    with killed_after(99) as made:
        assert send() == 202
    assert made == ["BatchGetItem", "TransactWriteItems", "SendMessageBatch"]


@pytest.mark.parametrize("died_after", [1, 2, 3, 4])
def test_execution(died_after: int) -> None:
    """The order worker dies after each of its calls; SQS delivers the message again."""
    assert send() == 202
    event = queue_event(pump.messages("orders-paper"))
    with killed_after(died_after) as made, suppress(Killed):
        execute_orders.handler(event, CONTEXT)
    assert len(made) == died_after
    execute_orders.handler(event, CONTEXT)
    settle_everything()
    one_trade()


def test_execution_makes_at_most_five_calls() -> None:
    """A paper order takes at most five calls to AWS."""
    send()
    with killed_after(99) as made:
        pump_event = queue_event(pump.messages("orders-paper"))
        made.clear()
        execute_orders.handler(pump_event, CONTEXT)
    assert len(made) <= 5, made


def test_the_same_message_twice() -> None:
    """SQS delivers a message twice, in one batch and again later: one order."""
    send()
    [message] = pump.messages("orders-paper")
    again = message | {"MessageId": "another"}
    assert execute_orders.handler(queue_event([message, again]), CONTEXT) == {"batchItemFailures": []}
    assert execute_orders.handler(queue_event([message]), CONTEXT) == {"batchItemFailures": []}
    settle_everything()
    one_trade()


@pytest.mark.parametrize("died_after", range(1, 9))
def test_publishing(died_after: int) -> None:
    """The publisher dies after each of its calls.

    The stream delivers its records again, and they keep their sequence.
    """
    send()
    pump.execute()
    event = stream_event(pump.items("outbox"))
    with killed_after(died_after) as made, suppress(Killed):
        publish_events.handler(event, CONTEXT)
    assert len(made) == died_after
    publish_events.handler(event, CONTEXT)
    told = [
        message for message in pump.bodies("realtime") if "stream" in message
    ]  # the others are prices seen
    one_trade()
    # The topic drops a duplicate within five minutes by its deduplication id, and a duplicate carries the
    # same sequence in any case.
    assert {(message["stream"], message["sequence"]) for message in told} == {
        (s, n) for s in ("admin", "user#1") for n in (1, 2, 3)
    }


def test_an_unpublished_event_is_swept() -> None:
    """The minute sweeper publishes events with a lost stream record, and only those that have waited."""
    send()
    assert publish.sweep(LATER, datetime.now(UTC)) == 0
    assert publish.sweep(timedelta(0), datetime.now(UTC) + LATER) == 1
    assert [event["type"] for event in pump.events()] == ["signal.accepted"]


def test_two_publishers_at_once() -> None:
    """Two publishers with the same events give each event one place."""
    send()
    ids = [(item["owner"], item["event_id"]) for item in pump.items("outbox")]
    assert publish.publish(ids) == 1
    assert publish.publish(ids) == 0
    assert [int(event["sequence"]) for event in pump.events()] == [1]


def test_messages_carry_no_secret() -> None:
    """Neither the order message nor the events contain a token."""
    token = records.add_token("1")
    call(receive_signals.app, "POST", "/api/webhook", ALERT | {"token": token}, query={"wait": "0"})
    stored = json.dumps(
        [pump.items(table) for table in ("signals", "outbox", "webhook_logs", "orders")], default=str
    )
    queued = json.dumps(pump.bodies("orders-paper"))
    assert token.rpartition("_")[2] not in stored + queued
