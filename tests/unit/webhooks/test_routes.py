"""The webhook API: the published requests as printed, and further ones."""

from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest

from chalicelib import config
from chalicelib.errors import Conflict, Forbidden, NotFound, Refused
from chalicelib.events import event_types
from chalicelib.users.access import Caller
from chalicelib.users.models import Role
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import sweep
from chalicelib.webhooks.filters import is_wanted
from chalicelib.webhooks.models import Outcome
from functions import retry_deliveries

from .conftest import OK, State, World

PRINTED = {
    "name": "My Webhook",
    "url": "https://example.com/webhook",
    "event_type": "user.created",
    "secret": "optional-secret-for-signing",
    "description": "Webhook для новых пользователей",
}


def as_user(world: World, user_id: str = "7") -> None:
    world.caller = Caller(user_id=user_id, user_uuid=f"u-{user_id}", role=Role.USER)


def test_the_published_requests_work_as_printed(world: World) -> None:
    """Create, list, read, change, figures, history and delete, with the published bodies and queries."""
    made = world.call("POST", "/webhooks", PRINTED)
    assert made.status == 201
    assert {name: made.body[name] for name in PRINTED} == PRINTED
    assert (made.body["id"], made.body["is_active"]) == (1, True)
    listed = world.call(
        "GET", "/webhooks", event_type="user.created", is_active="true", limit="50", offset="0"
    )
    assert (listed.body["total"], listed.body["items"][0]["id"], listed.body["next"]) == (1, 1, None)
    assert world.call("GET", "/webhooks", event_type="ticket.created").body["total"] == 0
    changed = world.call("PATCH", "/webhooks/1", {"name": "Updated Name", "is_active": False})
    assert (changed.body["name"], changed.body["is_active"], changed.body["status"]) == (
        "Updated Name",
        False,
        "paused",
    )
    world.call("PATCH", "/webhooks/1", {"is_active": True})
    world.answer = lambda _: Outcome(status=500, error="http_500", response_body="no", duration_ms=4)
    world.publish(world.event("user.created", user_id=123))
    world.work()
    history = world.call("GET", "/webhooks/1/deliveries", status="failed", limit="50", offset="0")
    [delivery] = history.body["items"]
    assert (delivery["status"], delivery["response_status"], delivery["attempt_number"]) == ("failed", 500, 1)
    assert delivery["next_retry_at"] == "2026-03-02T12:00:05.000+00:00"
    figures = world.call("GET", "/webhooks/stats").body
    assert (
        figures["total_webhooks"],
        figures["active_webhooks"],
        figures["total_deliveries"],
        figures["failed_deliveries"],
    ) == (
        1,
        1,
        1,
        1,
    )
    assert figures["totals"] == {
        "matched": 1,
        "delivered": 0,
        "pending": 1,
        "paused": 0,
        "dead": 0,
        "equal": True,
    }
    assert world.call("DELETE", "/webhooks/1").status == 200
    with pytest.raises(NotFound):
        world.call("GET", "/webhooks/1")
    assert world.call("GET", "/webhooks").body["total"] == 0
    world.passes(minutes=10)


def test_the_success_rate_falls_while_deliveries_fail(world: World) -> None:
    """One of two fails and waits for its retry: half, in the figures of all and of the one.

    Whole again once it has arrived.
    """

    def rates() -> list[float]:
        every = world.call("GET", "/webhooks/stats").body
        return [
            every["success_rate"],
            every["webhooks"][0]["success_rate"],
            world.call("GET", "/webhooks/1/stats").body["success_rate"],
        ]

    world.subscribe()
    assert rates() == [0, 0, 0]
    world.publish(world.event(entity="order#1"))
    world.passes(minutes=1)
    assert rates() == [100, 100, 100]
    world.answer = lambda _: Outcome(status=500, error="http_500", response_body="no", duration_ms=4)
    world.publish(world.event(entity="order#2"))
    world.work()
    assert rates() == [50, 50, 50]
    world.answer = lambda _: OK
    world.passes(minutes=10)
    assert rates() == [100, 100, 100]


