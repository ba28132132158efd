"""Each fault, before and after its effect, on each call of an order's way, on each exchange.

Nothing lost, nothing doubled.

`python -m tests.contract.exchanges.fault_matrix > docs/evidence/fault-matrix.md` runs it and writes the
table.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chalicelib.errors import OutcomeUnknown, Retryable
from chalicelib.exchanges.protocol import Exchange, OrderRequest, OrderState, OrderStatus
from chalicelib.trading import MarketType
from simulator.client import Simulator
from simulator.fixtures import VENUES, stored_markets
from simulator.server import SimulatorServer
from tests.contract.exchanges.exchange_rig import BUY, SELL, SimulatedRig

FAULTS = [
    *(
        (kind, when)
        for kind in ("timeout", "reset", "500", "502", "503", "429", "html", "empty", "duplicate")
        for when in ("before", "after")
    ),
    ("timeout", "late"),
    ("slow", "before"),
]
ORDERS = {
    "place market": {},
    "place limit": {"price": "49000"},
    "place stop": {"stop_price": "48000", "trigger_above": False},
}
CALLS = ("prepare", *ORDERS, "find", "cancel", "cancel stop")

# The faulted calls, by exchange: method and path.
_PATHS = {
    ("binance", "prepare"): ("GET", "*/accountConfig"),
    ("binance", "place"): ("POST", "*rder"),
    ("binance", "find"): ("GET", "*rder"),
    ("binance", "cancel"): ("DELETE", "*rder"),
    ("bybit", "prepare"): ("GET", "*/position/list"),
    ("bybit", "place"): ("POST", "*/order/create"),
    ("bybit", "find"): ("GET", "*/order/realtime"),
    ("bybit", "cancel"): ("POST", "*/order/cancel"),
    ("okx", "prepare"): ("GET", "*/account/config"),
    ("okx", "place"): ("POST", "*/trade/order*"),
    ("okx", "find"): ("GET", "*/trade/order*"),
    ("okx", "cancel"): ("POST", "*/trade/cancel-*"),
}
# In cells with a timeout, the caller gives up after 0.6 s, the late effect comes after 0.8 s, and the outcome
# counts as certain only after 1.1 s. Those cells mostly wait, so they run in parallel. Elsewhere no call
# may time out, however busy the machine is.
_GIVES_UP, _WAITS = (3.0, 0.6), (5.0, 10.0)
_LATE_EFFECT_S, _LATE_ARRIVAL_S, _SLOW_S = 0.8, 1.1, 0.1
_TRIES = 6
_WORKERS, _WAITERS = 8, 24


@dataclass(frozen=True)
class Cell:
    """What one fault on one call came to."""

    exchange: str
    market_type: MarketType
    fault: str
    when: str
    call: str
    course: str
    lost: int
    doubled: int
    disagrees: int


def settle(exchange: Exchange, order: OrderRequest, late_arrival_s: float, course: list[str]) -> OrderState:
    """Sends an order until it is known to be at the exchange, like the worker without its order store.

    After any try the order is looked up before it is sent again, and after an unknown outcome not before the
    late-arrival bound.
    """
    for attempt in range(_TRIES):
        try:
            if attempt:
                found = exchange.find(
                    order.client_order_id, order.instrument, trigger=order.stop_price is not None
                )
                if found is not None:
                    course.append("found")
                    return found
            state = exchange.place(order)
        except Retryable:
            course.append("not placed")
        except OutcomeUnknown:
            course.append("unknown")
            time.sleep(late_arrival_s)
        else:
            course.append("placed")
            return state
    raise AssertionError(f"never settled: {course}")


def persist(call: Callable[[], OrderState | None], course: list[str], done: str) -> OrderState | None:
    """Retries an idempotent call: a query or a cancellation."""
    for _ in range(_TRIES):
        try:
            result = call()
        except Retryable:
            course.append("nothing done")
        except OutcomeUnknown:
            course.append("unknown")
        else:
            course.append(done)
            return result
    raise AssertionError(f"never done: {course}")


def run_cell(
    simulator: Simulator, name: str, market_type: MarketType, fault: tuple[str, str], call: str
) -> Cell:
    """Meets one fault on an account of its own."""
    rig = SimulatedRig(name, market_type, simulator)
    kind, when = fault
    exchange = rig.open(timeout=_GIVES_UP if kind == "timeout" else _WAITS)
    order = _order(rig, call)
    course: list[str] = []
    placed = None if call in ORDERS or call == "prepare" else rig.open(timeout=_WAITS).place(order)
    method, path = _PATHS[name, call.partition(" ")[0]]
    seconds = _SLOW_S if kind == "slow" else _LATE_EFFECT_S
    simulator.fault(
        exchange=name,
        method=method,
        path=path,
        api_key=rig.credentials.api_key,
        kind=kind,
        when=when,
        seconds=seconds,
    )
    if placed is None:
        state = settle(exchange, order, _LATE_ARRIVAL_S if kind == "timeout" else 0.0, course)
    elif call == "find":
        state = persist(
            lambda: exchange.find(order.client_order_id, order.instrument, trigger=False), course, "found"
        )
    else:
        state = persist(lambda: exchange.cancel(placed, order.instrument), course, "cancelled")
    if kind == "timeout" and when == "late":
        time.sleep(_LATE_ARRIVAL_S)
    there = [each for each in simulator.orders(api_key=rig.credentials.api_key) if each["parent"] is None]
    disagrees = state is None or not there or not _as_said(there[0]["status"], state.status)
    return Cell(
        name,
        market_type,
        kind,
        when,
        call,
        " → ".join(_runs(course)),
        int(not there or state is None),
        max(len(there) - 1, 0),
        int(disagrees),
    )


def run_matrix(simulator: Simulator) -> list[Cell]:
    """Every cell; those of spot have no `prepare`."""
    simulator.call("POST", "limits", enabled=False)
    for venue in VENUES:
        stored_markets(*venue)
    wanted = [
        (name, market_type, fault, call)
        for (name, market_type), fault, call in itertools.product(VENUES, FAULTS, CALLS)
        if call != "prepare" or market_type is MarketType.FUTURES
    ]
    cells: dict[int, Cell] = {}
    for workers, waiting in ((_WORKERS, False), (_WAITERS, True)):
        chosen = [
            index for index, (_, _, (kind, _), _) in enumerate(wanted) if (kind == "timeout") is waiting
        ]
        with ThreadPoolExecutor(workers) as pool:
            cells |= zip(
                chosen, pool.map(lambda index: run_cell(simulator, *wanted[index]), chosen), strict=True
            )
    return [cells[index] for index in range(len(wanted))]


def render(cells: Sequence[Cell]) -> str:
    """The matrix as Markdown."""
    lost, doubled, other = (
        sum(getattr(each, what) for each in cells) for what in ("lost", "doubled", "disagrees")
    )
    summary = f"lost {lost}, doubled {doubled}, final state other than the exchange's {other}"
    lines = [
        "# The fault matrix",
        "",
        "Written by `python -m tests.contract.exchanges.fault_matrix > docs/evidence/fault-matrix.md`.",
        "",
        "Each cell: an order's call meets the fault once, on the exchange simulator, and continues by the",
        "rules of docs/exchanges.md. An order that was not placed is retried. An unknown outcome is",
        "looked up after the late-arrival bound. An order with an earlier try is looked up before it is",
        "sent again. `before`: the exchange never saw the call. `after`: the exchange had acted. `late`:",
        "the exchange acted after the caller had given up. At the end the result is compared with the",
        "exchange's own records.",
        "",
        f"**{len(cells)} cells: orders {summary}.**",
    ]
    for name, market_type in VENUES:
        chosen = [each for each in cells if (each.exchange, each.market_type) == (name, market_type)]
        calls = [call for call in CALLS if any(each.call == call for each in chosen)]
        lines += [
            "",
            f"## {name.capitalize()} {market_type.value}",
            "",
            _row(["fault", "effect", *calls]),
            _row(["---"] * (len(calls) + 2)),
        ]
        for fault, when in FAULTS:
            found = {each.call: each.course for each in chosen if (each.fault, each.when) == (fault, when)}
            lines.append(_row([fault, when, *(found[call] for call in calls)]))
    return "\n".join(lines)


def main() -> None:
    """Runs the matrix on a simulator of its own and prints the table.

    Exits with 1 if an order was lost or doubled.
    """
    server = SimulatorServer(0).start()
    os.environ["TRADEHOOK_EXCHANGE_ENDPOINT"] = server.url
    cells = run_matrix(Simulator(server.url))
    server.stop()
    print(render(cells))  # noqa: T201
    sys.exit(any(each.lost or each.doubled or each.disagrees for each in cells))


def _order(rig: SimulatedRig, call: str) -> OrderRequest:
    fields = ORDERS.get(call, ORDERS["place stop" if call == "cancel stop" else "place limit"])
    side = SELL if "stop_price" in fields else BUY
    return rig.order(side, "0.1", **fields)


def _as_said(there: str, status: OrderStatus) -> bool:
    said = {
        OrderStatus.OPEN: {"open", "untriggered"},
        OrderStatus.FILLED: {"filled"},
        OrderStatus.CANCELLED: {"cancelled"},
    }
    return there in said.get(status, set())


def _runs(course: Iterable[str]) -> list[str]:
    """Repetitions counted: unknown, unknown → unknown ×2."""
    runs = [(step, len(list(same))) for step, same in itertools.groupby(course)]
    return [step if times == 1 else f"{step} ×{times}" for step, times in runs]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
