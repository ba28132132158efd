"""The worker is killed before or after each call it makes, to AWS and to the exchange; the message comes again. Nothing is lost or doubled.

With `CRASH_MATRIX=docs/crash-matrix.md` in the environment the run also writes down what became of each order.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.client import BaseClient

from chalicelib.exchanges import limiter, market_store
from chalicelib.exchanges.session import ExchangeTransport
from chalicelib.orders import execute, keys, store
from chalicelib.trading import MarketType
from tests.unit.orders.conftest import Live, legs

pytestmark = pytest.mark.usefixtures("unlimited")

# Just before a call, nothing has changed since just after the one before it. The longer ways go without it, but for the matrix.
_SIDES = pytest.mark.parametrize("after", [True, False] if os.environ.get("CRASH_MATRIX") else [True])

_PAGE = """# The crash matrix

Written by `CRASH_MATRIX=docs/crash-matrix.md pytest -n0 tests/unit/orders/test_live_crashes.py`; not by hand.

The worker executes a signal on the exchange simulator and its process ends just before a call, or just after the call took effect
and before its answer was heard. Then a new process gets the same message. Each line is a call of the order path; each cell says how
many of the signal's orders stood at the exchange when the process ended, how many do in the end, and how the ledger has them. The
run fails unless the ledger's orders are the exchange's, one for one, with the same ends.

**{kills} kills: orders lost {lost}, doubled {doubled}, final state other than the exchange's {other}.**
"""


class Killed(BaseException):
    """The end of the process."""


class Killer:
    """Kills the worker after, or before, its n-th call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.at, self.after, self.last = 0, -1, True, ""
        for owner, name in ((BaseClient, "_make_api_call"), (ExchangeTransport, "send")):
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, original):
        def call(*arguments, **more):
            self.calls += 1
            mine = self.calls
            if mine == self.at:
                self.last = _named(*arguments)
            if mine == self.at and not self.after:
                raise Killed
            try:
                return original(*arguments, **more)
            finally:
                if mine == self.at:
                    raise Killed  # in place of whatever the answer was

        return call

    def arm(self, at: int, *, after: bool) -> None:
        self.calls, self.at, self.after = 0, at, after


def _named(caller: Any, what: Any, *_: Any) -> str:
    """A call as the matrix has it."""
    if isinstance(caller, BaseClient):
        return f"{caller.meta.service_model.service_name} {what}"
    return f"{what.method} {urlsplit(what.url).path}"