def test_a_secret_is_made_when_none_is_given_and_shown_once(world: World) -> None:
    """The answer to the creation has the secret, no later answer and no stored history has."""
    body = {name: value for name, value in PRINTED.items() if name != "secret"}
    secret = world.call("POST", "/webhooks", body | {"headers": {"Authorization": "Bearer hush"}}).body[
        "secret"
    ]
    assert secret.startswith("whsec_")
    world.publish(world.event("user.created"))
    world.work()
    delivery_id = world.deliveries()[0].delivery_id
    shown = [
        world.call("GET", path).body
        for path in ("/webhooks", "/webhooks/1", f"/webhooks/1/deliveries/{delivery_id}")
    ]
    assert secret not in str(shown)
    assert "hush" not in str(shown)
    assert "hush" not in str(world.rows("deliveries"))
    assert shown[2]["attempts"][0]["request_headers"]["Authorization"] == "***"
    assert world.sent[0]["headers"]["Authorization"] == "Bearer hush"


def test_rotation_overlaps(world: World) -> None:
    """After a rotation both secrets sign, and the old one no longer does when the overlap is over."""
    world.subscribe()
    assert (
        world.call("POST", "/webhooks/1/rotate-secret", {"overlap_s": 3600})
        .body["secret"]
        .startswith("whsec_")
    )
    world.publish(world.event(entity="order#1"))
    world.work()
    world.passes(hours=2)
    world.publish(world.event(entity="order#2"))
    world.work()
    assert [sent["headers"]["webhook-signature"].count("v1,") for sent in world.sent] == [2, 1]


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "nearest"),
    [
        ("PATCH", "", {"secret": "new"}, "secret", "description"),
        ("PATCH", "", {"status": "paused"}, "status", "is_active"),
        ("PATCH", "", {"scope": "user"}, "scope", "is_active"),
        ("PATCH", "", {"user_id": 7}, "user_id", "url"),
        ("PATCH", "", {"version": 3}, "version", "description"),
        ("POST", "/rotate-secret", {"overlap": 5}, "overlap", "overlap_s"),
        ("POST", "/replay", {"stat": "failed"}, "stat", "state"),
        ("POST", "/test", {"eventType": "order.filled"}, "eventType", "event_type"),
    ],
)
def test_a_field_that_nothing_reads_is_refused(
    world: World, method: str, path: str, body: dict[str, Any], field: str, nearest: str
) -> None:
    """A setting that looks like one that works is a 400 which names it and the nearest known one.

    Nothing changes.
    """
    world.subscribe()
    before = world.webhook()
    with pytest.raises(Refused) as refusal:
        world.call(method, f"/webhooks/1{path}", body)
    assert (refusal.value.code, refusal.value.values) == (
        "unknown_field",
        {"field": field, "nearest": nearest, "hint": "hint_nearest"},
    )
    assert world.webhook() == before
    assert world.sent == []


@pytest.mark.parametrize("field", ["secrets", "eventType", "retry_limit"])
def test_a_new_subscription_with_an_unknown_field_is_not_made(world: World, field: str) -> None:
    """A misspelt field of a new subscription is a 400, and there is no subscription."""
    body = {"name": "n", "url": "https://example.com/webhook", "event_type": "order.*", field: "x"}
    with pytest.raises(Refused, match="unknown_field"):
        world.call("POST", "/webhooks", body)
    assert world.rows("webhooks") == []


def test_the_owner_of_a_subscription_exists(world: World) -> None:
    """`me` is the caller, a number is a user, and one who does not exist is a 404."""
    assert world.subscribe(user_id="me")["user_id"] == 1
    assert world.subscribe(user_id=7)["user_id"] == 7
    for user_id in (99999999, "nobody"):
        with pytest.raises(NotFound, match="user_not_found"):
            world.subscribe(user_id=user_id)
    with pytest.raises(Refused, match="invalid_text"):
        world.subscribe(user_id=True)


def test_a_change_without_a_body_is_refused(world: World) -> None:
    """As on every record: a change that says nothing is a 400, and an empty object changes nothing."""
    world.subscribe()
    with pytest.raises(Refused, match="no_data"):
        world.call("PATCH", "/webhooks/1")
    before = world.webhook()
    assert world.call("PATCH", "/webhooks/1", {}).status == 200
    assert world.webhook() == before


