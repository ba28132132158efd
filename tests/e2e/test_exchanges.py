"""The same contract on every exchange and market, real ones simulated, through the public webhook, the queue
and the worker.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.accounts import key_encryption
from chalicelib.exchanges import market_store
from chalicelib.orders import in_flight, queue
from chalicelib.orders.models import ReconcileAccount
from chalicelib.portfolio import snapshots
from chalicelib.trading import MarketType
from chalicelib.users.credentials import Kind
from chalicelib.users.tokens import create_token
from infra.local.stack import as_root
from simulator.client import Simulator
from simulator.server import SimulatorServer
from tests.e2e.calls import eventually, post, settled
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e

EXCHANGES = ("binance", "bybit", "okx")
VENUES = [
    ("paper", "spot"),
    *((exchange, market_type) for exchange in EXCHANGES for market_type in ("spot", "futures")),
]
GROUP, DESK = "live_strategy", "3"
HOLDINGS = {"spot": {"USDT": "100000", "BTC": "2"}, "futures": {"USDT": "100000"}}
OPEN_THERE = {"open", "untriggered"}


class VenueAccounts:
    """A strategy with one account per exchange and market, on a stack that reaches the simulator."""

    def __init__(self, stack: Running, simulator: Simulator) -> None:
        self.stack, self.simulator, self.credentials = stack, simulator, {}
        members = {}
        for number, (exchange, market_type) in enumerate(VENUES, 901):
            account_id, kind = str(number), "paper" if exchange == "paper" else "live"
            account = {
                "account_id": account_id,
                "exchange": exchange,
                "kind": kind,
                "is_active": True,
                "market_types": [market_type],
            }
            item = account | {"user_id": DESK, "name": f"{exchange} {market_type}", "version": 1}
            if kind == "live":
                balances = HOLDINGS if market_type == "spot" else {"futures": HOLDINGS["futures"]}
                credentials = self.credentials[exchange, market_type] = simulator.account(
                    exchange, balances=balances
                )
                item |= {"sealed_keys": key_encryption.seal(account_id, credentials), "key_version": 1}
            aws.write(aws.put_write("accounts", item))
            member = {
                "name": item["name"],
                "exchange": exchange,
                "kind": kind,
                "market_types": [market_type],
                "active": True,
            }
            members[account_id] = member
        aws.write(
            aws.put_write(
                "strategies",
                {"user_id": DESK, "group_name": GROUP, "is_active": True, "accounts": members, "version": 1},
            )
        )
        self.token = create_token(DESK, Kind.WEBHOOK, by="test", name="live").token

    def price(self, venue: tuple[str, str], price: str) -> None:
        """Moves the market: at the simulator, and for the paper account by a reported price."""
        if venue[0] == "paper":
            token = self.stack.env["TRADEHOOK_ADMIN_TOKEN"]
            told = {"symbol": "BTCUSDT", "price": price}
            answer = post(self.stack, "/paper/prices", told, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 201, answer.text
            return
        self.simulator.price("BTCUSDT", price, exchange=venue[0], market=venue[1])

    def send(self, venue: tuple[str, str], side: str | None = None, **more: Any) -> dict[str, Any]:
        """A group signal; returns its trace once it has settled."""
        answer = post(self.stack, "/api/webhook", self.body(venue, side, **more))
        assert answer.status_code in {200, 202, 422}, answer.text
        return settled(self.stack, answer.headers["X-Signal-Id"], "TRADEHOOK_ADMIN_TOKEN")

    def explain(self, venue: tuple[str, str], side: str, **more: Any) -> dict[str, Any]:
        """What a group signal would do on its one account."""
        headers = {"Authorization": f"Bearer {self.stack.env['TRADEHOOK_ADMIN_TOKEN']}"}
        answer = post(
            self.stack, f"/signals/explain?user_id={DESK}", self.body(venue, side, **more), headers=headers
        )
        assert answer.status_code == 200, answer.text
        [account] = answer.json()["accounts"]
        return account

    def look(self, venue: tuple[str, str]) -> None:
        """Reconciles an account's holdings now, and waits for it."""
        account_id, began = str(901 + VENUES.index(venue)), datetime.now(UTC)
        if venue[0] != "paper":
            in_flight.schedule_account(account_id, venue[0], began)
            queue.send_messages(
                [ReconcileAccount(follow_id=uuid.uuid4().hex, account_id=account_id, exchange=venue[0])]
            )
            assert eventually(
                lambda: (snapshots.latest_snapshot(account_id) or {}).get("taken_at", "") >= began.isoformat()
            )

    def body(self, venue: tuple[str, str], side: str | None, **more: Any) -> dict[str, Any]:
        """A group signal's body."""
        body = {
            "exchange": venue[0],
            "market_type": venue[1],
            "group_name": GROUP,
            "currency": "USDT",
            "symbol": "BTCUSDT",
            "order_type": "MARKET",
            "token": self.token,
            "alert_id": uuid.uuid4().hex,
            **({"side": side} if side else {}),
        } | more
        if body["order_type"] == "CANCEL_ALL_ORDER":
            del body["currency"]  # no filter of a cancel
        return body

    def orders(self, trace: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Returns the stored orders of a signal, by leg."""
        items = (aws.from_dynamodb(item) for item in self.stack.items("orders") if "client_order_id" in item)
        return {
            item["leg"].rpartition("#")[2]: item for item in items if item["signal_id"] == trace["signal_id"]
        }

    def there(self, venue: tuple[str, str], order: dict[str, Any]) -> list[str]:
        """The states in which the exchange has an order.

        The paper account's book has it if it waits there.
        """
        if venue[0] == "paper":
            name = f"order#{order['client_order_id']}"
            if any(item["item"]["S"] == name for item in self.stack.items("portfolios")):
                return ["open"]
            return [
                item["status"]
                for item in map(aws.from_dynamodb, self.stack.items("orders"))
                if _is_one_of(item, [order])
            ]
        found = self.simulator.orders(
            api_key=self.credentials[venue].api_key, client_id=order["client_order_id"]
        )
        return [each["status"] for each in found]

    def follow(self, order: dict[str, Any]) -> None:
        """Reconciles an order now, as `track_orders` does each minute."""
        if order["exchange"] == "paper":
            return
        key = {"account_id": order["account_id"], "order_id": order["order_id"]}
        with suppress(aws.WriteRefused):
            aws.write(
                aws.update_write(
                    "in_flight_orders", key, "SET due_at = :past", "attribute_exists(account_id)", past="2000"
                )
            )
        queue.send_messages(
            [
                ReconcileAccount(
                    follow_id=uuid.uuid4().hex, account_id=order["account_id"], exchange=order["exchange"]
                )
            ]
        )


@pytest.fixture(scope="module")
def exchange_stack(own_stack: Running) -> Iterator[VenueAccounts]:
    """A stack whose exchanges are the simulator. Its own, because prices move here."""
    stack = own_stack
    server = SimulatorServer(0).start()
    with (
        stack.deployed_with(environment={"TRADEHOOK_EXCHANGE_ENDPOINT": server.url}),
        as_root(stack.cloud),
    ):
        stack.cloud.client("lambda").invoke(
            FunctionName=stack.cloud.function("refresh_markets"), Payload=b"{}"
        )
        venue = market_store.venue("okx", MarketType.FUTURES, demo=False)
        assert eventually(lambda: market_store.age(venue, datetime.now(UTC)), within_s=60)
        yield VenueAccounts(stack, Simulator(server.url))
    server.stop()


ONE_OF_EACH = {("paper", "spot"), ("binance", "spot"), ("bybit", "futures"), ("okx", "futures")}


@pytest.fixture(params=VENUES, ids=[f"{exchange}-{market_type}" for exchange, market_type in VENUES])
def venue(request: pytest.FixtureRequest, exchange_stack: VenueAccounts) -> tuple[str, str]:
    """Each exchange and market in turn, BTCUSDT at 50 000."""
    everywhere = request.function.__name__ == "test_buy_and_sell" or os.environ.get("VENUES") == "all"
    if not everywhere and request.param not in ONE_OF_EACH:
        pytest.skip(
            "to keep `make test` short, one market of each exchange; the others by `VENUES=all make e2e`"
        )
    exchange_stack.price(request.param, "50000")
    return request.param


def one(exchange_stack: VenueAccounts, trace: dict[str, Any], leg: str = "0") -> dict[str, Any]:
    """The signal's order of this leg; there must be one."""
    orders = exchange_stack.orders(trace)
    assert leg in orders, json.dumps(trace, default=str)
    return orders[leg]


def test_buy_and_sell(exchange_stack: VenueAccounts, venue: tuple[str, str]) -> None:
    """A market order each way: once at the exchange, under the stored client id, filled in both."""
    for side, share in (("buy", 10), ("sell", 50)):
        order = one(exchange_stack, exchange_stack.send(venue, side, qty_per=share))
        assert (order["side"], order["status"]) == (side, "filled"), order
        assert exchange_stack.there(venue, order) == ["filled"]
        assert order["filled"] == order["quantity"] > 0


def test_a_dry_run_says_what_is_then_placed(exchange_stack: VenueAccounts, venue: tuple[str, str]) -> None:
    """Quantity and side are those of the order that follows, and before it there is none."""
    exchange_stack.look(venue)
    exchange_stack.price(("paper", "spot"), "50000")
    there = exchange_stack.simulator.orders()
    [told] = exchange_stack.explain(venue, "buy", qty_per=10)["orders"]
    assert exchange_stack.simulator.orders() == there
    order = one(exchange_stack, exchange_stack.send(venue, "buy", qty_per=10))
    assert (told["side"], told["order_type"], Decimal(str(told["quantity"]))) == (
        order["side"],
        order["order_type"],
        order["quantity"],
    )


def test_a_limit_order_is_followed_to_its_fill(exchange_stack: VenueAccounts, venue: tuple[str, str]) -> None:
    """The order rests, the price reaches it, and the order store gets the fill."""
    trace = exchange_stack.send(venue, "buy", order_type="LIMIT", price=40000, qty_per=5)
    order = one(exchange_stack, trace)
    assert (order["status"], order["price"]) == ("open", Decimal(40000)), order
    assert set(exchange_stack.there(venue, order)) <= OPEN_THERE
    exchange_stack.price(venue, "39900")
    exchange_stack.follow(order)
    assert eventually(lambda: one(exchange_stack, trace)["status"] == "filled"), one(exchange_stack, trace)
    assert exchange_stack.there(venue, one(exchange_stack, trace)) == ["filled"]


def test_the_schedule_finds_what_is_due(exchange_stack: VenueAccounts) -> None:
    """The scheduled function reconciles each account with due orders."""
    venue = ("bybit", "spot")
    exchange_stack.price(venue, "50000")
    order = one(exchange_stack, exchange_stack.send(venue, "buy", order_type="LIMIT", price=40000, qty_per=5))
    exchange_stack.price(venue, "39900")
    key = {"account_id": order["account_id"], "order_id": order["order_id"]}
    aws.write(aws.update_write("in_flight_orders", key, "SET due_at = :past", past="2000"))
    function = exchange_stack.stack.cloud.function("track_orders")
    exchange_stack.stack.cloud.client("lambda").invoke(
        FunctionName=function, Payload=b"{}"
    )  # unless the minute's own run was faster

    def filled() -> bool:
        items = map(aws.from_dynamodb, exchange_stack.stack.items("orders"))
        return any(
            item["status"] == "filled"
            for item in items
            if item.get("client_order_id") == order["client_order_id"]
        )

    assert eventually(filled, within_s=70)


def test_a_stop_rests_and_close_leaves_everything(
    exchange_stack: VenueAccounts, venue: tuple[str, str]
) -> None:
    """A stop below the market waits; a stop-limit too; `close` leaves the position whatever it is."""
    exchange_stack.send(venue, "buy", qty_per=5)
    for kind in ({"order_type": "STOP_MARKET"}, {"order_type": "STOP_LIMIT", "price": 44000}):
        order = one(exchange_stack, exchange_stack.send(venue, "sell", stop_price=45000, qty_per=20, **kind))
        assert (order["status"], order["stop_price"]) == ("open", Decimal(45000)), order
        assert set(exchange_stack.there(venue, order)) <= OPEN_THERE
    exchange_stack.send(venue, order_type="CANCEL_ALL_ORDER")
    order = one(exchange_stack, exchange_stack.send(venue, "close"), "close")
    assert order["status"] == "filled", order
    again = exchange_stack.send(venue, "close")
    assert not exchange_stack.orders(again)


def test_exits_come_with_the_entry_and_cancel_each_other(
    exchange_stack: VenueAccounts, venue: tuple[str, str]
) -> None:
    """Take-profit and stop-loss protect the entry; the price reaches one, and the other is cancelled."""
    trace = exchange_stack.send(venue, "buy", qty_per=5, take_profit=55000, stop_loss=45000)
    orders = exchange_stack.orders(trace)
    assert {leg: order["status"] for leg, order in orders.items()} == {
        "0": "filled",
        "0.sl": "open",
        "0.tp": "open",
    }, trace
    exchange_stack.price(venue, "55100")

    def left() -> bool:
        for leg in ("0.tp", "0.sl"):  # what a look finds may need another one to end
            exchange_stack.follow(orders[leg])
        time.sleep(1)
        now = exchange_stack.orders(trace)
        return (now["0.tp"]["status"], now["0.sl"]["status"]) == ("filled", "cancelled")

    assert eventually(left), exchange_stack.orders(trace)


def test_take_profits_close_their_shares(exchange_stack: VenueAccounts, venue: tuple[str, str]) -> None:
    """Levels from the fill, a pair of exits for each share, and a close that takes the rest along."""
    exchange_stack.price(venue, "50000")
    targets = [{"percent": 2, "share": 50}, {"distance": 9000, "share": 50}]
    trace = exchange_stack.send(venue, "buy", qty_per=5, stop_loss="10%", take_profits=targets)
    orders = exchange_stack.orders(trace)
    waiting = {"0.sl", "0.tp", "0.slb", "0.tpb"}
    assert {leg for leg, order in orders.items() if order["status"] == "open"} == waiting, trace
    average = Decimal(str(orders["0"]["average_price"]))
    assert abs(Decimal(str(orders["0.slb"]["stop_price"])) - average * Decimal("0.9")) < 1
    assert Decimal(str(orders["0.tpb"]["stop_price"])) - average - 9000 < 1
    exchange_stack.price(venue, "51500")

    def shared() -> bool:
        for leg in ("0.tp", "0.sl"):
            exchange_stack.follow(orders[leg])
        time.sleep(1)
        now = exchange_stack.orders(trace)
        return (now["0.tp"]["status"], now["0.sl"]["status"]) == ("filled", "cancelled")

    assert eventually(shared), exchange_stack.orders(trace)
    assert {exchange_stack.orders(trace)[leg]["status"] for leg in ("0.slb", "0.tpb")} == {"open"}
    exchange_stack.send(venue, "close")
    assert {exchange_stack.orders(trace)[leg]["status"] for leg in ("0.slb", "0.tpb")} == {"cancelled"}
    exchange_stack.price(venue, "50000")


def test_cancel_all(exchange_stack: VenueAccounts, venue: tuple[str, str]) -> None:
    """Every open order of the strategy goes, conditional ones included; doing it again does no harm."""
    orders = [
        one(exchange_stack, exchange_stack.send(venue, "buy", order_type="LIMIT", price=price, qty_per=2))
        for price in (30000, 31000)
    ]
    orders.append(
        one(
            exchange_stack,
            exchange_stack.send(
                venue, "buy", order_type="STOP_LIMIT", stop_price=60000, price=60000, qty_per=2
            ),
        )
    )
    for _ in range(2):
        exchange_stack.send(venue, order_type="CANCEL_ALL_ORDER")
        assert [exchange_stack.there(venue, order) for order in orders] == [["cancelled"]] * 3
        statuses = {
            item["status"]
            for item in map(aws.from_dynamodb, exchange_stack.stack.items("orders"))
            if _is_one_of(item, orders)
        }
        assert statuses == {"cancelled"}


def _is_one_of(item: dict[str, Any], orders: list[dict[str, Any]]) -> bool:
    return item.get("client_order_id") in {order["client_order_id"] for order in orders}


def test_no_key_is_stored_or_logged(exchange_stack: VenueAccounts) -> None:
    """No key, secret, passphrase, signature or token is in any table, queue or log of the stack, after all of
    the above.
    """
    tables = json.dumps(
        [exchange_stack.stack.items(table) for table in exchange_stack.stack.cloud.description.source.tables]
    )
    logs = "".join(
        path.read_text(errors="replace") for path in exchange_stack.stack.place.directory.rglob("*.log")
    )
    for credentials in exchange_stack.credentials.values():
        assert credentials.api_key not in tables + logs
        assert credentials.secret not in tables + logs
    assert exchange_stack.token not in tables + logs
    for name in ("X-MBX-APIKEY", "X-BAPI-SIGN", "OK-ACCESS-SIGN", "signature="):
        assert name not in tables + logs
