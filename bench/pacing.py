"""Signals for 200 live accounts on three exchanges at once: every account is served.

Also the pace if limits bind.
"""

import logging
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

import requests

from bench.harness import BenchEnvironment, BenchUser, Figure, at_most, spread
from chalicelib.exchanges import rate_limiter
from chalicelib.exchanges.rate_limiter import limits_of
from chalicelib.execution import execute_signal
from chalicelib.orders import in_flight
from chalicelib.orders import store as executions
from chalicelib.orders.models import AccountResult, Instruction
from chalicelib.trading import Action, Leg, MarketType, Symbol
from infra.local import warm
from testkit import pump

BUDGET_S = 150

_ACCOUNTS = {"binance": 67, "bybit": 67, "okx": 66}
_MARKETS = dict.fromkeys(_ACCOUNTS, MarketType.FUTURES)  # the narrower limits
# Percent of the exchanges' limits. They permit two to three accounts a second, less than half of what this
# machine can do. The limits of these markets count by address: Binance's spot account weighs 20, Bybit counts
# every call, OKX only prices.
_SHARED = {"binance": (MarketType.SPOT, 60), "bybit": (MarketType.FUTURES, 20), "okx": (MarketType.SPOT, 30)}
_SPOILED = 3  # accounts of each exchange whose key is revoked; as many are empty
_PATIENCE_S = 100
_QUIET_WITHIN_S = 20
_AT_ONCE = 8
_PACED = (("binance", MarketType.SPOT), ("bybit", MarketType.FUTURES), ("okx", MarketType.SPOT))
_ORDERS = 45
_FACTOR = 0.5
_SLOWEST_PER_S, _MOST_AT_ONCE = 4.5, 4


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures one signal per exchange at the same instant, because a group signal names one exchange."""
    logging.disable(logging.WARNING)
    with BenchUser(bench_environment, _ACCOUNTS) as bench_user:
        spoiled = _spoil(bench_environment, bench_user)
        began = time.monotonic()
        settled = _trade(bench_environment, bench_user, _MARKETS)
        took = time.monotonic() - began
        _check(bench_environment, bench_user, settled, spoiled)
        limited = bench_environment.exchanges.call("GET", "stats")["limited"]
        _look_later(bench_user)
    yield Figure(
        "200 accounts on three exchanges",
        "From the front door to the last settled account; "
        f"{2 * _SPOILED} of each exchange's have a bad key or nothing to trade with.",
        spread([took]),
        "s",
        grows="with the accounts of one exchange, by its concurrency in stack.yaml; "
        "exchanges do not delay each other.",
    )
    yield Figure(
        "200 accounts, turned away by a limit",
        "Calls that an exchange answered with 429 or its like.",
        spread([limited]),
        "calls",
        limit=at_most(0),
    )
    _quiet()
    yield from _shared(bench_environment)
    _quiet()
    yield from _paced(bench_environment)


def _shared(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures all accounts again, with a share of the exchanges' limits that binds before this machine."""
    bench_environment.exchanges.reset()
    with BenchUser(bench_environment, _ACCOUNTS) as bench_user, _shares(bench_environment):
        spoiled = _spoil(bench_environment, bench_user)
        for exchange, (_, percent) in _SHARED.items():
            bench_environment.exchanges.call("POST", "limits", exchange=exchange, factor=percent / 100)
        tooks: dict[str, float] = {}
        settled = _trade(
            bench_environment,
            bench_user,
            {exchange: market for exchange, (market, _) in _SHARED.items()},
            tooks,
        )
        stats = bench_environment.exchanges.call("GET", "stats")
        _check(bench_environment, bench_user, settled, spoiled)
        _look_later(bench_user)
        for exchange, (market, percent) in _SHARED.items():
            rate = limits_of(exchange, market).weight
            weight = stats["weight"][exchange]
            baseline = (weight - rate.burst) / rate.per_s
            yield Figure(
                f"{_ACCOUNTS[exchange]} accounts, within {percent} % of {exchange}'s limits",
                f"From the front door to the last settled account of {sum(_ACCOUNTS.values())}, "
                "on three exchanges at once, each with so small a share of its limits by address "
                f"that they are the bound ({market.value}, {rate.per_s:g} a second; "
                "the simulated exchange allows as much less). "
                f"{2 * _SPOILED} have a bad key or nothing to trade with.",
                spread([tooks[exchange]]),
                "s",
                baseline=spread([baseline]),
                floor_is=f"the time that the limit takes for the {weight} that the exchange counted, "
                f"after a burst of {rate.burst}",
                ratio=spread([tooks[exchange] / baseline]),
                limit=at_most(1.1),
                grows="with the accounts on the exchange.",
            )
        yield Figure(
            "200 accounts at the limits, turned away by one",
            "Calls that an exchange answered with 429 or its like.",
            spread([stats["limited"]]),
            "calls",
            limit=at_most(0),
        )
    bench_environment.exchanges.reset()


