"""The worker is killed after each call it makes, to AWS and to the exchange; the message comes again. Nothing is lost or doubled."""

from decimal import Decimal

import pytest
from botocore.client import BaseClient

from chalicelib.exchanges import limiter, market_store
from chalicelib.exchanges.session import ExchangeTransport
from chalicelib.orders import execute, keys, store
from chalicelib.trading import MarketType
from tests.unit.orders.conftest import Live, legs

pytestmark = pytest.mark.usefixtures("unlimited")


class Killed(BaseException):
    """The end of the process."""


class Killer:
    """Kills the worker after, or before, its n-th call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.at, self.after = 0, -1, True
        for owner, name in ((BaseClient, "_make_api_call"), (ExchangeTransport, "send")):
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, original):
        def call(*arguments, **more):
            self.calls += 1
            mine = self.calls
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


def forget_everything() -> None:
    """What a new process does not know."""
    for forget in (limiter.forget, market_store.forget, keys.forget):
        forget()


def killed_everywhere(live: Live, killer: Killer, make, check, *, after: bool) -> int:
    """Runs a fresh signal once per call it makes, killed there; returns how many calls there are."""
    at = 0
    while True:
        at += 1
        signal = make(at)
        forget_everything()
        killer.arm(at, after=after)
        try:
            execute.execute(signal, 20)
        except Killed:
            reached = True
        else:
            reached = False
        killer.arm(-1, after=True)
        forget_everything()
        execution = live.execute(signal)
        check(at, signal, execution)
        if not reached:
            return at


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_buy(live: Live, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    """One order per signal, whichever call was the last."""
    killer = Killer(monkeypatch)

    def check(at, signal, execution):
        assert not execution.refused, (at, execution.refused)
        assert len(live.there()) == at
        live.follow()
        assert live.agrees(signal.signal_id), at

    calls = killed_everywhere(live, killer, lambda _: live.signal("buy", quantity=Decimal("0.01")), check, after=after)
    assert calls > 8


def test_a_batch_of_shares(open_account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sells of half of what is held: killed anywhere, the second is still half of what was held at first."""
    live = open_account("bybit", MarketType.SPOT)
    killer = Killer(monkeypatch)

    def check(at, signal, execution):
        assert not execution.refused, (at, execution.refused)
        first, second = (order for order in live.ledger() if order.signal_id == signal.signal_id)
        assert first.quantity == second.quantity
        assert live.agrees(signal.signal_id), at
        live.run("buy", quantity=Decimal(2))

    killed_everywhere(live, killer, lambda _: live.signal("sell", legs=legs("50", "50"), price=Decimal(50000)), check, after=True)


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_a_reversal(open_account, monkeypatch: pytest.MonkeyPatch, exchange: str) -> None:
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

    killed_everywhere(live, killer, make, check, after=True)


def test_the_settlement_is_written_once(open_account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that both get the message place one order and write one execution."""
    live = open_account("okx", MarketType.SPOT)
    signal = live.signal()
    live.execute(signal)
    live.execute(signal)
    executions, orders = store.of_signal(signal.signal_id)
    assert (len(executions), len(orders)) == (1, 1)