def test_blanks_around_a_secret_are_no_part_of_it(world: World) -> None:
    """A secret that was pasted with blanks signs as the secret itself."""
    secret = "whsec_" + "QUJDREVGR0hJSktMTU5PUA=="
    assert world.subscribe(secret=f" {secret}\t".replace("\t", " "))["secret"] == secret


def test_a_range_of_deliveries_takes_epoch_times(world: World) -> None:
    """`since` and `until` are ISO 8601, or epoch seconds or milliseconds; anything else is a 400."""
    world.subscribe()
    world.publish(world.event())
    at = int(world.now.timestamp())

    def found(**query: str) -> int:
        return len(world.call("GET", "/webhooks/1/deliveries", **query).body["items"])

    assert [
        found(since=str(at)),
        found(since=str(at + 1)),
        found(since=str(at * 1000)),
        found(until=str(at * 1000 - 1)),
    ] == [1, 0, 1, 0]
    assert (
        found(since="2026-03-02T13:00:00 01:00") == 1
    )  # the plus of an offset, as a URL turns it into a blank
    for wrong in ("yesterday", "9" * 30, ""):
        with pytest.raises(Refused, match="invalid_time"):
            found(since=wrong)


def test_deliveries_are_found_by_state_and_type(world: World) -> None:
    """The fields of a delivery filter its list, alone and together; an unknown value is a 400."""
    world.subscribe("*")
    world.publish(world.event(), world.event("user.created", entity="user#1"))
    world.work()
    world.call("POST", "/webhooks/1/pause")
    world.publish(world.event())

    def found(**query: str) -> list[int]:
        return [
            item["sequence"] for item in world.call("GET", "/webhooks/1/deliveries", **query).body["items"]
        ]

    assert found(state="paused") == [3]
    assert found(state="delivered", event_type="order.filled") == [1]
    assert found(event_type="user.created", status="success") == [2]
    assert found(state="paused", status="success") == []
    with pytest.raises(Refused, match="invalid_choice"):
        found(state="waiting")
    assert [item["id"] for item in world.call("GET", "/webhooks", status="paused").body["items"]] == [1]
    assert world.call("GET", "/webhooks", is_active="1").body["items"] == []


def test_a_user_sees_and_changes_their_own_only(world: World) -> None:
    """Another user's webhooks and the administrators' do not exist for a user, on any route."""
    world.subscribe()
    world.subscribe(scope="user", user_id="8")
    as_user(world)
    mine = world.subscribe()
    assert (mine["scope"], mine["user_id"]) == ("user", 7)
    assert [item["id"] for item in world.call("GET", "/webhooks").body["items"]] == [3]
    assert world.call("GET", "/webhooks/stats").body["total_webhooks"] == 1
    for webhook_id in (1, 2, 99):
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("GET", "/stats"),
            ("GET", "/deliveries"),
            ("GET", "/deliveries/msg_x"),
            ("POST", "/deliveries/msg_x/replay"),
            *(("POST", f"/{action}") for action in ("pause", "resume", "test", "rotate-secret", "replay")),
        ):
            with pytest.raises(NotFound):
                world.call(method, f"/webhooks/{webhook_id}{path}", {})
    with pytest.raises(Forbidden):
        world.subscribe(scope="admin")
    with pytest.raises(Forbidden):
        world.subscribe(user_id="8")


