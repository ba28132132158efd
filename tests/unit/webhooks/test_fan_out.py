"""Events become deliveries: in batches, in order, and the lag of that."""

from datetime import timedelta

import pytest

from chalicelib import aws
from chalicelib.telemetry import Metric
from chalicelib.webhooks.delivery import create_deliveries, fan_out, lag, worker
from functions import deliver_webhooks

from .conftest import OK, START, World


@pytest.fixture
def calls(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the calls to AWS."""
    made: list[str] = []
    client = world.client

    class Named:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            made.append(name)
            return getattr(self.inner, name)

    monkeypatch.setattr(aws, "client", lambda service, endpoint=None: Named(client(service, endpoint)))
    return made


def test_a_batch_is_matched_together(world: World, calls: list[str]) -> None:
    """Ten events for five subscriptions take a few calls per subscription, not per event."""
    for _ in range(5):
        world.subscribe()
    calls.clear()
    world.publish(*(world.event(entity=f"order#{number % 7}") for number in range(10)))
    assert len(world.deliveries()) == 50
    assert len(calls) <= 5 * 2 + 5 + 3, calls
    for webhook_id in range(1, 6):
        mine = [delivery for delivery in world.deliveries() if delivery.webhook_id == webhook_id]
        assert [delivery.sequence for delivery in mine] == list(range(1, 11))
        assert [delivery.event_id for delivery in mine] == [f"event-{number}" for number in range(1, 11)]
        assert [delivery.blocked for delivery in mine] == [False] * 7 + [True] * 3
        assert {delivery.delivery_id for delivery in mine if delivery.blocked} == {
            delivery.next_delivery_id for delivery in mine if delivery.next_delivery_id
        }


def test_many_events_and_a_slow_endpoint(world: World) -> None:
    """A burst to five subscriptions, one of which always fails.

    The others get everything at once, in order within each ordering key.
    """
    for number in range(5):
        world.subscribe(url=f"https://example.com/{number}")
    world.answer = lambda sent: (
        OK.model_copy(update={"status": 500, "error": "http_500"}) if sent["url"].endswith("/0") else OK
    )
    world.publish(*(world.event(entity=f"order#{number % 15}") for number in range(50)))
    world.work()
    for webhook_id in range(2, 6):
        assert world.counters(webhook_id)["delivered"] == 50
        sent = [each for each in world.sent if each["headers"]["X-Webhook-Id"] == str(webhook_id)]
        for entity in range(15):
            order = [int(each["headers"]["X-Webhook-Sequence"]) for each in sent]
            mine = [number for number in order if (number - 1) % 15 == entity]
            assert mine == sorted(mine)
    assert world.counters(1)["pending"] == 50


def test_a_batch_that_was_partly_matched_goes_on(world: World) -> None:
    """Events with deliveries keep them; later ones follow, also within an ordering key."""
    world.subscribe()
    events = [world.event(entity=f"order#{number % 2}") for number in range(6)]
    world.publish(*events[:3])
    before = world.deliveries()
    world.publish(*events)
    assert [delivery.event_id for delivery in world.deliveries()] == [event.event_id for event in events]
    assert [delivery.placed for delivery in world.deliveries()][:3] == [
        delivery.placed for delivery in before
    ]
    world.work()
    assert world.counters()["delivered"] == 6
    order = [int(sent["headers"]["X-Webhook-Sequence"]) for sent in world.sent]
    assert [number for number in order if number % 2] == [1, 3, 5]


def test_the_same_event_twice_in_a_batch_is_one_delivery(world: World) -> None:
    """A redelivered record next to the first one."""
    world.subscribe()
    event = world.event()
    fan_out.fan_out_all([event, event], world.now)
    assert len(world.deliveries()) == 1


def test_a_record_that_nobody_understands_holds_back_only_those_behind_it(world: World) -> None:
    """A batch with a broken record is matched up to it."""
    world.subscribe()
    records = [
        {
            "messageId": str(number),
            "body": body,
            "attributes": {"MessageGroupId": "admin"},
            "eventSource": "aws:sqs",
        }
        | {
            "eventSourceARN": "arn:aws:sqs:eu-central-1:1:webhooks.fifo",
            "messageAttributes": {},
            "receiptHandle": "r",
            "awsRegion": "x",
        }
        for number, body in enumerate([world.event().model_dump_json(), "{", world.event().model_dump_json()])
    ]
    failed = deliver_webhooks.handler({"Records": records}, None)["batchItemFailures"]
    assert [each["itemIdentifier"] for each in failed] == ["1", "2"]
    assert len(world.deliveries()) == 1


def test_a_subscription_hears_nothing_from_before_it_existed(world: World) -> None:
    """A subscription gets no event from before its creation."""
    early = world.event()
    world.now += timedelta(seconds=1)
    world.subscribe()
    late = world.event()
    world.publish(early, late)
    assert [delivery.event_id for delivery in world.deliveries()] == [late.event_id]


def test_a_subscription_that_is_paused_while_a_batch_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries created for a paused subscription that has just been resumed go out.

    A deleted one gets none.
    """
    world.subscribe()
    world.call("POST", "/webhooks/1/pause")
    stale = world.webhook()
    world.call("POST", "/webhooks/1/resume")
    made = create_deliveries.create_deliveries([world.event(), world.event()], stale, world.now)
    assert [delivery.state for delivery in made] == ["pending", "pending"]
    world.call("DELETE", "/webhooks/1")
    assert create_deliveries.create_deliveries([world.event()], stale, world.now) == []


def test_the_lag_is_the_age_of_the_oldest_event_not_yet_matched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics and the metric have a stream's lag; it is zero at the end of the stream."""
    measured: list[tuple[Metric, float]] = []
    monkeypatch.setattr(worker, "measure", lambda metric, value: measured.append((metric, value)))
    world.subscribe()
    events = [world.event() for _ in range(3)]
    for event in events:
        aws.write(aws.put_write("events", event.model_dump() | {"timestamp": event.timestamp.isoformat()}))
    aws.write(aws.update_write("events", {"stream": "admin", "sequence": 0}, "SET #last = :last", last=3))
    world.now += timedelta(seconds=30)
    world.publish(events[0])
    world.now += timedelta(seconds=10)
    assert world.call("GET", "/webhooks/stats").body["lag_s"] == 40
    assert world.call("GET", "/webhooks/1/stats").body["lag_s"] == 40
    world.publish(*events[1:], *events[:1])  # an earlier batch changes nothing
    assert world.call("GET", "/webhooks/stats").body["webhooks"][0]["lag_s"] == 0
    assert measured == [(Metric.MATCHING_LAG, 30.0), (Metric.MATCHING_LAG, 40.0)]
    assert lag.lags(["user#7"], world.now) == {"user#7": 0}
    assert lag.lags([], START) == {}
