"""The delivery function dies after each of its calls to AWS and to the receiver."""

from datetime import timedelta

import pytest

from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.models import Outcome

from .conftest import OK, World

DOWN = Outcome(error="connection", duration_ms=3)
GONE = Outcome(status=410, error="http_410", duration_ms=3)
CALLS = {
    "delivers": 17,
    "fails_once": 25,
    "gone": 39,
    "rate_limited": 21,
    "paused": 29,
    "batch": 24,
    "probed": 54,
}
"""The number of calls of each scenario without a crash; for `batch` the most.

Outcomes that arrive together are recorded together.
"""


def run(world: World, scenario: str, fuse: int | None) -> int:
    """Two events of one ordering key, or of two. The functions die after `fuse` calls.

    Returns the number of calls.
    """
    world.subscribe(rate_limit=1 if scenario == "rate_limited" else None)
    if scenario == "paused":
        world.call("POST", "/webhooks/1/pause")
    if (
        scenario == "probed"
    ):  # the first failure from now on switches it off, and the probe an hour later switches it on
        endpoint_store.set_failing(world.webhook(), world.now - timedelta(days=6))

    def answer(_sent: dict[str, str]) -> Outcome:
        if len(world.sent) > 1:
            return OK
        return {"fails_once": DOWN, "probed": DOWN, "gone": GONE}.get(scenario, OK)

    world.answer = answer
    world.calls, world.fuse = 0, fuse
    world.publish(world.event(), world.event(entity="order#2" if scenario == "batch" else "order#1"))
    world.passes(hours=9 if scenario == "probed" else 0.5)
    calls, fuse, world.fuse = world.calls, world.fuse, None
    if not world.webhook().is_active:
        assert world.counters()["paused"]
        world.call("POST", "/webhooks/1/resume")
        world.calls, world.fuse = 0, fuse
        world.passes(hours=1)
        calls, world.fuse = calls + world.calls, None
    return calls


@pytest.mark.parametrize(
    ("scenario", "fuse"),
    [(scenario, fuse) for scenario, calls in CALLS.items() for fuse in range(1, calls + 1)],
)
def test_a_crash_after_any_call_loses_nothing(world: World, scenario: str, fuse: int) -> None:
    """After a crash at any call, each event arrives at least once under one id, and the counters balance.

    Events of one ordering key arrive in order.
    """
    run(world, scenario, fuse)
    assert world.counters() == {
        "matched": 2,
        "pending": 0,
        "paused": 0,
        "delivered": 2,
        "dead": 0,
        "failing": 0,
    }
    assert {sent["body"] for sent in world.sent} == {
        f'{{"n": {number}, "value": "18559.00"}}' for number in (1, 2)
    }
    assert (
        len({(sent["id"], sent["body"], sent["headers"]["X-Webhook-Sequence"]) for sent in world.sent}) == 2
    )
    order = [sent["headers"]["X-Webhook-Sequence"] for sent in world.sent]
    if scenario != "batch":  # its events have two ordering keys
        assert order.index("1") < order.index("2")
    assert len(order) <= 4


@pytest.mark.parametrize("scenario", CALLS)
def test_every_call_is_covered(world: World, scenario: str) -> None:
    """The crashes above reach to the last call of an undisturbed run."""
    calls = run(world, scenario, None)
    assert (calls <= CALLS[scenario]) if scenario == "batch" else (calls == CALLS[scenario]), calls