def test_a_delivery_of_another_webhook_is_not_found(world: World) -> None:
    """A delivery is found under its own webhook only."""
    world.subscribe()
    world.subscribe("user.created")
    world.publish(world.event())
    world.work()
    with pytest.raises(NotFound):
        world.call("GET", f"/webhooks/2/deliveries/{world.deliveries()[0].delivery_id}")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"name": None}, "missing_field", "name"),
        ({"name": 5}, "invalid_text", "name"),
        ({"name": "x" * 101}, "too_long", "name"),
        ({"url": None}, "missing_field", "url"),
        ({"url": "http://example.com/"}, "webhook_url_refused", "url"),
        ({"url": "https://user:pass@example.com/"}, "webhook_url_refused", "url"),
        ({"event_type": None}, "missing_field", "event_type"),
        ({"event_type": "order.filed"}, "unknown_event_type", "event_type"),
        ({"event_type": 5}, "invalid_text", "event_type"),
        ({"event_types": []}, "missing_field", "event_types"),
        ({"event_types": ["order.*", "nope.*"]}, "unknown_event_type", "event_types"),
        ({"secret": "whsec_not base64"}, "invalid_secret", "secret"),
        ({"secret": "whsec_YQ=="}, "invalid_secret", "secret"),
        ({"secret": "   "}, "invalid_secret", "secret"),
        ({"secret": 5}, "invalid_text", "secret"),
        ({"filter": {"a": {"like": 1}}}, "invalid_filter", "filter"),
        ({"headers": {"Host": "x"}}, "invalid_headers", "headers.Host"),
        ({"headers": {"X-Webhook-Id": "1"}}, "invalid_headers", "headers.X-Webhook-Id"),
        ({"headers": {"a": "b\r\nc: d"}}, "invalid_headers", "headers.a"),
        ({"headers": []}, "invalid_headers", "headers"),
        ({"rate_limit": 0}, "out_of_range", "rate_limit"),
        ({"rate_limit": True}, "out_of_range", "rate_limit"),
        ({"format": "xml"}, "invalid_choice", "format"),
        ({"is_active": "yes"}, "invalid_choice", "is_active"),
        ({"scope": "all"}, "invalid_choice", "scope"),
    ],
)
def test_a_bad_field_is_named(world: World, change: dict[str, Any], code: str, field: str) -> None:
    """An invalid body is answered with the field, and nothing is created."""
    with pytest.raises(Refused) as refused:
        world.call("POST", "/webhooks", PRINTED | change)
    assert (refused.value.code, refused.value.values["field"]) == (code, field)
    assert "hush" not in str(refused.value)
    assert world.rows("webhooks") == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b"\xff"])
def test_a_broken_body_is_refused(world: World, body: bytes) -> None:
    """A body that is no JSON object is a 400."""
    with pytest.raises(Refused):
        world.call("POST", "/webhooks", body)


def test_a_test_event_goes_out_at_once(world: World) -> None:
    """The test returns the endpoint's answer, and the counters do not change."""
    world.subscribe()
    world.answer = lambda _: Outcome(
        status=401, error="http_401", response_body="Invalid signature", duration_ms=4
    )
    answer = world.call("POST", "/webhooks/1/test", {"event_type": "order.filled"})
    assert (answer.body["status"], answer.body["response"]["response_body"]) == (
        "failed",
        "Invalid signature",
    )
    assert world.sent[0]["headers"]["X-Webhook-Event"] == "order.filled"
    assert world.counters()["matched"] == 0
    with pytest.raises(NotFound):
        world.call("POST", "/webhooks/1/test", {"event_type": "nope"})


def test_a_delivery_shows_every_attempt_and_can_be_replayed(world: World) -> None:
    """Each attempt with its request and answer; a replay goes out at once under the same id.

    A replay during an attempt is a conflict.
    """
    world.subscribe()
    world.answer = lambda _: (
        OK
        if len(world.sent) > 1
        else Outcome(status=500, error="http_500", response_body="oops", duration_ms=7)
    )
    world.publish(world.event())
    world.passes(minutes=1)
    path = f"/webhooks/1/deliveries/{world.deliveries()[0].delivery_id}"
    shown = world.call("GET", path).body
    assert [
        (each["number"], each["response_status"], each["response_body"]) for each in shown["attempts"]
    ] == [
        (1, 500, "oops"),
        (2, 200, ""),
    ]
    assert world.call("POST", f"{path}/replay").status == 202

    def again(_sent: Any) -> Outcome:
        with pytest.raises(Conflict):
            world.call("POST", f"{path}/replay")
        return OK

    world.answer = again
    world.work()
    assert [sent["id"] for sent in world.sent] == [world.sent[0]["id"]] * 3
    assert world.call("GET", path).body["attempt_number"] == 3


