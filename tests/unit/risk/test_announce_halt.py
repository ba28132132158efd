"""A halt of all users notifies every user, and no request waits for it."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest

from chalicelib import aws
from chalicelib.risk import announce_halt, halts
from chalicelib.risk.halts import Scope, Switch
from functions import sweep
from testkit import pump, records
from testkit.crash import Killed, killed_after
from testkit.gateway import CONTEXT


@pytest.fixture(autouse=True)
def users(emulated, monkeypatch):
    """Seven users, one of them not active; three are notified at a time."""
    monkeypatch.setattr(announce_halt, "_AT_ONCE", 3)
    for number in range(1, 8):
        records.add_user(str(number), is_active=number != 4)
        profile = aws.get("users", {"user_id": str(number), "part": "profile"})
        aws.write(aws.put_write("users", profile | {"listed": "user", "created_at": f"2026-01-0{number}"}))


def throw(*, halted=True):
    halts.set_switch(Switch(Scope.GLOBAL), halted=halted, by="1", reason="maintenance" if halted else None)


def told():
    """Types by user stream, and those of the admins."""
    pump.publish()
    return {
        stream: [event["type"] for event in pump.events(stream)]
        for stream in ["admin", *(f"user#{n}" for n in range(1, 8))]
    }


def test_every_active_user_is_told_once_and_the_admins_once():
    """A halt writes one event; the sweeper writes one for each active user, into that user's stream only."""
    throw()
    assert len(pump.items("outbox")) == 1
    assert sweep.handler({}, CONTEXT)["notified"] == 6
    assert sweep.handler({}, CONTEXT)["notified"] == 0
    streams = told()
    assert streams.pop("admin") == ["trading.halted"]
    assert streams.pop("user#4") == []
    assert all(types == ["trading.halted"] for types in streams.values())
    [event] = pump.events("user#2")
    assert event["payload"] == {"reason": "maintenance", "scope": "global", "user_id": None}


def cancelled(users, since):
    """Returns where the sweeper has resting entries cancelled."""


def test_the_newest_state_is_told():
    """A user not yet notified of a halt that is over gets only the resumption."""
    throw()
    announce_halt.announce_halt(datetime.now(UTC), cancelled, seconds=0)
    throw(halted=False)
    announce_halt.announce_halt(datetime.now(UTC), cancelled)
    assert told()["user#3"] == ["trading.resumed"]


@pytest.mark.parametrize("call", range(1, 10))
def test_a_sweep_that_dies_leaves_nobody_out_and_tells_nobody_twice(call):
    """Killed after each of its calls to AWS, and run again."""
    throw()
    now = datetime.now(UTC)
    with killed_after(call), suppress(Killed):
        announce_halt.announce_halt(now, cancelled)
    told()
    announce_halt.announce_halt(now, cancelled)
    streams = told()
    assert all(
        types == ([] if stream == "user#4" else ["trading.halted"]) for stream, types in streams.items()
    )