class Matrix:
    """What became of each signal, by venue and path, call and side of the kill."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], dict[tuple[int, str], dict[bool, str]]] = defaultdict(lambda: defaultdict(dict))
        self._lost = self._doubled = self._other = 0

    def add(self, live: Live, killer: Killer, at: int, signal_id: str, path: str, then: int, now: int) -> None:
        """One kill, of `then` orders at the exchange when the process ended and `now` in the end."""
        orders = [order for order in store.of_signal(signal_id)[1] if order.status != "rejected"]
        self._lost += max(0, len(orders) - now)
        self._doubled += max(0, now - len(orders))
        self._other += not live.agrees(signal_id)
        ends = " and ".join(dict.fromkeys(order.status.value for order in orders))
        venue = f"{live.exchange} {live.market_type.value}"
        self._cells[venue, path][at, killer.last][killer.after] = f"{then} → {now} {ends}"

    def page(self) -> str:
        """The page of the documentation."""
        kills = sum(len(sides) for cells in self._cells.values() for sides in cells.values())
        lines = [_PAGE.format(kills=kills, lost=self._lost, doubled=self._doubled, other=self._other)]
        for (venue, path), cells in sorted(self._cells.items()):
            lines += [f"## {venue.capitalize()}: {path}\n", "| | call | killed before | killed after |", "| --- | --- | --- | --- |"]
            lines += [f"| {at} | {call} | {sides.get(False, '')} | {sides.get(True, '')} |" for (at, call), sides in sorted(cells.items())]
            lines.append("")
        return "\n".join(lines)


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    """Collects, and writes where it is asked to."""
    collected = Matrix()
    yield collected
    if page := os.environ.get("CRASH_MATRIX"):
        Path(page).write_text(collected.page())


def forget_everything() -> None:
    """What a new process does not know."""
    for forget in (limiter.forget, market_store.forget, keys.forget):
        forget()


def killed_everywhere(live: Live, killer: Killer, make, check, *, matrix: Matrix | None = None, path: str = "", after: bool) -> int:
    """Runs a fresh signal once per call it makes, killed there; returns how many calls there are."""
    at = 0
    while True:
        at += 1
        signal = make(at)
        before = len(live.there())
        forget_everything()
        killer.arm(at, after=after)
        try:
            execute.execute(signal, 20)
        except Killed:
            reached = True
        else:
            reached = False
        killer.arm(-1, after=after)
        then = len(live.there()) - before
        forget_everything()
        execution = live.execute(signal)
        check(at, signal, execution)
        if not reached:
            return at
        if matrix is not None:
            now = len([each for each in live.there()[before:] if each["status"] != "rejected"])
            matrix.add(live, killer, at, signal.signal_id, path, then, now)


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_buy(live: Live, monkeypatch: pytest.MonkeyPatch, matrix: Matrix, after: bool) -> None:
    """One order per signal, whichever call was the last."""
    killer = Killer(monkeypatch)

    def check(at, signal, execution):
        assert not execution.refused, (at, execution.refused)
        assert len(live.there()) == at
        live.follow()
        assert live.agrees(signal.signal_id), at

    calls = killed_everywhere(
        live, killer, lambda _: live.signal("buy", quantity=Decimal("0.01")), check, matrix=matrix, path="a buy", after=after
    )
    assert calls > 8


@_SIDES
def test_a_batch_of_shares(open_account, monkeypatch: pytest.MonkeyPatch, matrix: Matrix, after: bool) -> None:
    """Two sells of half of what is held: killed anywhere, the second is still half of what was held at first."""
    live = open_account("bybit", MarketType.SPOT)
    killer = Killer(monkeypatch)

    def check(at, signal, execution):
        assert not execution.refused, (at, execution.refused)
        first, second = (order for order in live.ledger() if order.signal_id == signal.signal_id)
        assert first.quantity == second.quantity
        assert live.agrees(signal.signal_id), at

    def make(at):
        if at > 1:
            live.run("buy", quantity=Decimal(2))
        return live.signal("sell", legs=legs("50", "50"), price=Decimal(50000))

    killed_everywhere(live, killer, make, check, matrix=matrix, path="two sells of half", after=after)


@_SIDES
@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_a_reversal(open_account, monkeypatch: pytest.MonkeyPatch, matrix: Matrix, exchange: str, after: bool) -> None:
    """From short to long and back: killed anywhere, each ends with one position of the size asked for."""
    live = open_account(exchange, MarketType.FUTURES)
    live.run("short", quantity=Decimal("0.1"))
    killer = Killer(monkeypatch)

    def make(at):
        return live.signal("long" if at % 2 else "short", quantity=Decimal("0.1"))

    def check(at, signal, execution):
        assert not execution.refused, (at, execution.refused)
        assert [abs(Decimal(each)) for each in live.holdings["positions"].values()] == [Decimal("0.1")], at
        assert live.agrees(signal.signal_id), at

    killed_everywhere(live, killer, make, check, matrix=matrix, path="a reversal", after=after)


def test_the_settlement_is_written_once(open_account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that both get the message place one order and write one execution."""
    live = open_account("okx", MarketType.SPOT)
    signal = live.signal()
    live.execute(signal)
    live.execute(signal)
    executions, orders = store.of_signal(signal.signal_id)
    assert (len(executions), len(orders)) == (1, 1)
