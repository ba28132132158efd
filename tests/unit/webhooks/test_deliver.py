"""Deliveries in simulated time: times of attempts, paused deliveries, counters."""

import json
import random
from datetime import timedelta

import jsonschema_rs
import pytest

from chalicelib.events import event_types
from chalicelib.webhooks.delivery import schedule
from chalicelib.webhooks.models import Outcome

from .conftest import OK, START, World

DOWN = Outcome(error="connection", duration_ms=3)


def failing(status: int, **more: str) -> Outcome:
    return Outcome(status=status, error=f"http_{status}", duration_ms=3, **more)


def test_an_event_reaches_its_subscriber_once_with_the_published_headers(world: World) -> None:
    """A matching event is posted once, as the published client expects it, and counted as delivered."""
    world.subscribe("order.filled")
    world.publish(world.event(order_id="o-1", value="18559.00"))
    world.work()
    [sent] = world.sent
    assert sent["body"] == '{"order_id": "o-1", "value": "18559.00"}'
    assert sent["headers"]["X-Webhook-Event"] == "order.filled"
    assert sent["headers"]["X-Webhook-Id"] == "1"
    assert sent["headers"]["X-Webhook-Sequence"] == "1"
    assert world.counters() == {
        "matched": 1,
        "pending": 0,
        "paused": 0,
        "delivered": 1,
        "dead": 0,
        "failing": 0,
    }
    assert set(world.sqs.groups) == {"webhook-1"}


def test_retries_follow_the_schedule(world: World) -> None:
    """Failed attempts are retried after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.

    The id stays the same.
    """
    world.subscribe()
    world.answer = lambda _: failing(500)
    world.publish(world.event())
    world.until(START + timedelta(days=3, hours=12))
    gaps = [later["at"] - earlier["at"] for earlier, later in zip(world.sent, world.sent[1:], strict=False)]
    wanted = [
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
    ]
    assert len(gaps) == len(wanted)
    assert all(want <= gap <= want + timedelta(minutes=1) for gap, want in zip(gaps, wanted, strict=True)), (
        gaps
    )
    assert len({sent["id"] for sent in world.sent}) == 1
    assert len({sent["headers"]["webhook-timestamp"] for sent in world.sent}) == len(world.sent)


def test_a_delivery_that_alone_fails_is_given_up_in_the_end(world: World) -> None:
    """A delivery without retries left is dead if others succeed.

    It can be replayed under the same id.
    """
    world.subscribe()
    world.answer = lambda sent: failing(400) if '"bad"' in sent["body"] else OK
    world.publish(world.event(entity="order#1", kind="bad"))
    for day in range(5):
        world.publish(world.event(entity=f"order#{day + 2}", kind="good"))
        world.passes(days=1)
    assert world.counters() | {"failing": 0} == {
        "matched": 6,
        "pending": 0,
        "paused": 0,
        "delivered": 5,
        "dead": 1,
        "failing": 0,
    }
    assert world.webhook().is_active
    [dead] = [row for row in world.rows("outbox") if row["type"] == "webhook.delivery_dead"]
    assert dead["user_id"] == "1"
    assert dead["payload"] == {
        "webhook_id": 1,
        "name": "My Webhook",
        "delivery_id": world.sent[0]["id"],
        "event_id": "event-1",
        "event_type": "order.filled",
        "attempts": 10,
        "response_status": 400,
        "error": "http_400",
    }
    jsonschema_rs.validate(event_types.find("webhook.delivery_dead").json_schema, dead["payload"])
    world.answer = lambda _: OK
    answer = world.call("POST", "/webhooks/1/replay")
    assert (answer.status, answer.body) == (202, {"replayed": 1, "next": None})
    world.work()
    assert world.counters()["delivered"] == 6
    assert world.sent[-1]["id"] == world.sent[0]["id"]


