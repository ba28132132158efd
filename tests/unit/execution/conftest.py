"""An emulated cloud, the exchange simulator, and accounts with keys on it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.accounts import connections
from chalicelib.accounts import key_encryption as sealed
from chalicelib.errors import Retryable
from chalicelib.exchanges import adapter, market_store, rate_limiter, session
from chalicelib.exchanges.rate_limiter import Patience
from chalicelib.execution import execute_signal, submit_order
from chalicelib.orders import store
from chalicelib.orders.models import AccountResult, Instruction, Order, ReconcileAccount
from chalicelib.reconciliation import reconcile_account
from chalicelib.trading import Action, Leg, MarketType, OrderType, Symbol
from simulator.client import Simulator
from simulator.fixtures import VENUES, simulator, simulator_server, stored_markets
from testkit.cloud import emulated
from testkit.records import add_account, add_user

__all__ = ["simulator", "simulator_server"]

IDS = [f"{exchange}-{market_type.value}" for exchange, market_type in VENUES]
LATE_S = 0.05


@dataclass
class Live:
    """An account with keys on a simulated exchange, and its signals."""

    simulator: Simulator
    exchange: str
    market_type: MarketType
    account_id: str
    credentials: Any
    ids: Any = field(default_factory=count)

    def signal(self, action: str = "buy", signal_id: str | None = None, **more: Any) -> Instruction:
        """Returns an instruction. Default: a market order for 0.1 BTC."""
        sized = {"quantity", "quote_amount", "legs"} & more.keys()
        given = (
            {"quantity": Decimal("0.1")} if not sized and action in {"buy", "sell", "long", "short"} else {}
        )
        return Instruction(
            signal_id=signal_id or f"signal-{self.account_id}-{next(self.ids)}",
            user_id="1",
            account_id=self.account_id,
            exchange=self.exchange,
            variant="group",
            action=Action(action),
            **{
                "single_account": False,
                "symbol": Symbol(raw="BTCUSDT", base="BTC", quote="USDT"),
                "market_type": self.market_type,
                **given,
                **more,
            },
            received_at=datetime.now(UTC),
            max_age_s=60,
        )

    def execute(self, instruction: Instruction, deliveries: int = 4, seconds: float = 20) -> AccountResult:
        """Delivers the message until it has settled, as the queue does."""
        for _ in range(deliveries):
            try:
                execute_signal.execute_signal(instruction, seconds)
            except Retryable:
                continue
            break
        [execution] = [
            each for each in store.results_of(instruction.signal_id)[0] if each.account_id == self.account_id
        ]
        return execution

    def run(self, action: str = "buy", **more: Any) -> AccountResult:
        return self.execute(self.signal(action, **more))

    def limit(self, price: str = "49000", quantity: str = "0.1", **more: Any) -> AccountResult:
        """A limit order that rests."""
        return self.run(
            "buy",
            order_type=OrderType.LIMIT,
            quantity=Decimal(quantity),
            legs=(),
            price=Decimal(price),
            **more,
        )

    def hedge(self) -> None:
        """Switches the account to hedge mode, as its owner does by hand."""
        self.modes(hedged=True)

    def modes(self, **given: Any) -> None:
        """Changes the account's settings at the exchange, see `/_sim/modes`."""
        self.simulator.call("POST", "modes", api_key=self.credentials.api_key, **given)

    def answer(
        self, method: str, path: str, status: int, body: Any, *, times: int = 1, when: str = "before"
    ) -> None:
        """Makes the exchange answer the account's next such calls this way, instead of acting or after it."""
        key, answer = self.credentials.api_key, {"status": status, "body": body}
        self.simulator.fault(
            exchange=self.exchange,
            method=method,
            path=path,
            api_key=key,
            kind="answer",
            when=when,
            times=times,
            answer=answer,
        )

    def sent(self, method: str, path: str) -> int:
        """How many such calls of the account the exchange has seen."""
        key = self.credentials.api_key
        calls = [
            each for each in self.simulator.requests() if each["api_key"] == key and each["method"] == method
        ]
        return sum(fnmatchcase(each["path"], path) for each in calls)

    def follow(self) -> int:
        """Reconciles everything, due or not."""
        self.due()
        return reconcile_account.reconcile_account(
            ReconcileAccount(follow_id="now", account_id=self.account_id, exchange=self.exchange), 20
        )

    def due(self) -> None:
        """Runs the next reconciliation of everything."""
        for item in self.followed():
            key = {"account_id": self.account_id, "order_id": item["order_id"]}
            aws.write(aws.update_write("in_flight_orders", key, "SET due_at = :past", past="2000"))

    def followed(self) -> list[aws.Item]:
        """Returns the items that are reconciled until they end."""
        return aws.query_all("in_flight_orders", "account_id = :account", account=self.account_id)

    def there(self) -> list[dict[str, Any]]:
        """The orders at the exchange; one that has fired with the end of the order it became."""
        orders = self.simulator.orders(api_key=self.credentials.api_key)
        became = {
            each["parent"]: {"status": each["status"], "filled": each["filled"]}
            for each in orders
            if each["parent"]
        }
        return [each | became.get(each["client_id"], {}) for each in orders if each["parent"] is None]

    def order_store(self) -> list[Order]:
        """Returns the account's stored orders, oldest first."""
        items = aws.query_all("orders", "account_id = :account", index="by_account", account=self.account_id)
        return sorted((store.order_from_item(item) for item in items), key=lambda order: order.number)

    def agrees(self, signal_id: str | None = None) -> bool:
        """Compares the stored orders with the exchange's, without orders that never arrived.

        Args:
            signal_id: Checks this signal's orders, and that all others have at least arrived once.
        """
        there = [each for each in self.there() if each["status"] != "rejected"]
        theirs = {each["client_id"]: each for each in there}
        assert len(theirs) == len(there), "doubled"
        order_store = self.order_store() if signal_id is None else store.results_of(signal_id)[1]
        mine = {each.client_order_id: each for each in order_store if each.status != "rejected"}
        if signal_id is not None:
            theirs = {name: each for name, each in theirs.items() if name in mine}
        if mine.keys() != theirs.keys():
            return False
        as_said = {
            "open": {"open", "untriggered"},
            "filled": {"filled"},
            "cancelled": {"cancelled"},
            "partially_filled": {"open", "partial", "partially_filled"},
        }
        return all(
            theirs[name]["status"] in as_said.get(order.status.value, set())
            and Decimal(theirs[name]["filled"]) == order.filled
            for name, order in mine.items()
        )

    def events(self) -> list[str]:
        """The types of all events so far."""
        found = aws.client("dynamodb").scan(TableName="test-outbox")["Items"]
        return sorted(item["type"]["S"] for item in found)

    @property
    def holdings(self) -> dict[str, Any]:
        return self.simulator.holdings(self.credentials)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Iterator[None]:
    """Tables as new, one user, the exchanges' metadata in place, and times short enough for tests."""
    monkeypatch.setattr(adapter.CcxtExchange, "late_arrival_s", LATE_S)
    for module in (session, submit_order):
        monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    with emulated():
        for forget in (rate_limiter.forget, market_store.forget, connections.forget):
            forget()
        add_user("1")
        yield


