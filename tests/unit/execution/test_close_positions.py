"""`POST /positions/close` closes what an account, a strategy or a user holds, without a halt."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.execution import execute_signal as executing
from chalicelib.execution import flatten
from chalicelib.orders import store
from chalicelib.orders.models import Flatten, Instruction, Order
from chalicelib.trading import Action, MarketType, OrderType, Symbol
from testkit import pump, records
from testkit.api import Api, trail
from tests.unit.execution.conftest import Live

D = Decimal
CLOSE = "/positions/close"
BTC = Symbol(raw="BTCUSDT", base="BTC", quote="USDT")
ETH = Symbol(raw="ETHUSDT", base="ETH", quote="USDT")
_ids = iter(range(10**6))


@pytest.fixture
def trader(api: Api) -> Api:
    """User 7 with two paper accounts, and a strategy on the first."""
    free = {"kind": "paper", "slippage_bps": 0, "commission_bps": 0}
    made = [api("7", "POST", "/accounts", {"name": name, **free})[1] for name in ("main", "other")]
    assert [account["account_id"] for account in made] == [1, 2]
    strategy = {"group_name": "a", "accounts": [{"account_id": 1}]}
    assert api("7", "POST", "/strategies", strategy)[1]["strategy_id"] == 1
    for symbol in ("BTCUSDT", "ETHUSDT"):
        records.set_price(symbol, "50000")
    return api


def send(symbol: Symbol = BTC, account_id: str = "1", group: str | None = None, **more: Any) -> None:
    """A long position, or a resting order with `order_type`."""
    executing.execute_signal(
        Instruction(
            signal_id=f"p{next(_ids)}",
            user_id="7",
            account_id=account_id,
            exchange="paper",
            variant="group",
            action=Action.BUY,
            symbol=symbol,
            group_name=group,
            received_at=datetime.now(UTC),
            max_age_s=60,
            single_account=False,
            simulated=True,
            leverage=10,
            **{"market_type": MarketType.FUTURES, "price": D(50000), "quantity": D("0.1"), **more},
        )
    )


def rest(symbol: Symbol = BTC, **more: Any) -> None:
    send(symbol, order_type=OrderType.LIMIT, **{"price": D(40000), **more})


def held() -> dict[str, Decimal]:
    """What is held, by account and symbol."""
    return {
        f"{item['account_id']} {item['item'].partition('#')[2]}": item["quantity"]
        for item in pump.items("portfolios")
        if item["item"].startswith(("asset", "position")) and item["quantity"]
    }


def open_orders() -> list[str]:
    found: list[Order] = [store.order_from_item(item) for item in pump.items("orders") if "#" in item["leg"]]
    waiting = [order for order in found if not order.status.final]
    return sorted(f"{order.account_id} {order.symbol} {order.leg}" for order in waiting)


def close(api: Api, body: dict[str, Any], who: str = "7") -> tuple[int, Any]:
    answered = api(who, "POST", CLOSE, body)
    pump.execute()
    return answered


def test_everything_of_an_account(trader: Api) -> None:
    """Positions, holdings, resting orders and exits go; another account and the right to trade stay."""
    send(stop_loss=D(45000))
    send(ETH, market_type=MarketType.SPOT)
    rest()
    send(account_id="2")
    status, answer = close(trader, {"account_id": 1})
    assert (status, answer) == (
        202,
        {"status": "accepted", "accounts": [{"account_id": 1, "exchange": "paper"}]},
    )
    assert (held(), open_orders()) == ({"2 BTCUSDT": D("0.1")}, [])
    send()
    assert held()["1 BTCUSDT"] == D("0.1"), "not halted"
    [entry] = [each for each in trail() if each["action"] == "positions.close_requested"]
    assert (entry["by"], entry["entity"], entry["user_id"]) == ("7", "account#1", "7")


def test_one_symbol(trader: Api) -> None:
    """Only its position and its orders, on both markets."""
    send()
    send(market_type=MarketType.SPOT)
    send(ETH, stop_loss=D(45000))
    rest()
    rest(ETH)
    assert close(trader, {"account_id": 1, "symbol": "BTC-USDT"})[0] == 202
    assert held() == {"1 ETHUSDT": D("0.1")}
    assert open_orders() == ["1 ETHUSDT 0", "1 ETHUSDT 0.sl"]


@pytest.mark.parametrize(
    ("symbol", "market_type", "stays"),
    [("BTCUSDT", "futures", "BTC"), ("BTC", "spot", "BTCUSDT"), ("BTCUSDT", "SPOT", "BTCUSDT")],
)
def test_one_market_of_a_symbol(trader: Api, symbol: str, market_type: str, stays: str) -> None:
    """A holding may be named by its asset, as `GET /positions` names it."""
    send()
    send(market_type=MarketType.SPOT)
    assert close(trader, {"account_id": 1, "symbol": symbol, "market_type": market_type})[0] == 202
    assert held() == {f"1 {stays}": D("0.1")}


def test_a_strategy_closes_its_own_share(trader: Api) -> None:
    """On the same symbol another strategy's share, stop and resting order stay."""
    send(group="a", quantity=D("0.2"), stop_loss=D(45000))
    send(group="b", stop_loss=D(44000))
    rest(group="a")
    rest(ETH, group="b")
    assert close(trader, {"strategy_id": 1})[0] == 202
    assert held() == {"1 BTCUSDT": D("0.1")}
    assert open_orders() == ["1 BTCUSDT 0.sl", "1 ETHUSDT 0"]


