"""The soak's own parts.

Its faults are really met, its senders really insist, and its traffic is the seed's.
"""

import asyncio
import random
from decimal import Decimal
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from bench.soak.proxy import FaultyCloud
from bench.soak.receiver import Receiver
from bench.soak.traffic import Alert, Senders
from infra.local.paths import HOST

pytestmark = pytest.mark.cloud

ENV = {"TRADEHOOK_PAPER_TOKEN": "whk_1_x", "TRADEHOOK_XC_CODE": "xc_1_x"}
BENCH_USER = SimpleNamespace(
    signal=lambda *exchange, **more: (
        {"group_name": "g", "token": "t", "symbol": "BTCUSDT", "order_type": "MARKET"} | {"qty_per": 1} | more
    )
)


async def serve(handler) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    return runner, f"http://{HOST}:{runner.addresses[0][1]}"


def through(rate: float, calls: int) -> tuple[int, int, FaultyCloud]:
    """Sends `count` calls through the proxy. Returns how many arrived and how many were answered."""

    async def go():
        arrived = []

        async def handler(request):
            arrived.append(await request.text())
            return web.json_response({"path": request.path})

        backend, url = await serve(handler)
        cloud = FaultyCloud(url, random.Random(1))
        cloud.rate = rate
        await cloud.start(HOST, 0)
        proxy = f"http://{HOST}:{cloud._runner.addresses[0][1]}"
        answered = 0
        async with aiohttp.ClientSession() as session:
            for number in range(calls):
                try:
                    async with session.post(f"{proxy}/x", data=str(number)) as answer:
                        answered += answer.status == 200 and (await answer.json()) == {"path": "/x"}
                except aiohttp.ClientError:
                    pass
        await cloud.stop()
        await backend.cleanup()
        return len(arrived), answered, cloud

    return asyncio.run(go())


def test_the_proxy_passes_everything_on_unless_told_otherwise() -> None:
    assert through(0, 5)[:2] == (5, 5)


def test_the_proxy_fails_calls_before_and_after_they_have_had_their_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.soak.proxy._SLOW_S", 0)
    arrived, answered, cloud = through(1, 40)
    kinds = {name.partition(", ")[2]: count for name, count in cloud.met.items()}
    assert sum(kinds.values()) == 40
    assert arrived == kinds["slow"] + kinds["reset after"]
    assert answered == kinds["slow"]


def test_the_same_seed_sends_the_same() -> None:
    def sent(seed: int) -> list[Alert]:
        senders = Senders("http://x", ENV, BENCH_USER, random.Random(seed))
        return [senders.next(number, Decimal(50_000)) for number in range(60)]

    assert sent(1) == sent(1)
    assert sent(1) != sent(2)
    assert {alert.kind for alert in sent(1)} == {
        "paper",
        "market",
        "limit",
        "batch",
        "cancel",
        "xc",
        "broken",
    }


def test_a_sender_sends_again_until_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.soak.traffic._PAUSE_S", 0)
    bodies = []

    async def handler(request):
        bodies.append(await request.text())
        if len(bodies) < 3:
            return web.Response(status=503)
        return web.json_response({}, status=202, headers={"X-Signal-Id": "s-1"})

    async def go():
        backend, url = await serve(handler)
        senders = Senders(url, ENV, BENCH_USER, random.Random(1))
        async with aiohttp.ClientSession() as session:
            await senders.send(session, Alert("paper", "/api/webhook", {"alert_id": "a"}, {}), again=True)
        await backend.cleanup()
        return senders

    senders = asyncio.run(go())
    assert len(bodies) == 4
    assert len(set(bodies)) == 1
    assert senders.acknowledged == {"a": "s-1"}
    assert not senders.unanswered


def test_a_delivery_fails_once_at_most() -> None:
    async def go():
        receiver = Receiver(random.Random(3))
        await receiver.start(HOST, 0)
        url = f"http://{HOST}:{receiver._runner.addresses[0][1]}"
        statuses = []
        async with aiohttp.ClientSession() as session:
            for delivery in range(40):
                for _ in range(2):
                    async with session.post(f"{url}/works", headers={"webhook-id": str(delivery)}) as answer:
                        statuses.append(answer.status)
            async with session.post(f"{url}/gone") as answer:
                assert answer.status == 410
        await receiver.stop()
        return receiver, statuses

    receiver, statuses = asyncio.run(go())
    assert 0 < len(receiver.failed) < 20
    assert statuses.count(500) == len(receiver.failed)
    assert set(receiver.taken) == {str(delivery) for delivery in range(40)}
