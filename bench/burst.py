"""A hundred alerts at the same instant at the front door, with all functions warm and all cold.

Also with a slow exchange.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator

import aiohttp
import requests

from bench.harness import BenchEnvironment, BenchUser, Figure, at_most, interleaved
from chalicelib.orders import store as order_store
from infra.local import cloud, warm
from testkit import pump

BUDGET_S = 230

_SIZE = 100
_WARM_ROUNDS, _COLD_ROUNDS, _SLOW_ROUNDS = 3, 3, 80
_TRADINGVIEW_S = 3.0
_STILL_S = 3.0  # a burst is over when no event has waited for publication for this long
_STILL_AFTER_ONE_S = 0.25
_LOOK_S = 0.05
_PATIENCE_S = 30
_TIMEOUT = aiohttp.ClientTimeout(total=60)


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures warm, cold, and with an exchange that answers in ten seconds."""
    yield _burst(bench_environment, "warm", _WARM_ROUNDS, lambda: None)
    yield _burst(bench_environment, "cold", _COLD_ROUNDS, lambda: _chill(bench_environment))
    warm.up(bench_environment.stack)
    yield from _slow_exchange(bench_environment)


def _burst(bench_environment: BenchEnvironment, how: str, rounds: int, before: Callable[[], None]) -> Figure:
    def alerts() -> float:
        before()
        statuses, slowest = asyncio.run(_at_once(_alert, bench_environment))
        assert set(statuses) <= {200, 202}, statuses
        return slowest

    def nothing() -> float:
        before()
        statuses, slowest = asyncio.run(_at_once(_health, bench_environment))
        assert set(statuses) == {200}, statuses
        return slowest

    turns = interleaved(alerts, nothing, rounds=rounds, warm_up=0 if how == "cold" else 1)
    return Figure(
        f"burst, {how}",
        f"The slowest answer to {_SIZE} alerts at once; TradingView hangs up after 3 s.",
        turns.ours,
        "s",
        baseline=turns.baseline,
        floor_is=f"{_SIZE} requests for /health",
        ratio=turns.ratio,
        limit=at_most(_TRADINGVIEW_S, worst=True, on_ours=True),
        grows=(
            "with the requests at once, by the two processors here; in AWS each has an instance of its own."
        ),
    )


async def _at_once(
    ask: Callable[[aiohttp.ClientSession, BenchEnvironment], "aiohttp.client._RequestContextManager"],
    bench_environment: BenchEnvironment,
) -> tuple[list[int], float]:
    """Returns the statuses, and the seconds of the slowest request."""

    async def one(session: aiohttp.ClientSession) -> tuple[int, float]:
        began = time.perf_counter()
        async with ask(session, bench_environment) as answer:
            await answer.read()
            return answer.status, time.perf_counter() - began

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_TIMEOUT) as session:
        answers = await asyncio.gather(*(one(session) for _ in range(_SIZE)))
    await asyncio.to_thread(
        _until_quiet
    )  # the work that follows from the alerts belongs to this round, not to the next
    return [status for status, _ in answers], max(seconds for _, seconds in answers)


def _until_quiet(still_s: float = _STILL_S) -> None:
    began = time.monotonic()
    while time.monotonic() - began < still_s:
        if pump.items("outbox"):
            began = time.monotonic()
        time.sleep(_LOOK_S)


def _alert(
    session: aiohttp.ClientSession, bench_environment: BenchEnvironment
) -> "aiohttp.client._RequestContextManager":
    body = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 185.5, "alert_id": uuid.uuid4().hex}
    return session.post(
        f"{bench_environment.place.url}/api/webhook",
        json=body,
        headers={"X-Webhook-Token": bench_environment.env["TRADEHOOK_PAPER_TOKEN"]},
    )


def _health(
    session: aiohttp.ClientSession, bench_environment: BenchEnvironment
) -> "aiohttp.client._RequestContextManager":
    return session.get(f"{bench_environment.place.url}/health")


def _chill(bench_environment: BenchEnvironment) -> None:
    """Restarts the cloud, which ends every function's process. No function is warm after it."""
    cloud.stop(bench_environment.place)
    cloud.start(bench_environment.place)
    time.sleep(2)  # the emulator itself must be up: only the functions start cold


def _slow_exchange(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures signals for two live accounts in turn, each after the previous one has settled.

    The exchange of one account takes ten seconds per call. Without the pause, the previous signal's order and
    events would share the processors with the answer and distort the times.
    """
    bench_user = BenchUser(bench_environment, {"binance": 1, "bybit": 1})
    bench_environment.exchanges.fault(exchange="bybit", kind="slow", seconds=10, times=-1)
    with requests.Session() as session:

        def send(exchange: str) -> float:
            body = bench_user.signal(exchange, qty_per=1)
            began = time.perf_counter()
            answer = session.post(
                f"{bench_environment.place.url}/api/webhook",
                json=body,
                headers={"Prefer": "respond-async"},
                timeout=30,
            )
            took = (time.perf_counter() - began) * 1000
            assert answer.status_code == 202, answer.text
            if exchange == "binance":
                _until_settled(answer.json()["signal_id"])
            _until_quiet(_STILL_AFTER_ONE_S)
            return took

        turns = interleaved(
            lambda: send("bybit"),
            lambda: send("binance"),
            rounds=_SLOW_ROUNDS,
            warm_up=3,
            until=bench_environment.ends_at,
        )
    bench_environment.exchanges.clear_faults()
    bench_user.settled()
    yield Figure(
        "acknowledgement, slow exchange",
        "The answer to a signal whose exchange takes 10 s for every call; "
        "each is sent when the one before has had its effect.",
        turns.ours,
        "ms",
        baseline=turns.baseline,
        floor_is="the same with an exchange that answers at once",
        ratio=turns.ratio,
        limit=at_most(1.05),
        grows="not with the exchange: nothing on the way to the answer asks it.",
    )


def _until_settled(signal_id: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not order_store.results_of(signal_id)[0]:
        assert time.monotonic() < until, f"{signal_id} has not settled"
        time.sleep(_LOOK_S)
