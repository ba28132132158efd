"""The front door's gate: few at once, more only when nobody leaves, and the sign that others stand behind."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from infra.local import admission
from infra.local.admission import AT_FIRST, AT_ONCE, OVER_S, SHORT_WAIT_S, SLOW_SLOTS, AdmissionControl


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Less patience."""
    for name, seconds in {"_A_LOOK_S": 0.002, "_STUCK_S": 0.1, "_STARTING_S": 0.4}.items():
        monkeypatch.setattr(admission, name, seconds)


class ManyRequests:
    """Requests that enter and stay until they must leave."""

    def __init__(self, size: int, door: AdmissionControl | None = None) -> None:
        self.admission = door or AdmissionControl()
        self.deadline_shift: list[float] = []
        self._leave = asyncio.Event()
        self._all = [asyncio.create_task(self._one()) for _ in range(size)]

    async def _one(self) -> None:
        async with self.admission.enter() as deadline_shift:
            self.deadline_shift.append(deadline_shift)
            await self._leave.wait()

    async def leave(self) -> None:
        """Lets everybody leave."""
        self._leave.set()
        await asyncio.gather(*self._all)


def test_a_burst_from_cold_starts_no_more_processes_than_there_are_cores():
    """As long as the first ones may still be starting nobody else is let in.

    Then one after the other, each with time to start.
    """

    async def check() -> None:
        many_requests = ManyRequests(20)
        await asyncio.sleep(0.1)
        assert len(many_requests.deadline_shift) == AT_FIRST
        await asyncio.sleep(0.6)
        assert len(many_requests.deadline_shift) == AT_FIRST + 1
        await asyncio.sleep(2)
        assert len(many_requests.deadline_shift) == AT_ONCE
        await many_requests.leave()
        assert len(many_requests.deadline_shift) == 20

    asyncio.run(check())


def test_after_a_pause_there_are_as_few_places_as_at_first():
    """The processes may have ended during the pause."""

    async def check() -> None:
        before = ManyRequests(20)
        await asyncio.sleep(2.7)
        assert len(before.deadline_shift) == AT_ONCE
        await before.leave()
        many_requests = ManyRequests(20, before.admission)
        await asyncio.sleep(0.1)
        assert len(many_requests.deadline_shift) == AT_FIRST
        await many_requests.leave()
        assert len(many_requests.deadline_shift) == 20

    asyncio.run(check())


def test_a_request_that_others_stand_behind_may_not_wait():
    """The first requests of a burst are answered early, too, though they came before the others."""

    async def check() -> None:
        many_requests = ManyRequests(AT_FIRST + 1)
        await asyncio.sleep(0.05)
        assert many_requests.deadline_shift == [OVER_S] * AT_FIRST
        await many_requests.leave()

    asyncio.run(check())


def test_of_a_later_burst_all_but_the_first_one_are_told(monkeypatch):
    """A single request does not wait for others, so the first of many passes for a single one.

    Those right behind it do not.
    """
    monkeypatch.setattr(admission, "_A_LOOK_S", 0.1)

    async def check() -> None:
        door = AdmissionControl()
        async with door.enter():
            pass
        first = ManyRequests(1, door)
        await asyncio.sleep(0.01)
        second = ManyRequests(1, door)
        await asyncio.sleep(0.01)
        third = ManyRequests(1, door)
        await asyncio.sleep(0.2)
        assert first.deadline_shift == [0.0]
        assert second.deadline_shift == [OVER_S]
        for many_requests in (first, second, third):
            await many_requests.leave()

    asyncio.run(check())


def test_one_alone_has_all_its_time_and_those_beside_many_have_less():
    """Nobody hurries a request that nobody stands behind."""

    async def check() -> None:
        door = AdmissionControl()
        async with AsyncExitStack() as inside:
            for _ in range(AT_FIRST):
                assert await inside.enter_async_context(door.enter()) == 0.0
            assert AT_FIRST == SLOW_SLOTS
            assert await inside.enter_async_context(door.enter()) == SHORT_WAIT_S

    asyncio.run(check())


def test_somebody_leaving_keeps_the_others_waiting():
    """While places become free no other process is started."""

    async def check() -> None:
        door = AdmissionControl()
        most = inside = 0

        async def passing() -> None:
            nonlocal most, inside
            async with door.enter():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(passing() for _ in range(60)))
        assert most == AT_FIRST

    asyncio.run(check())