@pytest.fixture
def unlimited(cloud: None, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange permits any number of calls, and no caller waits for a limit.

    (Other tests cover the limits.)
    """
    simulator.call("POST", "limits", enabled=False)
    for place, limits in list(rate_limiter._LIMITS.items()):
        orders, weight = (replace(rate, per_s=rate.per_s * 1000) for rate in (limits.orders, limits.weight))
        monkeypatch.setitem(
            rate_limiter._LIMITS, place, replace(limits, orders=orders, weight=weight, weight_per_minute=None)
        )
    wait = Patience.wait
    monkeypatch.setattr(
        Patience,
        "wait",
        lambda self, seconds, cause: wait(self, 0 if cause == "rate_limit" else seconds, cause),
    )


@pytest.fixture
def open_account(cloud: None, simulator: Simulator):
    """Makes accounts with 100 000 USDT and, on spot, 2 BTC; BTCUSDT stands at 50 000."""
    numbers = count(1)

    def make(exchange: str = "binance", market_type: MarketType = MarketType.SPOT, **more: Any) -> Live:
        given = more.pop("balances", {"spot": {"USDT": "100000", "BTC": "2"}, "futures": {"USDT": "100000"}})
        if market_type is MarketType.FUTURES:
            given = {"futures": given["futures"]}
        credentials = simulator.account(exchange, balances=given)
        account_id = f"1-{exchange}{next(numbers)}"
        box = sealed.seal(account_id, credentials)
        market_types = [market_type.value]
        name = account_id.removeprefix("1-")
        add_account(
            "1",
            name,
            kind="live",
            exchange=exchange,
            sealed_keys=box,
            key_version=1,
            market_types=market_types,
            **more,
        )
        markets = stored_markets(exchange, market_type)
        wanted = {each: markets[each] for each in ("BTCUSDT", "ETHUSDT")}
        market_store.save(market_store.venue(exchange, market_type, demo=False), wanted)
        return Live(simulator, exchange, market_type, account_id, credentials)

    return make


@pytest.fixture(params=VENUES, ids=IDS)
def live(request: pytest.FixtureRequest, open_account) -> Live:
    """An account on each exchange and market in turn."""
    return open_account(*request.param)


@pytest.fixture(
    params=[venue for venue in VENUES if venue[1] is MarketType.FUTURES],
    ids=[each for each in IDS if "futures" in each],
)
def futures(request: pytest.FixtureRequest, open_account) -> Live:
    """A futures account on each exchange in turn."""
    return open_account(*request.param)


def legs(*percents: str, **more: Any) -> tuple[Leg, ...]:
    """Legs sized by percent."""
    return tuple(Leg(percent=Decimal(percent), **more) for percent in percents)