def test_everything_of_a_user(trader: Api) -> None:
    """All accounts, also with a halt that was asked for: nothing opens afterwards, and closing worked."""
    send()
    send(account_id="2")
    assert close(trader, {"user_id": 7, "halt": True})[1]["accounts"] == [
        {"account_id": 1, "exchange": "paper"},
        {"account_id": 2, "exchange": "paper"},
    ]
    assert held() == {}
    send()
    assert held() == {}, "halted"


def test_an_inactive_account_is_closed(trader: Api) -> None:
    """A pause stops signals, and never the owner."""
    send()
    aws.write(
        aws.put_write("accounts", (aws.get("accounts", {"account_id": "1"}) or {}) | {"is_active": False})
    )
    close(trader, {"account_id": 1})
    assert held() == {}


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        ({}, "missing_field", "account_id, strategy_id, user_id"),
        ({"account_id": None}, "missing_field", "account_id, strategy_id, user_id"),
        ({"symbol": "BTCUSDT"}, "missing_field", "account_id"),
        ({"user_id": 7, "symbol": "BTCUSDT"}, "missing_field", "account_id"),
        ({"account_id": 1, "market_type": "spot"}, "missing_field", "symbol"),
        ({"account_id": 1, "user_id": 7}, "only_one_of", "account_id, user_id"),
        ({"account_id": 1, "symbol": "???"}, "unknown_symbol", "???"),
        ({"account_id": 1, "colour": "red"}, "unknown_field", "colour"),
        ({"account_id": "x"}, "invalid_number", "account_id"),
    ],
)
def test_a_body_that_does_not_say_what(trader: Api, body: dict[str, Any], code: str, named: str) -> None:
    """400, naming what is missing or too much; nothing is closed."""
    send()
    status, answer = close(trader, body)
    assert (status, answer["code"]) == (400, code)
    assert named in answer["error"]
    assert held() == {"1 BTCUSDT": D("0.1")}


@pytest.mark.parametrize(
    "body", [{"account_id": 1}, {"strategy_id": 1}, {"account_id": 9}, {"strategy_id": 9}]
)
def test_somebody_elses(trader: Api, body: dict[str, Any]) -> None:
    """404 for a stranger and for what is not there; an admin closes for others."""
    send(group="a")
    assert close(trader, body, who="8")[0] == 404
    assert close(trader, {"user_id": 7}, who="8")[0] in (403, 404)
    assert held() == {"1 BTCUSDT": D("0.1")}
    if body in ({"account_id": 1}, {"strategy_id": 1}):
        assert close(trader, body, who="1")[0] == 202
        assert held() == {}


# At an exchange


def deliver(live: Live, **more: Any) -> None:
    """A message to close, delivered until it has been handled, and once more."""
    message = Flatten(
        flatten_id="f",
        user_id="1",
        account_id=live.account_id,
        exchange=live.exchange,
        at=datetime.now(UTC),
        **more,
    )
    for _ in range(4):
        try:
            flatten.close_all(message, 20)
        except Retryable:
            continue
    live.follow()


def test_futures_are_closed_and_exits_go_last(futures: Live) -> None:
    """The stop-loss protects until the position is closed, then it goes; the resting entry goes first."""
    futures.run("buy", stop_loss=D(45000))
    futures.limit("49000")
    deliver(futures)
    ended = {order.leg: order for order in futures.order_store()}
    assert sum(map(D, futures.holdings["positions"].values())) == 0
    assert {order.status for order in ended.values()} <= {"filled", "cancelled"}
    assert ended["0.sl"].updated_at > ended["close"].created_at > ended["0"].updated_at
    assert futures.agrees()


@pytest.mark.parametrize("named", [BTC, Symbol(raw="BTC", base="BTC")], ids=["pair", "asset"])
def test_a_named_holding_is_sold(open_account: Any, named: Symbol) -> None:
    """Spot holdings stay unless their symbol is named. A resting sale does not lock them."""
    live = open_account("binance", MarketType.SPOT, currency="USDT")
    for more, left in (({}, D(2)), ({"market_type": MarketType.SPOT, "symbol": named}, D(0))):
        live.run("sell", order_type=OrderType.LIMIT, quantity=D(1), price=D(60000))
        deliver(live, **more)
        assert D(live.holdings["balances"]["spot"]["BTC"]) == left
        assert {order.status for order in live.order_store()} <= {"filled", "cancelled"}
    assert live.agrees()
