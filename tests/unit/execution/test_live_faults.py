"""What faults of an exchange come to, through the whole of `execute` with the message redelivered.

Each fault on each call of every way of an order: test_live_fault_matrix.py.
"""

import time

import pytest

from chalicelib.exchanges import adapter, transport
from chalicelib.trading import MarketType
from simulator.fixtures import VENUES
from tests.unit.execution.conftest import IDS, LATE_S, Live

pytestmark = pytest.mark.usefixtures("unlimited")

FAULTS = [
    *(
        (kind, when)
        for kind in ("timeout", "reset", "500", "502", "503", "429", "html", "empty", "duplicate")
        for when in ("before", "after")
    ),
    ("timeout", "late"),
    ("slow", "before"),
]
PLACE = {"binance": ("POST", "*rder"), "bybit": ("POST", "*/order/create"), "okx": ("POST", "*/trade/order*")}
FIND = {"binance": ("GET", "*rder"), "bybit": ("GET", "*/order/realtime"), "okx": ("GET", "*/trade/order*")}
CANCEL = {
    "binance": ("DELETE", "*rder"),
    "bybit": ("POST", "*/order/cancel"),
    "okx": ("POST", "*/trade/cancel-*"),
}
PREPARE = {
    "binance": ("GET", "*/accountConfig"),
    "bybit": ("GET", "*/position/list"),
    "okx": ("GET", "*/account/config"),
}


def inject(live: Live, calls: dict[str, tuple[str, str]], kind: str, when: str) -> None:
    """One fault on the next of these calls by the account."""
    method, path = calls[live.exchange]
    # With a timeout the caller gives up after 0.5 s, a late effect comes after 0.6 s, and the outcome counts
    # as certain only after 0.9 s.
    seconds = 0.05 if kind == "slow" else 0.6
    key = live.credentials.api_key
    live.simulator.fault(
        exchange=live.exchange, method=method, path=path, api_key=key, kind=kind, when=when, seconds=seconds
    )


def each_fault(open_account, venue, faults, meet) -> None:
    """Meets each fault on an account of its own; tells of all that went wrong."""
    wrong = []
    for kind, when in faults:
        try:
            with pytest.MonkeyPatch.context() as patch:
                if kind == "timeout":
                    patch.setattr(transport, "READ_TIMEOUT_S", 0.5)
                    patch.setattr(adapter.CcxtExchange, "late_arrival_s", 0.9)
                meet(open_account(*venue), kind, when)
        except AssertionError as error:
            wrong.append(f"{kind} {when}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.fixture(params=VENUES, ids=IDS)
def venue(request: pytest.FixtureRequest):
    """Each exchange and market in turn."""
    return request.param


def test_placing(open_account, venue) -> None:
    """The order is at the exchange once, and the order store agrees with the exchange."""

    def meet(live: Live, kind: str, when: str) -> None:
        inject(live, PLACE, kind, when)
        execution = live.run("buy")
        assert not execution.refused, execution.refused
        assert len(live.there()) == 1
        live.follow()
        assert live.agrees()

    each_fault(open_account, venue, FAULTS, meet)


def test_looking(open_account, venue) -> None:
    """A failed query of an order whose placing is uncertain changes nothing."""

    def meet(live: Live, kind: str, when: str) -> None:
        inject(live, PLACE, "reset", "after")
        inject(live, FIND, kind, when)
        live.run("buy")
        live.follow()
        assert len(live.there()) == 1
        assert live.agrees()

    each_fault(
        open_account,
        venue,
        [("timeout", "before"), ("500", "before"), ("html", "after"), ("429", "before")],
        meet,
    )


def test_an_exchange_that_does_not_answer(open_account, venue) -> None:
    """Placed, and then no look succeeds.

    The order is unknown, is never sent again, and the follow-up finds what became of it.
    """
    live = open_account(*venue)
    for calls in (PLACE, FIND):
        method, path = calls[live.exchange]
        many = {"times": 1 if calls is PLACE else 40}
        live.simulator.fault(
            exchange=live.exchange,
            method=method,
            path=path,
            api_key=live.credentials.api_key,
            kind="502",
            when="after",
            **many,
        )
    live.run("buy")
    [order] = live.order_store()
    if order.status != "filled":
        assert order.status == "unknown"
        assert "order.unknown" in live.events()
    live.simulator.clear_faults()
    live.follow()
    assert len(live.there()) == 1
    assert live.agrees()


def test_preparing(open_account, venue) -> None:
    """A fault while the account's settings are made leaves no second order behind."""

    def meet(live: Live, kind: str, when: str) -> None:
        inject(live, PREPARE, kind, when)
        live.run("buy")
        assert len(live.there()) == 1
        assert live.agrees()

    if venue[1] is MarketType.FUTURES:
        each_fault(open_account, venue, FAULTS[::3], meet)


def test_cancelling(open_account, venue) -> None:
    """A cancel that met a fault counts the order once, as cancelled."""

    def meet(live: Live, kind: str, when: str) -> None:
        live.limit("49000", group_name="mine")
        inject(live, CANCEL, kind, when)
        execution = live.run("cancel_all_order", symbol=None, market_type=None, group_name="mine")
        assert (execution.cancelled, execution.not_cancelled) == (1, 0)
        assert live.agrees()

    each_fault(open_account, venue, [("reset", "after"), ("html", "before"), ("429", "after")], meet)


def test_cancelling_what_never_arrived(open_account, venue) -> None:
    """An order of unknown outcome that the exchange never saw was not placed.

    It is rejected, and nothing was cancelled.
    """
    live = open_account(*venue)
    for calls, kind, when, times in ((PLACE, "reset", "before", 40), (FIND, "502", "before", 40)):
        method, path = calls[live.exchange]
        live.simulator.fault(
            exchange=live.exchange,
            method=method,
            path=path,
            api_key=live.credentials.api_key,
            kind=kind,
            when=when,
            times=times,
        )
    live.limit("49000", group_name="mine")
    [order] = live.order_store()
    assert order.status == "unknown"
    live.simulator.clear_faults()
    time.sleep(4 * LATE_S)
    execution = live.run("cancel_all_order", symbol=None, market_type=None, group_name="mine")
    assert (execution.cancelled, execution.not_cancelled) == (0, 1)
    [order] = live.order_store()
    assert (order.status, order.code) == ("rejected", "exchange_never_arrived")
    assert live.there() == []