def test_what_is_replayed_while_paused_goes_out_when_resumed(world: World) -> None:
    """It is paused until then, like everything else."""
    world.subscribe()
    world.publish(world.event())
    world.work()
    world.call("POST", "/webhooks/1/pause")
    [delivery] = world.deliveries()
    assert world.call("POST", f"/webhooks/1/deliveries/{delivery.delivery_id}/replay").status == 202
    world.work()
    assert (world.deliveries()[0].state, len(world.sent)) == (State.PAUSED, 1)
    world.call("POST", "/webhooks/1/resume")
    world.passes(minutes=1)
    assert (world.deliveries()[0].state, len(world.sent)) == (State.DELIVERED, 2)


def test_history_pages_and_filters(world: World) -> None:
    """The newest first, by cursor or offset, by status and time."""
    world.subscribe()
    for number in range(5):
        world.publish(world.event(entity=f"order#{number}"))
        world.passes(minutes=1)
    world.call("POST", "/webhooks/1/pause")
    world.publish(world.event(entity="order#9"))
    first = world.call("GET", "/webhooks/1/deliveries", limit="4")
    assert [item["sequence"] for item in first.body["items"]] == [6, 5, 4, 3]
    rest = world.call("GET", "/webhooks/1/deliveries", limit="4", cursor=first.body["next"])
    assert [item["sequence"] for item in rest.body["items"]] == [2, 1]
    assert [
        item["sequence"]
        for item in world.call("GET", "/webhooks/1/deliveries", limit="1", offset="2").body["items"]
    ] == [4]
    assert world.call("GET", "/webhooks/1/deliveries", status="pending").body["total"] == 1
    assert (
        world.call("GET", "/webhooks/1/deliveries", status="success", since="2026-03-02T12:02:30Z").body[
            "total"
        ]
        == 2
    )
    with pytest.raises(Refused):
        world.call("GET", "/webhooks/1/deliveries", status="lost")
    recent = world.call("GET", "/webhooks/1/stats").body["recent"]
    assert recent == {"deliveries": 5, "success_rate": 100.0, "p50_ms": 12, "p95_ms": 12, "p99_ms": 12}


def test_every_event_type_has_a_schema_that_its_example_meets(world: World) -> None:
    """The catalogue answers each type with a schema.

    Each example has the required fields, and a wildcard takes it.
    """
    types = world.call("GET", "/event-types").body["items"]
    first = world.call("GET", "/event-types", limit="2").body
    after = world.call("GET", "/event-types", limit="2", cursor=first["next"]).body
    assert [*first["items"], *after["items"]] == types[:4]
    assert first["total"] == len(types) == len(event_types.EVENT_TYPES)
    assert len(types) == len(event_types.EVENT_TYPES) >= 19
    for event_type in types:
        jsonschema_rs.Draft202012Validator(event_type["schema"]).validate(event_type["example"])
        assert is_wanted(("*",), {}, event_type["name"], event_type["example"])


def test_unequal_books_raise_an_alarm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Books that do not add up show in the figures and in the hourly audit, with a line for the alarm."""
    world.subscribe()
    world.publish(world.event())
    world.work()
    lines: list[Any] = []
    monkeypatch.setattr(sweep.log, "error", lambda message, extra: lines.append((message, extra)))
    assert [sweep.audit(world.now + timedelta(minutes=minute)) for minute in range(60)] == [[]] * 60
    key = endpoint_store.counters_key(1, world.deliveries()[0].delivery_id)
    spoil = {
        "TableName": config.table("webhooks"),
        "Key": {"id": {"S": key["id"]}},
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    }
    world.dynamodb.update_item(**spoil, UpdateExpression="ADD matched :n")
    assert world.call("GET", "/webhooks/stats").body["totals"]["equal"] is False
    for _ in range(60):
        world.passes(minutes=1)
        retry_deliveries.handler({}, None)
    assert lines == [("delivery counters do not balance", {"webhook_id": 1})]
    world.dynamodb.update_item(
        **spoil | {"ExpressionAttributeValues": {":n": {"N": "-1"}}}, UpdateExpression="ADD matched :n"
    )