def _quiet() -> None:
    """Waits until all events so far are published.

    This machine must be free for a measurement that limits bind.
    """
    until = time.monotonic() + _QUIET_WITHIN_S
    while pump.items("outbox") and time.monotonic() < until:
        time.sleep(0.5)


@contextmanager
def _shares(bench_environment: BenchEnvironment) -> Iterator[None]:
    """Gives the workers and this process shares of the exchanges' limits."""
    shares = " ".join(f"{exchange}:{percent}" for exchange, (_, percent) in _SHARED.items())
    _tell_workers(bench_environment, shares)
    try:
        with patch.dict(os.environ, TRADEHOOK_EXCHANGE_SHARES=shares):
            yield
    finally:
        _tell_workers(bench_environment, "")


def _tell_workers(bench_environment: BenchEnvironment, shares: str) -> None:
    client = bench_environment.stack.client("lambda")
    for exchange in _SHARED:
        function = bench_environment.stack.function(f"execute_orders-{exchange}")
        variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        variables["TRADEHOOK_EXCHANGE_SHARES"] = shares
        client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
    warm.up(bench_environment.stack)


def _look_later(bench_user: BenchUser) -> None:
    """Delays the accounts' next reconciliation.

    Its calls would count towards the limits that are measured next.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        later = datetime.now(UTC) + timedelta(hours=1)
        list(
            pool.map(
                lambda account: in_flight.schedule_account(account.account_id, account.exchange, later),
                bench_user.accounts,
            )
        )


def _paced(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures an account on each exchange with more orders than its limit permits at once."""
    narrow = {place: _narrowed(limits_of(*place)) for place in _PACED}
    with (
        BenchUser(bench_environment, dict.fromkeys(_ACCOUNTS, 1)) as bench_user,
        patch.dict(rate_limiter._LIMITS, narrow),  # noqa: SLF001
    ):
        rate_limiter.forget()
        bench_environment.exchanges.call("POST", "limits", factor=_FACTOR)
        with ThreadPoolExecutor(len(_PACED)) as pool:
            tooks = dict(
                zip(_PACED, pool.map(lambda place: _place_all(bench_user, *place), _PACED), strict=True)
            )
        limited = bench_environment.exchanges.call("GET", "stats")["limited"]
        bench_environment.exchanges.reset()
    rate_limiter.forget()
    for place, took in tooks.items():
        rate = narrow[place].orders
        baseline = (_ORDERS - rate.burst) / rate.per_s
        yield Figure(
            f"pace of an account at {place[0]}",
            f"From the first of {_ORDERS} orders on the wire to the last, at {rate.per_s:g} a second: "
            "half of what is kept to at Binance and Bybit and a sixth at OKX, with the simulated exchanges' "
            "limits halved, so that the pace is the bound and not this machine; "
            f"{limited} calls turned away.",
            spread([took]),
            "s",
            baseline=spread([baseline]),
            floor_is="the time that the limit takes",
            ratio=spread([took / baseline]),
            limit=at_most(1.1),
            grows="with the orders of one account; other accounts have limits of their own.",
        )
    yield Figure(
        "pace, turned away by a limit",
        "Calls that an exchange answered with 429 or its like.",
        spread([limited]),
        "calls",
        limit=at_most(0),
    )


def _narrowed(limits: rate_limiter.Limits) -> rate_limiter.Limits:
    rate = limits.orders
    return replace(
        limits,
        orders=rate_limiter.Rate(
            min(rate.per_s * _FACTOR, _SLOWEST_PER_S), min(max(int(rate.burst * _FACTOR), 1), _MOST_AT_ONCE)
        ),
    )


