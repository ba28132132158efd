"""A hundred alerts in the same instant at the front door, every function warm and every one cold; and with a slow exchange behind it."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator

import aiohttp
import requests

from bench.kit import Desk, Figure, Stand, at_most, in_turns
from infra.local import cloud, warm
from tests.support import pump

BUDGET_S = 180

_SIZE = 100
_WARM_ROUNDS, _COLD_ROUNDS, _SLOW_ROUNDS = 3, 3, 20
_TRADINGVIEW_S = 3.0
_STILL = 8  # looks, half a second apart, at which no event waits to be published
_TIMEOUT = aiohttp.ClientTimeout(total=60)


def run(stand: Stand) -> Iterator[Figure]:
    """Warm, cold, and with an exchange that answers in ten seconds."""
    yield from _slow_exchange(stand)
    yield _burst(stand, "warm", _WARM_ROUNDS, lambda: None)
    yield _burst(stand, "cold", _COLD_ROUNDS, lambda: _chill(stand))
    warm.up(stand.stack)


def _burst(stand: Stand, how: str, rounds: int, before: Callable[[], None]) -> Figure:
    def alerts() -> float:
        before()
        statuses, slowest = asyncio.run(_at_once(_alert, stand))
        assert set(statuses) <= {200, 202}, statuses
        return slowest

    def nothing() -> float:
        before()
        statuses, slowest = asyncio.run(_at_once(_health, stand))
        assert set(statuses) == {200}, statuses
        return slowest

    turns = in_turns(alerts, nothing, rounds=rounds, warm_up=0 if how == "cold" else 1)
    return Figure(
        f"burst, {how}",
        f"The slowest answer to {_SIZE} alerts at once; TradingView hangs up after 3 s.",
        turns.ours,
        "s",
        floor=turns.floor,
        floor_is=f"{_SIZE} requests for /health",
        ratio=turns.ratio,
        limit=at_most(_TRADINGVIEW_S, worst=True, on_ours=True),
        grows="with the requests at once, by the two processors here; in AWS each has an instance of its own.",
    )


async def _at_once(
    ask: Callable[[aiohttp.ClientSession, Stand], "aiohttp.client._RequestContextManager"], stand: Stand
) -> tuple[list[int], float]:
    """The statuses, and the seconds the slowest took."""

    async def one(session: aiohttp.ClientSession) -> tuple[int, float]:
        began = time.perf_counter()
        async with ask(session, stand) as answer:
            await answer.read()
            return answer.status, time.perf_counter() - began

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_TIMEOUT) as session:
        answers = await asyncio.gather(*(one(session) for _ in range(_SIZE)))
    await asyncio.to_thread(_until_quiet)  # what follows from the alerts belongs to this round, not to the next
    return [status for status, _ in answers], max(seconds for _, seconds in answers)


def _until_quiet() -> None:
    still = 0
    while still < _STILL:
        still = 0 if pump.items("outbox") else still + 1
        time.sleep(0.5)


def _alert(session: aiohttp.ClientSession, stand: Stand) -> "aiohttp.client._RequestContextManager":
    body = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 185.5, "alert_id": uuid.uuid4().hex}
    return session.post(f"{stand.place.url}/api/webhook", json=body, headers={"X-Webhook-Token": stand.env["TRADEHOOK_PAPER_TOKEN"]})


def _health(session: aiohttp.ClientSession, stand: Stand) -> "aiohttp.client._RequestContextManager":
    return session.get(f"{stand.place.url}/health")


def _chill(stand: Stand) -> None:
    """Stops the cloud, which ends every function's process, and starts it again; nothing is warmed."""
    cloud.stop(stand.place)
    cloud.start(stand.place)
    time.sleep(2)  # the emulator itself is to be up: what starts cold are the functions


def _slow_exchange(stand: Stand) -> Iterator[Figure]:
    """Signals for two live accounts in turns; one's exchange takes ten seconds for every call."""
    with Desk(stand, {"binance": 1, "bybit": 1}) as desk, requests.Session() as session:
        stand.exchanges.fault(exchange="bybit", kind="slow", seconds=10, times=-1)

        def send(exchange: str) -> None:
            answer = session.post(
                f"{stand.place.url}/api/webhook", json=desk.signal(exchange, qty_per=1), headers={"Prefer": "respond-async"}, timeout=30
            )
            assert answer.status_code == 202, answer.text

        turns = in_turns(lambda: send("bybit"), lambda: send("binance"), rounds=_SLOW_ROUNDS, warm_up=3)
        stand.exchanges.clear_faults()
        desk.settled()
    yield Figure(
        "acknowledgement, slow exchange",
        "The answer to a signal whose exchange takes 10 s for every call.",
        turns.ours,
        "ms",
        floor=turns.floor,
        floor_is="the same with an exchange that answers at once",
        ratio=turns.ratio,
        limit=at_most(1.05),
        grows="not with the exchange: nothing on the way to the answer asks it.",
    )