def test_the_death_of_such_an_event_is_no_event(world: World) -> None:
    """A dead delivery of `webhook.delivery_dead` publishes no further such event."""
    world.subscribe("webhook.*")
    world.answer = lambda sent: (
        failing(400) if sent["headers"]["X-Webhook-Event"] == "webhook.delivery_dead" else OK
    )
    world.publish(world.event("webhook.delivery_dead", entity="webhook#9", delivery_id="msg_1"))
    for day in range(5):
        world.publish(world.event("webhook.enabled", entity=f"webhook#{day}"))
        world.passes(days=1)
    assert world.counters()["dead"] == 1
    assert {row["type"] for row in world.rows("outbox")} <= {"webhook.created"}


def test_a_receiver_that_limits_gets_everything(world: World) -> None:
    """A receiver that takes one request in 1.3 s and answers 429 to the others soon has everything."""
    free = [START]

    def limited(sent):
        if sent["at"] < free[0]:
            return failing(429, retry_after="8")
        free[0] = sent["at"] + timedelta(seconds=1.3)
        return OK

    world.subscribe()
    world.answer = limited
    world.jitter = random.Random(1).random
    world.publish(*(world.event(entity=f"order#{number}") for number in range(30)))
    world.passes(minutes=4)
    assert world.counters() == {
        "matched": 30,
        "pending": 0,
        "paused": 0,
        "delivered": 30,
        "dead": 0,
        "failing": 0,
    }


@pytest.mark.parametrize(
    "retry_after",
    ["0", "1", "8", "Mon, 02 Mar 2026 11:00:00 GMT", "Mon, 02 Mar 2026 12:00:00 +9999999999999"],
)
def test_what_a_receiver_asks_for_never_makes_attempts_more_frequent(world: World, retry_after: str) -> None:
    """However short or absurd `Retry-After` is, every attempt is recorded.

    A delivery is tried a few dozen times in three days.
    """
    world.subscribe()
    world.answer = lambda _: failing(503, retry_after=retry_after)
    world.publish(world.event())
    world.passes(days=3)
    assert len(world.attempts()) == len(world.sent)
    assert len(world.sent) <= (60 if retry_after == "8" else 10)
    assert world.webhook().failing_since == START
    world.passes(days=3)
    assert world.webhook().status == "disabled"


def test_a_verdict_that_fails_is_recorded_and_the_schedule_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an answer cannot be judged, the attempt is recorded and the retry is at the schedule's time."""

    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(schedule, "after_failure", broken)
    world.subscribe()
    world.answer = lambda _: failing(500)
    world.publish(world.event())
    world.work()
    [delivery] = world.deliveries()
    assert (len(world.attempts()), delivery.next_retry_at) == (1, START + timedelta(seconds=5))


@pytest.mark.parametrize("error", [None, "http_500"])
def test_an_answer_that_cannot_be_stored_leaves_the_attempt_recorded(world: World, error: str | None) -> None:
    """An answer too large for an item loses its text, not the record.

    The others of its batch are recorded as well.
    """
    world.subscribe()
    huge = Outcome(status=500 if error else 200, error=error, response_body="x" * 500_000)
    world.answer = lambda sent: huge if '"huge"' in sent["body"] else OK
    world.publish(world.event(entity="order#1", kind="huge"), world.event(entity="order#2", kind="small"))
    world.work()
    assert len(world.sent) == 2
    assert sorted(attempt["truncated"] for attempt in world.attempts()) == [False, True]
    assert {attempt["response_body"] for attempt in world.attempts()} == {""}
    first, second = world.deliveries()
    assert (first.state, second.state) == ("pending" if error else "delivered", "delivered")
    assert first.next_retry_at == (START + timedelta(seconds=5) if error else None)


def test_a_pause_costs_no_retry(world: World) -> None:
    """A delivery that was paused for days starts its schedule over.

    The first failure after the pause does not end it.
    """
    world.subscribe()
    world.answer = lambda sent: failing(400) if '"bad"' in sent["body"] else OK
    world.publish(world.event(entity="order#1", kind="bad"))
    world.passes(hours=1)
    world.call("POST", "/webhooks/1/pause")
    world.passes(days=4)
    world.call("POST", "/webhooks/1/resume")
    world.publish(world.event(entity="order#2", kind="good"))
    world.passes(hours=1)
    assert (world.counters()["dead"], world.counters()["delivered"]) == (0, 1)


