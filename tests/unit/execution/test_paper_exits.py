"""Take-profit and stop-loss on a paper account.

In the book together with what they leave, one cancels the other.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.execution import execute_signal
from chalicelib.orders import store
from chalicelib.orders.models import AccountResult, Instruction, Order, PriceUpdate
from chalicelib.paper import store as paper_store
from chalicelib.trading import Action, Leg, MarketType, OrderType, Symbol
from testkit.cloud import emulated
from testkit.records import add_account, add_user

ACCOUNT = "1-main"
EXITS = {"take_profit": Decimal(55000), "stop_loss": Decimal(45000)}
BTC = Symbol(raw="BTCUSDT", base="BTC", quote="USDT")
_numbers = count(1)


@pytest.fixture(autouse=True)
def cloud() -> Iterator[None]:
    """A paper account with 100 000 dollars, without costs."""
    with emulated():
        add_user("1")
        add_account("1", "main", slippage_bps=Decimal(0), commission_bps=Decimal(0))
        yield


@pytest.fixture(params=list(MarketType))
def market_type(request: pytest.FixtureRequest) -> MarketType:
    return request.param


def signal(action: str, market_type: MarketType, **more) -> Instruction:
    sized = {} if {"legs", "quantity"} & more.keys() or action == "close" else {"quantity": Decimal("0.1")}
    return Instruction(
        signal_id=f"s{next(_numbers)}",
        user_id="1",
        account_id=ACCOUNT,
        exchange="paper",
        variant="group",
        action=Action(action),
        market_type=market_type,
        received_at=datetime.now(UTC),
        max_age_s=60,
        single_account=False,
        **{"symbol": BTC, "price": Decimal(50000), **sized, **more},
    )


def run(action: str, market_type: MarketType, **more) -> AccountResult:
    instruction = signal(action, market_type, **more)
    execute_signal.execute_signal(instruction)
    return store.results_of(instruction.signal_id)[0][0]


def see(price: str) -> None:
    at = datetime.now(UTC)
    seen = PriceUpdate(
        update_id=price, account_id=ACCOUNT, exchange="paper", symbol="BTCUSDT", price=Decimal(price), at=at
    )
    execute_signal.on_price(seen)


def order_store() -> dict[str, Order]:
    items = aws.query_all("orders", "account_id = :account", index="by_account", account=ACCOUNT)
    return {
        order.leg: order
        for order in sorted((store.order_from_item(item) for item in items), key=lambda order: order.number)
    }


def statuses() -> dict[str, str]:
    return {leg: order.status.value for leg, order in order_store().items()}


def held() -> Decimal:
    book = paper_store.read_book(Account.model_validate(aws.get("accounts", {"account_id": ACCOUNT})))
    return sum((each.quantity for each in (*book.holdings.values(), *book.positions.values())), Decimal(0))


def events() -> list[str]:
    return [item["type"]["S"] for item in aws.client("dynamodb").scan(TableName="test-outbox")["Items"]]


@pytest.mark.parametrize(
    ("price", "filled", "cancelled"), [("55100", "0.tp", "0.sl"), ("44900", "0.sl", "0.tp")]
)
def test_one_exit_cancels_the_other(market_type: MarketType, price: str, filled: str, cancelled: str) -> None:
    """The whole entry is sold at the exit's price, though both orders offered it.

    The other order is cancelled at once.
    """
    execution = run("buy", market_type, **EXITS)
    assert [order.leg for order in execution.orders] == ["0"]
    assert statuses() == {"0": "filled", "0.sl": "open", "0.tp": "open"}
    see(price)
    assert statuses() == {"0": "filled", filled: "filled", cancelled: "cancelled"}
    assert held() == 0
    assert order_store()[filled].average_price == Decimal(price)
    bought = ["order.filled", "order.opened", "order.opened", "position.changed"]
    sold = ["order.filled", "order.cancelled", "position.changed", "trade.closed"]
    assert sorted(events()) == sorted([*bought, *sold])


def test_a_short_position(market_type: MarketType) -> None:
    """The exits of a short position are on the other sides.

    On spot nothing is short, so nothing gets exits.
    """
    execution = run("short", market_type, take_profit=Decimal(45000), stop_loss=Decimal(55000))
    if market_type is MarketType.SPOT:
        assert execution.refused
        return
    see("55100")
    assert statuses() == {"0": "filled", "0.sl": "filled", "0.tp": "cancelled"}
    assert held() == 0


def test_a_resting_entry_gets_its_exits_when_it_fills(market_type: MarketType) -> None:
    """In the same transaction as the fill."""
    run(
        "buy",
        market_type,
        order_type=OrderType.LIMIT,
        legs=(Leg(percent=Decimal(10), price=Decimal(49000)),),
        price=None,
        **EXITS,
    )
    assert statuses() == {"0": "open"}
    see("48900")
    assert statuses() == {"0": "filled", "0.sl": "open", "0.tp": "open"}
    assert order_store()["0.sl"].quantity == order_store()["0"].filled
    assert not order_store()["0"].unprotected
    see("44000")
    assert statuses() == {"0": "filled", "0.sl": "filled", "0.tp": "cancelled"}


def test_a_signal_that_leaves_takes_the_exits_along(market_type: MarketType) -> None:
    """A close, and on spot any sale, takes back what would have left the position."""
    run("buy", market_type, **EXITS)
    execution = run("close" if market_type is MarketType.FUTURES else "sell", market_type)
    assert not execution.refused, execution.refused
    assert held() == 0
    found = order_store()
    assert {found[leg].status.value for leg in ("0.sl", "0.tp")} == {"cancelled"}
    assert {found[leg].code for leg in ("0.sl", "0.tp")} == {"position_left"}


@pytest.mark.parametrize(
    "wrong", [{"stop_loss": Decimal(51000)}, {"take_profit": Decimal(49000)}, {"stop_loss": Decimal(50000)}]
)
def test_exits_on_the_wrong_side_open_nothing(market_type: MarketType, wrong) -> None:
    """What would fire at once is refused, and nothing is opened."""
    execution = run("buy", market_type, **wrong)
    assert [leg.code for leg in execution.refused] == ["exit_on_wrong_side"]
    assert not order_store()


def test_a_batch_that_would_not_fit_into_one_transaction(market_type: MarketType) -> None:
    """Eight entries with both exits do; nine are refused whole."""
    nine = tuple(Leg(percent=Decimal(5)) for _ in range(9))
    assert [leg.code for leg in run("buy", market_type, legs=nine, **EXITS).refused] == [
        "too_many_with_exits"
    ]
    assert not order_store()
    assert not run("buy", market_type, legs=nine[:8], **EXITS).refused
    assert len(order_store()) == 24


def test_every_order_of_a_batch_has_its_own(market_type: MarketType) -> None:
    """Two entries, each with both exits; the exits of one do not affect the other's."""
    run("buy", market_type, legs=(Leg(percent=Decimal(10)), Leg(percent=Decimal(20))), **EXITS)
    assert statuses() == {
        leg: "filled" if "." not in leg else "open" for leg in ("0", "0.sl", "0.tp", "1", "1.sl", "1.tp")
    }
    see("56000")
    assert held() == 0
    assert {leg for leg, status in statuses().items() if status == "cancelled"} == {"0.sl", "1.sl"}
