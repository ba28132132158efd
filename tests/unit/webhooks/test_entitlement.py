"""A subscription sends only what its owner may read at the time of sending."""

import pytest

from chalicelib.errors import Forbidden
from chalicelib.events.models import LoggedEvent
from chalicelib.users.access import Caller
from chalicelib.users.models import Role
from chalicelib.webhooks.models import State, Status
from tests.unit.webhooks.conftest import World


def demote(world: World) -> None:
    """Makes the admin who subscribed a user."""
    world.user("1", role=Role.USER)


def deactivate(world: World) -> None:
    """Deactivates the admin who subscribed."""
    world.user("1", role=Role.ADMIN, is_active=False)


LOSSES = pytest.mark.parametrize("lose", [demote, deactivate])


@LOSSES
def test_an_event_after_the_loss_is_not_matched(world: World, lose) -> None:
    """At the next event the owner has no permission.

    No delivery is created, and the subscription is disabled with a reason.
    """
    world.subscribe("payment.*")
    lose(world)
    world.publish(world.event("payment.completed"))
    world.passes(days=8)
    assert (world.sent, world.deliveries()) == ([], [])
    assert (world.webhook().status, world.webhook().disabled_reason) == (Status.DISABLED, "not_entitled")
    [told] = [row for row in world.rows("outbox") if row["type"] == "webhook.disabled"]
    assert told["payload"]["reason"] == "not_entitled"


@LOSSES
def test_a_delivery_that_waits_is_held(world: World, lose) -> None:
    """An event matched before the loss is not sent after it, in a batch or alone, at once or by a retry."""
    world.subscribe("payment.*")
    world.publish(*[world.event("payment.completed", entity=f"payment#{n}") for n in range(3)])
    lose(world)
    world.passes(days=8)
    assert world.sent == []
    assert {delivery.state for delivery in world.deliveries()} == {State.PAUSED}


@LOSSES
def test_an_endpoint_that_is_down_is_not_probed(world: World, lose) -> None:
    """A failing endpoint is not probed with events that its owner may no longer read."""
    from tests.unit.webhooks.test_deliver import OK

    world.subscribe("payment.*")
    world.answer = lambda _sent: OK.model_copy(update={"status": 500, "error": "http_500"})
    world.publish(world.event("payment.completed"))
    world.passes(days=6)
    assert world.webhook().status is Status.DISABLED
    lose(world)
    before = len(world.sent)
    world.passes(days=3)
    assert len(world.sent) == before


@LOSSES
def test_the_change_itself_switches_off(world: World, lose) -> None:
    """The event of the change disables the subscriptions to the admins' stream.

    For a deactivated user, it disables the user's own ones, too.
    """
    world.subscribe("payment.*")
    world.subscribe("order.*", scope="user", user_id="1")
    lose(world)
    change = {
        "stream": "admin",
        "sequence": 1,
        "event_id": "e",
        "payload": {},
        "entity": "user#1",
        "user_id": "1",
        "timestamp": world.now,
    }
    type_ = "user.updated" if lose is demote else "user.deactivated"
    world.publish(LoggedEvent(type=type_, **change))
    assert world.webhook(1).disabled_reason == "not_entitled"
    assert world.webhook(2).is_active is (lose is demote)


def test_it_is_not_switched_on_without_the_right(world: World) -> None:
    """Neither resuming nor a PATCH activates it without the permission. With it, the owner can."""
    world.subscribe("payment.*")
    demote(world)
    world.publish(world.event("payment.completed"))
    for call in (("POST", "/webhooks/1/resume", None), ("PATCH", "/webhooks/1", {"is_active": True})):
        with pytest.raises(Forbidden):
            world.call(*call)
    world.user("1", role=Role.ADMIN)
    world.call("POST", "/webhooks/1/resume")
    world.publish(world.event("payment.completed"))
    world.passes(minutes=1)
    assert len(world.sent) == 1


def test_a_users_own_subscription_goes_on_for_an_active_user(world: World) -> None:
    """An admin who becomes a user keeps the subscription to the user's own events."""
    world.caller = Caller(user_id="7", user_uuid="u-7", role=Role.USER)
    world.subscribe("order.*")
    world.publish(world.event(stream="user#7"))
    world.passes(minutes=1)
    assert len(world.sent) == 1
    world.user("7", role=Role.USER, is_active=False)
    world.publish(world.event(stream="user#7"))
    world.passes(minutes=1)
    assert len(world.sent) == 1
