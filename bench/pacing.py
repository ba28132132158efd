"""Signals for 200 live accounts on three exchanges at once: everyone is served, nobody is turned away, little time goes by waiting."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from bench.kit import Desk, Figure, Stand, at_most, spread
from chalicelib.exchanges.limiter import limits_of
from chalicelib.orders import store as ledger
from chalicelib.orders.models import Execution
from chalicelib.trading import MarketType

BUDGET_S = 150

_ACCOUNTS = {"binance": 67, "bybit": 67, "okx": 66}
_MARKET = MarketType.FUTURES  # the narrower limits
_SPOILED = 3  # accounts of each exchange whose key is revoked; as many are empty
_PATIENCE_S = 100
_CALLS_PER_ACCOUNT = 12  # more than any of the exchanges needs for its first order


def run(stand: Stand) -> Iterator[Figure]:
    """One signal per exchange in the same instant, since a group signal names one."""
    with Desk(stand, _ACCOUNTS) as desk:
        spoiled = _spoil(stand, desk)
        began = time.monotonic()
        executions = _trade(stand, desk)
        took = time.monotonic() - began
        _check(stand, desk, executions, spoiled)
        limited = stand.exchanges.call("GET", "stats")["limited"]
    waits = {exchange: max(_waited(each) for each in executions if each.exchange == exchange) for exchange in _ACCOUNTS}
    yield Figure(
        "200 accounts on three exchanges",
        f"From the front door to the last settled account; {2 * _SPOILED} of each exchange's have a bad key or nothing to trade with.",
        spread([took]),
        "s",
        grows="with the accounts of one exchange, by its concurrency in stack.yaml; exchanges do not hold each other up.",
    )
    yield Figure(
        "200 accounts, turned away by a limit",
        "Calls that an exchange answered with 429 or its like.",
        spread([limited]),
        "calls",
        limit=at_most(0),
    )
    for exchange, waited in waits.items():
        yield Figure(
            f"200 accounts, waiting for {exchange}'s limits",
            "What the account that waited longest did, beside the time that its exchange's limits would take for the calls of all.",
            spread([waited]),
            "s",
            floor=spread([_allowed_s(exchange)]),
            floor_is="the limit on the address, for these accounts",
            ratio=spread([waited / _allowed_s(exchange)]),
            limit=at_most(1.1),
        )


def _allowed_s(exchange: str) -> float:
    weight = limits_of(exchange, _MARKET).weight
    return max(_ACCOUNTS[exchange] * _CALLS_PER_ACCOUNT - weight.burst, weight.per_s) / weight.per_s


def _spoil(stand: Stand, desk: Desk) -> set[str]:
    """Revokes some keys and empties some accounts; their ids."""
    spoiled = set()
    for exchange in _ACCOUNTS:
        mine = [account.account_id for account in desk.accounts if account.exchange == exchange]
        for account_id in mine[:_SPOILED]:
            stand.exchanges.call("POST", "revoke", api_key=desk.credentials[account_id].api_key)
        for account_id in mine[_SPOILED : 2 * _SPOILED]:
            stand.exchanges.call("POST", "empty", api_key=desk.credentials[account_id].api_key)
        spoiled |= set(mine[: 2 * _SPOILED])
    return spoiled


def _trade(stand: Stand, desk: Desk) -> list[Execution]:
    def send(exchange: str) -> str:
        body = desk.signal(exchange, market_type=_MARKET.value, side="long", qty_per=1)
        answer = requests.post(f"{stand.place.url}/api/webhook", json=body, headers={"Prefer": "respond-async"}, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["signal_id"])

    with ThreadPoolExecutor(len(_ACCOUNTS)) as pool:
        sent = dict(zip(_ACCOUNTS, pool.map(send, _ACCOUNTS), strict=True))
    until = time.monotonic() + _PATIENCE_S
    while True:
        found = {exchange: ledger.of_signal(signal_id)[0] for exchange, signal_id in sent.items()}
        if all(len(executions) == _ACCOUNTS[exchange] for exchange, executions in found.items()):
            return [execution for executions in found.values() for execution in executions]
        counts = {exchange: len(executions) for exchange, executions in found.items()}
        assert time.monotonic() < until, f"settled: {counts}"
        time.sleep(0.1)


def _check(stand: Stand, desk: Desk, executions: list[Execution], spoiled: set[str]) -> None:
    """Whoever can trade has traded, once; the others are refused, each by a code of their own."""
    filled = {order["api_key"]: order["status"] for order in stand.exchanges.orders() if order["parent"] is None}
    assert len(filled) == len([order for order in stand.exchanges.orders() if order["parent"] is None]), "an order was doubled"
    for execution in executions:
        key = desk.credentials[execution.account_id].api_key
        if execution.account_id in spoiled:
            assert execution.refused, execution
            assert key not in filled
        else:
            assert not execution.refused, execution
            assert filled[key] == "filled"


def _waited(execution: Execution) -> float:
    return float(sum(delay.seconds for delay in execution.delays if delay.cause == "rate_limit"))