def test_a_week_down_loses_nothing(world: World) -> None:
    """A receiver down for a week is disabled after five days, probed, activated, and gets everything."""
    world.subscribe()
    world.answer = lambda sent: DOWN if sent["at"] < START + timedelta(days=7) else OK
    for hour in range(0, 7 * 24, 12):
        world.until(START + timedelta(hours=hour))
        world.publish(world.event(entity=f"order#{hour % 36}"))
    world.until(START + timedelta(days=6))
    assert world.webhook().status == "disabled"
    assert world.webhook().disabled_reason == "failing"
    assert world.counters()["dead"] == 0
    world.until(START + timedelta(days=10))
    assert world.webhook().is_active
    assert world.counters() == {
        "matched": 14,
        "pending": 0,
        "paused": 0,
        "delivered": 14,
        "dead": 0,
        "failing": 0,
    }
    assert [row["type"] for row in sorted(world.rows("outbox"), key=lambda row: row["created_at"])] == [
        "webhook.created",
        "webhook.disabled",
        "webhook.enabled",
    ]
    last = {
        sent["headers"]["X-Webhook-Sequence"]
        for sent in world.sent
        if sent["at"] >= START + timedelta(days=7)
    }
    assert last == {str(number) for number in range(1, 15)}


def test_410_switches_the_endpoint_off_until_its_owner_is_back(world: World) -> None:
    """410 Gone ends deliveries at once, and no probe follows.

    Missed deliveries go out when the owner resumes.
    """
    world.subscribe()
    world.answer = lambda _: failing(410)
    world.publish(world.event(entity="order#1"))
    world.work()
    world.publish(world.event(entity="order#2"))
    world.passes(days=8)
    assert len(world.sent) == 1
    assert (world.webhook().status, world.webhook().disabled_reason) == ("disabled", "gone")
    assert world.counters()["paused"] == 2
    world.answer = lambda _: OK
    world.call("POST", "/webhooks/1/resume")
    world.passes(minutes=5)
    assert world.counters()["delivered"] == 2


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(world: World, status: int) -> None:
    """On 429 and 503 the next attempt waits as long as the receiver asked, and the API shows until when."""
    world.subscribe()
    world.answer = lambda _: failing(status, retry_after="120") if len(world.sent) == 1 else OK
    world.publish(world.event())
    world.work()
    [shown] = world.call("GET", "/webhooks/1/deliveries").body["items"]
    assert shown["next_retry_at"] == "2026-03-02T12:02:00.000+00:00"
    assert (shown["status"], shown["state"]) == ("failed", "pending")
    world.passes(minutes=5)
    assert [sent["at"] for sent in world.sent] == [START, START + timedelta(seconds=120)]


def test_a_paused_endpoint_misses_nothing_and_drains_at_its_own_rate(world: World) -> None:
    """Events during a pause wait, and then go out no faster than the endpoint's rate limit."""
    world.subscribe(rate_limit=2)
    world.call("PATCH", "/webhooks/1", {"is_active": False})
    world.publish(*(world.event(entity=f"order#{number}") for number in range(30)))
    world.passes(hours=1)
    assert (world.sent, world.counters()["paused"]) == ([], 30)
    resumed = world.now
    world.call("PATCH", "/webhooks/1", {"is_active": True})
    world.passes(minutes=10)
    assert world.counters()["delivered"] == 30
    for second in range(20):
        window = [
            sent
            for sent in world.sent
            if timedelta(seconds=second) <= sent["at"] - resumed < timedelta(seconds=second + 1)
        ]
        assert len(window) <= 4
    assert world.sent[-1]["at"] - resumed >= timedelta(seconds=13)


