"""The scenarios of an order, each with its start and its required end.

The crash and the fault matrix disturb every step of them.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.accounts import connections
from chalicelib.errors import Retryable
from chalicelib.exchanges import market_store, rate_limiter, registry
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.execution import execute_signal, flatten
from chalicelib.orders.models import Flatten, Instruction, ReconcileAccount
from chalicelib.reconciliation import reconcile_account
from chalicelib.trading import ExitLevel, Leg, MarketType, OrderType, TakeProfit
from simulator.fixtures import VENUES
from tests.unit.execution.conftest import Live, legs

Message = Instruction | ReconcileAccount | Flatten
Venue = tuple[str, MarketType]

EXITS = {"take_profit": Decimal(55000), "stop_loss": Decimal(45000)}
SHARES = {
    "stop_loss": ExitLevel(percent=Decimal(10)),
    "take_profits": tuple(TakeProfit(percent=Decimal(each), share=Decimal(50)) for each in (4, 8)),
}
_SECONDS = 20.0
_DELIVERIES = 4
# Minutes of reconciliation after a message; fewer where nothing changes any more
_LOOKS = 4
_UNCERTAIN = (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)
_SPOT, _FUTURES = MarketType.SPOT, MarketType.FUTURES


@dataclass(frozen=True)
class Scenario:
    """A message's path through the worker.

    Attributes:
        begin: Brings an account to the start, and returns the message.
        ends: The account's number of orders at the end, those of the start included, by leg and status.
        position: On futures, the position at the end, in base units.
        message: The kind of message.
        opens: It has an order that opens or adds, which a stale signal must not.
    """

    name: str
    begin: Callable[[Live], Message]
    ends: Mapping[str, int]
    position: str = "0"
    markets: tuple[MarketType, ...] = (_SPOT, _FUTURES)
    message: type[Message] = Instruction
    opens: bool = False


@dataclass(frozen=True)
class ScenarioResult:
    """An account compared with the scenario's end.

    Orders lost and doubled, and whether order store or position differ.
    """

    lost: int
    doubled: int
    differs: bool

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.differs)


def _resting(live: Live) -> None:
    """Places a limit order and a stop order of a strategy, in both books if an exchange has two."""
    live.limit("49000", group_name="mine")
    _stop(live, group_name="mine")


def _stop(live: Live, **more: Any) -> None:
    live.execute(_stop_signal(live, **more))


def _stop_signal(live: Live, **more: Any) -> Instruction:
    waiting = (
        Leg(stop_price=Decimal(51000), price=Decimal(51000)),
    )  # with a limit price, since OKX spot has no stop-market buys here
    return live.signal("buy", order_type=OrderType.STOP_LIMIT, quantity=Decimal("0.1"), legs=waiting, **more)


def _reversal(live: Live) -> Message:
    live.run("short")
    return live.signal("long", quantity=Decimal("0.1"))


def _cancel(live: Live) -> Message:
    _resting(live)
    return live.signal("cancel_all_order", symbol=None, market_type=None, group_name="mine")


def _stopping(live: Live) -> Message:
    live.run("buy")
    _resting(live)
    return live.signal("stop")


def _closing(live: Live) -> Message:
    live.run("buy", **EXITS)
    return live.signal("close")


def _flattening(live: Live) -> Message:
    live.run("buy")
    _resting(live)
    return Flatten(
        flatten_id="loss",
        user_id="1",
        account_id=live.account_id,
        exchange=live.exchange,
        at=datetime.now(UTC),
    )


def _splitting(live: Live) -> Message:
    """Prepares a position larger than one market order may sell."""
    if live.market_type is _FUTURES:
        _by_hand(live, "2")
    _book(
        live,
        **(
            {"market_value": "50000"}
            if (live.exchange, live.market_type) == ("okx", _SPOT)
            else {"market_maximum": "0.9"}
        ),
    )
    return live.signal("close")


def _partly(live: Live) -> Message:
    """The first order finds less than it asks for."""
    if live.market_type is _FUTURES:
        _by_hand(live, "2")
    _book(live, depth=["0.5", None])
    return live.signal("close")


def _hedged(live: Live) -> Message:
    live.simulator.call("POST", "settings", api_key=live.credentials.api_key, hedged=True)
    _by_hand(live, "0.2", side="long")
    _by_hand(live, "-0.2", side="short")
    return live.signal("close")


def _by_hand(live: Live, quantity: str, **more: str) -> None:
    live.simulator.call(
        "POST", "trade", api_key=live.credentials.api_key, symbol="BTCUSDT", quantity=quantity, **more
    )


def _book(live: Live, **given: Any) -> None:
    """What the exchange takes and offers, with its metadata as the next refresh stores it."""
    live.simulator.call(
        "POST", "book", symbol="BTCUSDT", exchange=live.exchange, market=live.market_type.value, **given
    )
    markets = registry.fetch_markets(live.exchange, live.market_type)
    market_store.save(
        market_store.venue(live.exchange, live.market_type, demo=False), {"BTCUSDT": markets["BTCUSDT"]}
    )
    market_store.forget()


def _entry_fills(live: Live) -> Message:
    live.limit("49000", **EXITS)
    return _after(live, "48900")


def _exit_fires(live: Live) -> Message:
    live.run("buy", **EXITS)
    return _after(live, "44900")


def _take_profit_fires(live: Live) -> Message:
    live.run("buy", **SHARES)
    return _after(live, "52500")


def _after(live: Live, price: str) -> Message:
    """The price moves, and the account is due for reconciliation."""
    live.simulator.price("BTCUSDT", price)
    live.due()
    return ReconcileAccount(follow_id="now", account_id=live.account_id, exchange=live.exchange)


_PROTECTED = {"0 filled": 1, "0.sl open": 1, "0.tp open": 1}

SCENARIOS = (
    Scenario("a market order", lambda live: live.signal("buy"), {"0 filled": 1}, "0.1", opens=True),
    Scenario(
        "a limit order",
        lambda live: live.signal(
            "buy", order_type=OrderType.LIMIT, quantity=Decimal("0.1"), price=Decimal(49000)
        ),
        {"0 open": 1},
        opens=True,
    ),
    Scenario("a stop order", _stop_signal, {"0 open": 1}, opens=True),
    Scenario(
        "an entry with take-profit and stop-loss",
        lambda live: live.signal("buy", **EXITS),
        _PROTECTED,
        "0.1",
        opens=True,
    ),
    Scenario("a reversal", _reversal, {"0 filled": 2, "close filled": 1}, "0.1", (_FUTURES,), opens=True),
    Scenario(
        "two sells of half",
        lambda live: live.signal("sell", legs=legs("50", "50"), price=Decimal(50000)),
        {"0 filled": 1, "1 filled": 1},
        markets=(_SPOT,),
    ),
    Scenario("a cancel of a limit and a stop order", _cancel, {"0 cancelled": 2}),
    Scenario("a stop: cancels, then closes", _stopping, {"0 filled": 1, "0 cancelled": 2, "close filled": 1}),
    Scenario(
        "a close with take-profit and stop-loss",
        _closing,
        {"0 filled": 1, "0.sl cancelled": 1, "0.tp cancelled": 1, "close filled": 1},
    ),
    Scenario(
        "a daily loss that closes all",
        _flattening,
        {"0 filled": 1, "0 cancelled": 2, "close filled": 1},
        markets=(_FUTURES,),
        message=Flatten,
    ),
    Scenario(
        "the follow-up of an entry that has filled: places its exits",
        _entry_fills,
        _PROTECTED,
        "0.1",
        message=ReconcileAccount,
    ),
    Scenario(
        "the follow-up of a stop-loss that has fired: cancels the take-profit",
        _exit_fires,
        {"0 filled": 1, "0.sl filled": 1, "0.tp cancelled": 1},
        message=ReconcileAccount,
    ),
    Scenario(
        "a close in parts, each as large as the exchange takes",
        _splitting,
        {"close filled": 1, "close-2 filled": 1, "close-3 filled": 1},
    ),
    Scenario(
        "a close that finds too little and is tried again",
        _partly,
        {"close cancelled": 1, "close-2 filled": 1},
    ),
    Scenario(
        "a close of both sides of a hedged account",
        _hedged,
        {"close filled": 1, "close-short filled": 1},
        markets=(_FUTURES,),
    ),
    Scenario(
        "an entry with two take-profits, each with its stop-loss",
        lambda live: live.signal("buy", **SHARES),
        _PROTECTED | {"0.slb open": 1, "0.tpb open": 1},
        "0.1",
        opens=True,
    ),
    Scenario(
        "the follow-up of one of two take-profits: cancels its stop-loss only",
        _take_profit_fires,
        {"0 filled": 1, "0.tp filled": 1, "0.sl cancelled": 1, "0.slb open": 1, "0.tpb open": 1},
        "0.05",
        (_FUTURES,),
        message=ReconcileAccount,
    ),
)
BY_VENUE = [(scenario, venue) for scenario in SCENARIOS for venue in VENUES if venue[1] in scenario.markets]


def name_of(scenario: Scenario, venue: Venue) -> str:
    """What a way at a venue is called as a test: letters and hyphens."""
    return f"{re.sub('[^a-z]+', '-', scenario.name)}-{venue[0]}-{venue[1].value}"


def forget_everything() -> None:
    """What a new process does not know."""
    for forget in (rate_limiter.forget, market_store.forget, connections.forget):
        forget()


def deliver(message: Message) -> None:
    """What the worker does with a message, once."""
    match message:
        case Instruction():
            execute_signal.execute_signal(message, _SECONDS)
        case ReconcileAccount():
            reconcile_account.reconcile_account(message, _SECONDS)
        case Flatten():
            flatten.close_all(message, _SECONDS)


def finish(live: Live, message: Message) -> None:
    """The normal course after a disturbance.

    The message comes again, twice, and for some minutes the account is reconciled.
    """
    settle(message)
    for _ in range(_LOOKS):
        seen = live.order_store()
        live.follow()
        if live.order_store() == seen and not any(order.status in _UNCERTAIN for order in seen):
            break
    before = (live.order_store(), live.there())
    if not isinstance(message, ReconcileAccount):
        settle(message)
        assert (live.order_store(), live.there()) == before, (
            "the message delivered once more has done something more"
        )


def settle(message: Message) -> None:
    """Delivers a message until it need not come again, as the queue does."""
    for attempt in range(_DELIVERIES):
        try:
            deliver(message)
        except Retryable:
            if attempt == _DELIVERIES - 1:
                raise
        else:
            return


def compare_records(live: Live, scenario: Scenario) -> ScenarioResult:
    """Compares an account with the scenario's end: exchange's orders, stored orders, position."""
    there = [each for each in live.there() if each["status"] != "rejected"]
    twice = len(there) - len({each["client_id"] for each in there})
    wanted = sum(scenario.ends.values())
    doubled, lost = max(len(there) - wanted, twice), max(wanted - len(there) + twice, 0)
    # An exit that was placed again ends in the number of its round.
    legs_ = (
        (order.leg.rstrip("0123456789") if order.exit_of else order.leg, order.status.value)
        for order in live.order_store()
    )
    ends = Counter(f"{leg} {status}" for leg, status in legs_ if status != "rejected")
    position = sum((Decimal(each) for each in live.holdings["positions"].values()), Decimal(0))
    other_position = live.market_type is _FUTURES and position != Decimal(scenario.position)
    return ScenarioResult(
        lost, doubled, bool(doubled) or ends != Counter(scenario.ends) or other_position or not live.agrees()
    )


def told_twice() -> list[tuple[str, str]]:
    """Events of orders that stand in the outbox more than once: the type, and the order."""
    items = [
        aws.from_dynamodb(item) for item in aws.client("dynamodb").scan(TableName="test-outbox")["Items"]
    ]
    told = Counter(
        (item["type"], item["payload"]["order_id"]) for item in items if item["type"].startswith("order.")
    )
    return [what for what, times in told.items() if times > 1]


def counted(orders: Mapping[str, int]) -> str:
    """`1 filled and 2 open`."""
    return " and ".join(f"{count} {status}" for status, count in orders.items()) or "none"