def _place_all(bench_user: BenchUser, exchange: str, market_type: MarketType) -> float:
    """Returns the seconds from the first order sent to the last."""
    [account] = [each for each in bench_user.accounts if each.exchange == exchange]
    legs = tuple(Leg(percent=Decimal("0.1")) for _ in range(_ORDERS))
    signal = Instruction(
        signal_id=uuid.uuid4().hex,
        user_id=bench_user.user_id,
        account_id=account.account_id,
        exchange=exchange,
        variant="group",
        action=Action.BUY,
        symbol=Symbol(raw="BTCUSDT", base="BTC", quote="USDT"),
        market_type=market_type,
        legs=legs,
        price=Decimal(50000),
        received_at=datetime.now(UTC),
        max_age_s=_PATIENCE_S,
        single_account=False,
    )
    execute_signal.execute_signal(signal, _PATIENCE_S)
    orders = executions.results_of(signal.signal_id)[1]
    assert [order.status for order in orders] == ["filled"] * _ORDERS, [order.status for order in orders]
    sent = [order.sent_at for order in orders if order.sent_at]
    return (max(sent) - min(sent)).total_seconds()


def _spoil(bench_environment: BenchEnvironment, bench_user: BenchUser) -> dict[str, str]:
    """Revokes some keys and empties some accounts. Returns the expected refusal of each."""
    spoiled: dict[str, str] = {}
    for exchange in _ACCOUNTS:
        mine = [account.account_id for account in bench_user.accounts if account.exchange == exchange]
        for account_id in mine[:_SPOILED]:
            bench_environment.exchanges.call(
                "POST", "revoke", api_key=bench_user.credentials[account_id].api_key
            )
        for account_id in mine[_SPOILED : 2 * _SPOILED]:
            bench_environment.exchanges.call(
                "POST", "empty", api_key=bench_user.credentials[account_id].api_key
            )
        spoiled |= dict.fromkeys(mine[:_SPOILED], "exchange_key_rejected") | dict.fromkeys(
            mine[_SPOILED : 2 * _SPOILED], "below_minimum"
        )
    return spoiled


def _trade(
    bench_environment: BenchEnvironment,
    bench_user: BenchUser,
    markets: dict[str, MarketType],
    tooks: dict[str, float] | None = None,
) -> list[AccountResult]:
    """Makes every account buy and returns the results.

    Stores into `tooks` the seconds from the front door to the last account of each exchange.
    """
    began = time.monotonic()
    sides = {MarketType.SPOT: "buy", MarketType.FUTURES: "long"}

    def send(exchange: str) -> str:
        body = bench_user.signal(
            exchange, market_type=markets[exchange].value, side=sides[markets[exchange]], qty_per=1
        )
        answer = requests.post(
            f"{bench_environment.place.url}/api/webhook",
            json=body,
            headers={"Prefer": "respond-async"},
            timeout=30,
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["signal_id"])

    with ThreadPoolExecutor(len(_ACCOUNTS)) as pool:
        sent = dict(zip(_ACCOUNTS, pool.map(send, _ACCOUNTS), strict=True))
    until = time.monotonic() + _PATIENCE_S
    while True:
        found = {exchange: executions.results_of(signal_id)[0] for exchange, signal_id in sent.items()}
        for exchange, mine in found.items():
            if tooks is not None and len(mine) == _ACCOUNTS[exchange]:
                tooks.setdefault(exchange, time.monotonic() - began)
        if all(len(mine) == _ACCOUNTS[exchange] for exchange, mine in found.items()):
            return [execution for mine in found.values() for execution in mine]
        counts = {exchange: len(mine) for exchange, mine in found.items()}
        assert time.monotonic() < until, (
            f"settled: {counts}; {bench_environment.exchanges.call('GET', 'stats')}"
        )
        time.sleep(0.2)


def _check(
    bench_environment: BenchEnvironment,
    bench_user: BenchUser,
    settled: list[AccountResult],
    spoiled: dict[str, str],
) -> None:
    """Checks that every able account traded once, and that the others got the expected refusal."""
    filled = {
        order["api_key"]: order["status"]
        for order in bench_environment.exchanges.orders()
        if order["parent"] is None
    }
    assert len(filled) == len(
        [order for order in bench_environment.exchanges.orders() if order["parent"] is None]
    ), "an order was doubled"
    for execution in settled:
        key = bench_user.credentials[execution.account_id].api_key
        if execution.account_id in spoiled:
            assert {leg.code for leg in execution.refused} == {spoiled[execution.account_id]}, execution
            assert key not in filled
        else:
            assert not execution.refused, execution
            assert filled[key] == "filled"