def test_first_attempts_for_one_entity_go_in_order(world: World) -> None:
    """A delivery waits for the first attempt of the previous one of its ordering key, and only for that."""
    world.subscribe()
    events = [world.event(entity="order#1") for _ in range(4)] + [world.event(entity="order#2")]
    world.publish(*events)
    world.answer = lambda sent: (
        DOWN if sent["headers"]["X-Webhook-Sequence"] == "2" and len(world.sent) < 5 else OK
    )
    assert [delivery.blocked for delivery in world.deliveries()] == [False, True, True, True, False]
    world.work()
    order = [sent["headers"]["X-Webhook-Sequence"] for sent in world.sent]
    assert [number for number in order if number != "5"] == ["1", "2", "3", "4"]
    world.passes(minutes=1)
    assert world.sent[-1]["headers"]["X-Webhook-Sequence"] == "2"
    assert world.counters()["delivered"] == 5


@pytest.mark.parametrize("outcome", [OK, DOWN])
def test_what_is_placed_during_an_attempt_follows_it(world: World, outcome: Outcome) -> None:
    """An event of the same ordering key during an attempt goes out right after it.

    The attempt is recorded.
    """
    world.subscribe()
    world.now += timedelta(microseconds=123_456)

    def answer(_sent: object) -> Outcome:
        if len(world.sent) > 1:
            return OK
        world.publish(world.event())
        return outcome

    world.answer = answer
    world.publish(world.event())
    world.work()
    assert [sent["headers"]["X-Webhook-Sequence"] for sent in world.sent] == ["1", "2"]
    assert [delivery.attempts for delivery in world.deliveries()] == [1, 1]
    assert world.counters()["delivered"] == (2 if outcome is OK else 1)
    world.passes(minutes=1)
    assert world.counters()["delivered"] == 2


def test_order_within_an_entity_survives_a_pause(world: World) -> None:
    """Paused deliveries of one ordering key go out in the order of their events, with later ones."""
    world.subscribe()
    world.publish(world.event())
    world.call("POST", "/webhooks/1/pause")
    world.publish(world.event(), world.event())
    world.passes(minutes=10)
    world.call("POST", "/webhooks/1/resume")
    world.publish(world.event())
    world.passes(minutes=10)
    assert [sent["headers"]["X-Webhook-Sequence"] for sent in world.sent] == ["1", "2", "3", "4"]


def test_an_event_told_twice_is_delivered_once(world: World) -> None:
    """A duplicate of an event makes no second delivery."""
    world.subscribe()
    event = world.event()
    world.publish(event, event)
    world.publish(event)
    world.work()
    world.publish(event)
    world.work()
    assert len(world.sent) == 1


def test_scope_and_filter_decide_who_hears(world: World) -> None:
    """Admin subscriptions get the admin stream, a user's the user's own, filtered by types and filter."""
    world.subscribe("order.*")
    world.subscribe("order.filled", scope="user", user_id="7")
    world.subscribe("*", filter={"symbol": ["BTCUSDT"], "quantity": {"gte": "0.5"}})
    world.publish(world.event(stream="admin", symbol="BTCUSDT", quantity="0.4"))
    world.publish(
        world.event(stream="user#7", symbol="BTCUSDT", quantity="0.5"),
        world.event(stream="user#8", symbol="BTCUSDT", quantity="1"),
    )
    world.publish(world.event("signal.accepted", stream="admin", symbol="BTCUSDT", quantity="0.50"))
    world.work()
    assert sorted(
        (sent["headers"]["X-Webhook-Id"], sent["headers"]["X-Webhook-Event"]) for sent in world.sent
    ) == [
        ("1", "order.filled"),
        ("2", "order.filled"),
        ("3", "signal.accepted"),
    ]


def test_deleting_a_subscription_ends_its_deliveries(world: World) -> None:
    """Paused and pending deliveries of a deleted subscription are given up without an attempt.

    The counters keep them.
    """
    world.subscribe()
    world.publish(*(world.event(entity="order#1") for _ in range(2)))
    world.sqs.waiting.clear()
    world.call("POST", "/webhooks/1/pause")
    world.publish(world.event(entity="order#2"))
    assert world.call("DELETE", "/webhooks/1").status == 200
    world.publish(world.event())
    world.passes(hours=1)
    assert (world.sent, world.counters()["dead"]) == ([], 3)


