"""The soak: ten minutes of traffic at the volume of an hour, with occasional faults everywhere.

Then the comparison of all records.
"""

import asyncio
import json
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import requests
import yaml

from bench.harness import BenchEnvironment, BenchUser, Figure, at_most, spread
from bench.harness.bench_user import fetch_markets
from bench.harness.environment import KEPT
from bench.soak.books import Books, compare
from bench.soak.proxy import FaultyCloud
from bench.soak.receiver import Receiver
from bench.soak.traffic import Senders
from chalicelib import aws
from infra.local import warm
from infra.local.paths import HOST
from infra.stack import STACK_YAML
from testkit import pump
from tests.e2e.conftest import Running

OPTIONAL = True
BUDGET_S = 1300
_SECONDS = int(os.environ.get("SOAK_SECONDS") or 600)
_EVERY_S = 0.5  # an hour with a signal every three seconds, in ten minutes
_SETTLING_S = 600  # a delivery that failed twice is retried after five minutes
_AWAY = 60  # from the ports of the other cases' environment
_AWS_FAULTS = 0.02
_KILL_EVERY_S = (4, 12)
_EXCHANGE_FAULT_EVERY_S = (1, 4)
_SENT_AGAIN = 0.1
_VICTIMS = (
    "receive_signals",
    "execute_orders-paper",
    "execute_orders-binance",
    "execute_orders-bybit",
    "execute_orders-okx",
    "publish_events",
    "deliver_webhooks",
    "push_realtime",
)
_EXCHANGE_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "reset", "when": "before"},
    {"kind": "reset", "when": "after"},
    {"kind": "500", "when": "before"},
    {"kind": "502", "when": "after"},
    {"kind": "503", "when": "before"},
    {"kind": "429", "when": "before"},
    {"kind": "html", "when": "after"},
    {"kind": "empty", "when": "after"},
    {"kind": "slow", "when": "before", "seconds": 3},
    {"kind": "timeout", "when": "after", "seconds": 13},
    {"kind": "timeout", "when": "late", "seconds": 14},
)