def test_the_envelope_wraps_the_payload(world: World) -> None:
    """With format envelope the body has ids, type, timestamp and sequence around the data."""
    world.subscribe(format="envelope")
    world.publish(world.event(order_id="o-1"))
    world.work()
    [sent] = world.sent
    assert json.loads(sent["body"]) == {
        "id": sent["id"],
        "event_id": "event-1",
        "type": "order.filled",
        "timestamp": "2026-03-02T12:00:00.000+00:00",
        "sequence": 1,
        "data": {"order_id": "o-1"},
    }


def test_two_subscriptions_tell_one_event_by_its_id(world: World) -> None:
    """The event's id is the same for every subscription and format.

    A plain body is only the payload, as the published receiver needs it.
    """
    world.subscribe()
    world.subscribe(format="envelope")
    event = world.event(order_id="o-1")
    world.publish(event)
    world.work()
    plain, envelope = sorted(world.sent, key=lambda sent: sent["headers"]["X-Webhook-Id"])
    assert (
        {sent["headers"]["X-Webhook-Event-Id"] for sent in world.sent}
        == {"event-1"}
        == {json.loads(envelope["body"])["event_id"]}
    )
    assert plain["id"] != envelope["id"]
    assert plain["body"] == json.dumps({"order_id": "o-1"}, sort_keys=True)
    assert json.loads(envelope["body"])["timestamp"] == event.shown["timestamp"]


def test_a_lost_message_is_found_by_the_sweep(world: World) -> None:
    """A delivery with a lost queue message is attempted a few minutes later."""
    world.subscribe()
    world.publish(world.event())
    world.sqs.waiting.clear()
    world.passes(minutes=6)
    assert world.counters()["delivered"] == 1


def test_replaying_a_time_range_sends_delivered_ones_again(world: World) -> None:
    """A range of deliveries, delivered ones included, is replayed under the same ids."""
    world.subscribe()
    for number in range(3):
        world.publish(world.event(entity=f"order#{number}"))
        world.passes(minutes=10)
    answer = world.call(
        "POST", "/webhooks/1/replay", {"since": "2026-03-02T12:05:00Z", "until": "2026-03-02T12:15:00Z"}
    )
    assert answer.body == {"replayed": 1, "next": None}
    world.work()
    assert [sent["headers"]["X-Webhook-Sequence"] for sent in world.sent] == ["1", "2", "3", "2"]
    assert world.sent[-1]["id"] == world.sent[1]["id"]


def test_nothing_secret_is_logged_or_told(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Secrets, header values, the URL and the payload are in no log line.

    Secrets are in no event, message or history either.
    """
    world.subscribe(
        url="https://example.com/hidden-path", secret="hidden-secret", headers={"X-Key": "hidden-header"}
    )
    world.answer = lambda _: failing(410)
    world.publish(world.event(amount="hidden-amount"))
    world.passes(minutes=10)
    assert "webhook.disabled" in [row["type"] for row in world.rows("outbox")]
    logged = "".join([*capsys.readouterr(), caplog.text, *(str(vars(line)) for line in caplog.records)])
    assert "webhook task" in logged
    assert "hidden" not in logged
    told = str([world.rows("outbox"), world.rows("deliveries"), world.sqs.waiting])
    assert "hidden-secret" not in told
    assert "hidden-header" not in told


def test_a_burst_is_delivered_at_the_endpoints_rate(world: World) -> None:
    """With a rate limit a burst is spread out, beyond SQS's longest delay too, and nothing is lost."""
    world.subscribe(rate_limit=1)
    world.publish(*(world.event(entity=f"order#{number}") for number in range(20)))
    world.passes(minutes=5)
    assert world.counters()["delivered"] == 20
    assert world.sent[-1]["at"] - world.sent[0]["at"] >= timedelta(seconds=18)