@dataclass
class _Met:
    """The faults so far."""

    killed: Counter[str]
    exchange: Counter[str]


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Runs on its own stack, whose functions reach AWS through a faulty proxy."""
    logging.disable(logging.WARNING)
    own = bench_environment.place.directory.parent / "soak"
    own.mkdir(parents=True, exist_ok=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "PORT": str(bench_environment.place.port + _AWAY),
        "TRADEHOOK_LOCAL_DIR": str(own),
        "TRADEHOOK_STACK_YAML": str(_impatient(own)),
    }
    soaked = BenchEnvironment(bench_environment.seed, BUDGET_S)
    soaked.clear()  # removes the state of an earlier soak; the records are of this one
    try:
        books, report = asyncio.run(_soak(soaked))
    finally:
        soaked.clear()
    (KEPT / f"soak-{bench_environment.seed}.json").write_text(
        json.dumps({"sums": books.sums, "wrong": books.wrong} | report, indent=1)
    )
    sums = books.sums
    orders = (
        f"{sums['orders in the order_store']} in the order store, "
        f"{sums['orders at the exchanges']} at the exchanges; {sums['orders on paper']} on paper."
    )
    delivered = (
        f"{sums['events delivered']} delivered to one subscriber, "
        f"{sums['events held']} paused for one that is gone."
    )
    for what, means in {
        "signals": f"{sums['acknowledged']} acknowledged, {sums['settled']} settled.",
        "orders": orders,
        "events": f"{sums['events published']} published; {delivered}",
    }.items():
        wrong = books.wrong[what]
        for line in wrong[:20]:
            print(f"  {what}: {line}")
        yield Figure(
            f"soak {bench_environment.seed}, {what}",
            f"{means} Seed {bench_environment.seed}, {_SECONDS} s, {report['faults']} faults.",
            spread([len(wrong)]),
            "wrong",
            limit=at_most(0),
        )


async def _soak(bench_environment: BenchEnvironment) -> tuple[Books, dict[str, Any]]:
    dice = random.Random(bench_environment.seed)
    _ = await asyncio.to_thread(lambda: bench_environment.stack)
    await asyncio.to_thread(fetch_markets, bench_environment)
    bench_user = await asyncio.to_thread(BenchUser, bench_environment, {"binance": 2, "bybit": 2, "okx": 2})
    receiver = Receiver(random.Random(dice.random()))
    endpoint = await receiver.start(HOST, bench_environment.place.port + 3)
    cloud = FaultyCloud(bench_environment.place.cloud_url, random.Random(dice.random()))
    proxy = await cloud.start(HOST, bench_environment.place.port + 4)
    try:
        await asyncio.to_thread(_redirect, bench_environment, proxy)
        since = await asyncio.to_thread(_quiet)
        subscribed = [
            await asyncio.to_thread(_subscribe, bench_environment, f"{endpoint}/{name}")
            for name in ("works", "gone")
        ]
        senders = Senders(
            bench_environment.place.url, bench_environment.env, bench_user, random.Random(dice.random())
        )
        met = _Met(Counter(), Counter())
        await _traffic(bench_environment, senders, cloud, met, dice)
        books = await _settle(bench_environment, senders, bench_user, receiver, subscribed, since)
    finally:
        await cloud.stop()
        await receiver.stop()
    report = {
        "faults": sum(cloud.met.values())
        + sum(met.killed.values())
        + sum(met.exchange.values())
        + len(receiver.failed),
        "aws": cloud.met,
        "killed": met.killed,
        "exchange": met.exchange,
        "sent": senders.sent,
        "refused": senders.refused,
        "unanswered": senders.unanswered,
    }
    return books, report


async def _traffic(
    bench_environment: BenchEnvironment, senders: Senders, cloud: FaultyCloud, met: _Met, dice: random.Random
) -> None:
    """Sends signals, changes prices and injects faults until the end, and waits for all answers."""
    cloud.rate = _AWS_FAULTS
    troubles = [
        asyncio.create_task(_kill(bench_environment, met, random.Random(dice.random()))),
        asyncio.create_task(_fail_exchanges(bench_environment, met, random.Random(dice.random()))),
    ]
    price, sending = Decimal(50_000), set()
    began = time.monotonic()
    async with aiohttp.ClientSession() as session:
        for number in range(int(_SECONDS / _EVERY_S)):
            price = (price * (1 + Decimal(dice.randint(-20, 20)) / 10_000)) // 1
            if not number % 4:
                await asyncio.to_thread(bench_environment.exchanges.price, "BTCUSDT", str(price))
            task = asyncio.create_task(
                senders.send(session, senders.next(number, price), again=dice.random() < _SENT_AGAIN)
            )
            sending.add(task)
            task.add_done_callback(sending.discard)
            await asyncio.sleep(max(began + (number + 1) * _EVERY_S - time.monotonic(), 0))
        for trouble in troubles:
            trouble.cancel()
        await asyncio.gather(*troubles, return_exceptions=True)
        await asyncio.to_thread(bench_environment.exchanges.clear_faults)
        cloud.rate = 0
        while sending:
            await asyncio.gather(*sending)


async def _kill(bench_environment: BenchEnvironment, met: _Met, dice: random.Random) -> None:
    """Kills the processes of one function after the other."""
    running = Running(bench_environment.place)
    while True:
        await asyncio.sleep(dice.uniform(*_KILL_EVERY_S))
        victim = dice.choice(_VICTIMS)
        met.killed[victim] += await asyncio.to_thread(running.kill_workers, victim)


async def _fail_exchanges(bench_environment: BenchEnvironment, met: _Met, dice: random.Random) -> None:
    """Makes a next call to an exchange fail in some way."""
    while True:
        await asyncio.sleep(dice.uniform(*_EXCHANGE_FAULT_EVERY_S))
        fault = {
            "exchange": dice.choice(("binance", "bybit", "okx")),
            "times": dice.randint(1, 2),
            **dice.choice(_EXCHANGE_FAULTS),
        }
        met.exchange[f"{fault['kind']} {fault['when']}"] += int(fault["times"])
        with suppress(requests.RequestException):
            await asyncio.to_thread(bench_environment.exchanges.fault, **fault)


async def _settle(
    bench_environment: BenchEnvironment,
    senders: Senders,
    bench_user: BenchUser,
    receiver: Receiver,
    subscribed: list[int],
    since: int,
) -> Books:
    """Waits until all work has ended. The minute's work runs more often here.

    Returns the comparison of the records.
    """
    until = time.monotonic() + _SETTLING_S
    while True:
        books = await asyncio.to_thread(
            compare, bench_environment, senders, bench_user, receiver, subscribed, since
        )
        if books.equal or time.monotonic() > until:
            return books
        await asyncio.sleep(3)
        for name in ("sweep", "track_orders", "retry_deliveries"):
            await asyncio.to_thread(_invoke, bench_environment, name)


def _invoke(bench_environment: BenchEnvironment, name: str) -> None:
    bench_environment.stack.client("lambda").invoke(
        FunctionName=bench_environment.stack.function(name), Payload=b"{}"
    )


def _impatient(directory: Path) -> Path:
    """Returns a stack with shorter times: the work of a killed function resumes within 30 s."""
    source = yaml.safe_load(STACK_YAML.read_text())
    for function in source["functions"].values():
        if any("queue" in trigger for trigger in function.get("triggers", [])):
            function["timeout_s"] = 25
    for queue in source["queues"].values():
        queue["visibility_margin_s"] = 3
    changed = directory / "impatient.yaml"
    changed.write_text(yaml.safe_dump(source, sort_keys=False))
    return changed


def _redirect(bench_environment: BenchEnvironment, proxy: str) -> None:
    """Makes every function reach AWS through the proxy."""
    client = bench_environment.stack.client("lambda")
    for name in bench_environment.stack.description.functions:
        full = bench_environment.stack.function(name)
        variables = client.get_function_configuration(FunctionName=full)["Environment"]["Variables"]
        variables |= {"AWS_ENDPOINT_URL": proxy}
        if "WEBSOCKET_REALTIME" in variables:
            variables["WEBSOCKET_REALTIME"] = variables["WEBSOCKET_REALTIME"].replace(
                bench_environment.place.cloud_url, proxy
            )
        client.update_function_configuration(FunctionName=full, Environment={"Variables": variables})
    warm.up(bench_environment.stack)


def _quiet() -> int:
    """Returns the last event's number, once no event is on its way."""
    while pump.items("outbox"):
        time.sleep(0.5)
    time.sleep(2)
    return int((aws.get("events", {"stream": "admin", "sequence": 0}) or {"last": 0})["last"])


def _subscribe(bench_environment: BenchEnvironment, url: str) -> int:
    body = {"name": url, "url": url, "event_types": ["order.*", "signal.*"]}
    headers = {"Authorization": f"Bearer {bench_environment.env['TRADEHOOK_ADMIN_TOKEN']}"}
    answer = requests.post(f"{bench_environment.place.url}/webhooks", json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return int(answer.json()["id"])
