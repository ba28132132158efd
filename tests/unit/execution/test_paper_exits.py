"""Take-profit and stop-loss on a paper account.

In the book together with what they leave, one cancels the other.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

from chalicelib import aws
from chalicelib.accounts.model import Account
from chalicelib.execution import execute_signal
from chalicelib.orders import store
from chalicelib.orders.models import AccountResult, Instruction, Order, PriceUpdate
from chalicelib.paper import store as paper_store
from chalicelib.trading import (
    Action,
    BreakEven,
    ExitLevel,
    Leg,
    MarketType,
    OrderType,
    Symbol,
    TakeProfit,
    TrailingStop,
)
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


def test_a_resting_entry_of_an_earlier_version_gets_its_exits(market_type: MarketType) -> None:
    """0.2.0 stored prices where there is a plan of exits now. The entry is read, and protected."""
    run("buy", market_type, order_type=OrderType.LIMIT, price=Decimal(48000), **EXITS)
    stored = aws.query_all("portfolios", "account_id = :account", account=ACCOUNT)
    [waiting] = [item for item in stored if item["item"].startswith("order#")]
    prices = {name: str(price) for name, price in EXITS.items()}
    reference = {name: value for name, value in waiting["reference"].items() if name != "exits"} | prices
    order = {name: value for name, value in waiting["order"].items() if name != "moves"} | EXITS
    aws.write(aws.put_write("portfolios", waiting | {"reference": reference, "order": order}))
    see("48000")
    assert statuses() == {"0": "filled", "0.tp": "open", "0.sl": "open"}
    assert {leg: each.stop_price or each.price for leg, each in order_store().items() if leg != "0"} == {
        "0.tp": Decimal(55000),
        "0.sl": Decimal(45000),
    }


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


SHARES = {
    "stop_loss": ExitLevel(percent=Decimal(10)),
    "take_profits": (
        TakeProfit(percent=Decimal(4), share=Decimal(50)),
        TakeProfit(distance=Decimal(5000), share=Decimal(30)),
    ),
}


def test_take_profits_close_their_shares(market_type: MarketType) -> None:
    """Each take-profit takes its stop-loss along. The stop-losses together cover what is left."""
    run("buy", market_type, **SHARES)
    assert {
        leg: (order.quantity, order.stop_price) for leg, order in order_store().items() if "." in leg
    } == {
        "0.sl": (Decimal("0.05"), Decimal(45000)),
        "0.tp": (Decimal("0.05"), Decimal(52000)),
        "0.slb": (Decimal("0.03"), Decimal(45000)),
        "0.tpb": (Decimal("0.03"), Decimal(55000)),
        "0.slc": (Decimal("0.02"), Decimal(45000)),
    }
    see("52000")
    assert held() == Decimal("0.05")
    assert {leg for leg, status in statuses().items() if status == "open"} == {"0.slb", "0.tpb", "0.slc"}
    see("44900")
    assert held() == 0
    assert {leg: status for leg, status in statuses().items() if "." in leg} == {
        "0.sl": "cancelled",
        "0.tp": "filled",
        "0.slb": "filled",
        "0.tpb": "cancelled",
        "0.slc": "filled",
    }


def test_a_sale_by_hand_takes_the_first_shares(market_type: MarketType) -> None:
    """What is left keeps its stop-loss, and the exits together cover exactly that."""
    run("buy", market_type, **SHARES)
    run("sell", market_type, quantity=Decimal("0.06"))
    left = {leg: order.quantity for leg, order in order_store().items() if order.status.value == "open"}
    assert left == {"0.slb": Decimal("0.02"), "0.tpb": Decimal("0.02"), "0.slc": Decimal("0.02")}
    see("44900")
    assert held() == 0


def test_exits_are_measured_from_the_fill_with_its_slippage() -> None:
    """Not from the price of the signal."""
    add_account("1", "main", slippage_bps=Decimal(10), commission_bps=Decimal(0))
    run("buy", MarketType.SPOT, stop_loss=ExitLevel(percent=Decimal(10)))
    orders = order_store()
    assert orders["0"].average_price == Decimal(50050)
    assert orders["0.sl"].stop_price == Decimal(45045)


@pytest.mark.parametrize("side", ["long", "short"])
def test_the_percentage_is_on_the_losing_side(side: str) -> None:
    """Of a short position the stop-loss is above the entry."""
    run(side, MarketType.FUTURES, stop_loss=ExitLevel(percent=Decimal(2)))
    assert order_store()["0.sl"].stop_price == Decimal(49000 if side == "long" else 51000)


def test_five_entries_with_six_take_profits_close_together(market_type: MarketType) -> None:
    """Their exits end with the position, however many there are."""
    targets = tuple(TakeProfit(percent=Decimal(each), share=Decimal(15)) for each in range(1, 7))
    for _ in range(5):  # 65 exits of three writes each: more than one transaction holds
        run(
            "buy",
            market_type,
            quantity=Decimal("0.05"),
            take_profits=targets,
            stop_loss=ExitLevel(percent=Decimal(5)),
        )
    assert run("close", market_type).succeeded
    assert held() == 0
    assert "open" not in statuses().values()


def look(last: str, high: str | None = None, low: str | None = None) -> None:
    """A live price, with the extremes since the last look."""
    now = datetime.now(UTC)
    execute_signal.on_price(
        PriceUpdate(
            update_id=f"{last}{high}{low}",
            account_id=ACCOUNT,
            exchange="paper",
            symbol="BTCUSDT",
            price=Decimal(last),
            at=now,
            high=None if high is None else Decimal(high),
            low=None if low is None else Decimal(low),
            since=now,
        )
    )


def stop_price() -> Decimal | None:
    return order_store()["0.sl"].stop_price


def test_a_trailing_stop_follows_the_best_price(market_type: MarketType) -> None:
    """Each move is stored with the order and is no event. It fires where it then stands."""
    run("buy", market_type, trailing_stop=TrailingStop(percent=Decimal(10)))
    assert stop_price() == Decimal(45000)
    published = events()
    for price, stop in (("60000", 54000), ("55000", 54000), ("61000", 54900), ("60999", 54900)):
        see(price)
        assert stop_price() == stop
    assert events() == published
    see("54800")
    assert statuses() == {"0": "filled", "0.sl": "filled"}
    assert held() == 0
    closing = Counter(events()) - Counter(published)
    assert closing == Counter(["order.filled", "position.changed", "trade.closed"])


def test_a_trailing_stop_of_a_short_position_falls() -> None:
    """Its best price is the lowest."""
    run("short", MarketType.FUTURES, trailing_stop=TrailingStop(distance=Decimal(1000)))
    see("48000")
    assert stop_price() == Decimal(49000)
    see("49000")
    assert statuses()["0.sl"] == "filled"


def test_a_trailing_stop_waits_for_its_activation(market_type: MarketType) -> None:
    """Until then the stop-loss stands."""
    trailing = TrailingStop(percent=Decimal(1), activation=ExitLevel(percent=Decimal(4)))
    run("buy", market_type, stop_loss=Decimal(45000), trailing_stop=trailing)
    for price, stop in (("51999", 45000), ("52000", 51480), ("51500", 51480)):
        see(price)
        assert stop_price() == stop


@pytest.mark.parametrize(
    ("last", "high", "low", "filled"),
    [
        ("50000", "60000", None, 54000),  # up and back: the stop has followed
        ("55000", "60000", None, None),
        ("50000", "60000", "44000", 45000),  # the worse extreme comes first
        ("50000", None, "44000", 45000),
    ],
)
def test_a_trailing_stop_follows_between_two_looks(last, high, low, filled) -> None:
    """The best price since the last look moves the stop, and the way back meets it at its own level."""
    run("buy", MarketType.FUTURES, trailing_stop=TrailingStop(percent=Decimal(10)))
    look(last, high, low)
    assert order_store()["0.sl"].average_price == filled


def test_a_price_that_is_delivered_again_moves_and_fires_nothing_more() -> None:
    """Its low came before its high, and the stop that the high has moved never saw the low."""
    run("buy", MarketType.FUTURES, trailing_stop=TrailingStop(percent=Decimal(10)))
    at = datetime.now(UTC)
    update = PriceUpdate(
        update_id="1",
        account_id=ACCOUNT,
        exchange="paper",
        symbol="BTCUSDT",
        price=Decimal(58000),
        at=at,
        market_type=MarketType.FUTURES,
        high=Decimal(60000),
        low=Decimal(51000),
        since=at - timedelta(microseconds=1),
    )
    for _ in range(2):
        execute_signal.on_price(update)
        assert (statuses()["0.sl"], stop_price()) == ("open", Decimal(54000))
    later = update.model_copy(update={"since": at, "at": at + timedelta(microseconds=1), "high": None})
    execute_signal.on_price(later)
    assert order_store()["0.sl"].average_price == Decimal(54000)


def test_break_even_after_a_take_profit(market_type: MarketType) -> None:
    """The stops of the other shares go to the average fill price, and nothing can be lost any more."""
    run("buy", market_type, **SHARES, break_even_after=BreakEven(take_profits=1))
    see("52000")
    left = {leg: order.stop_price for leg, order in order_store().items() if order.status.value == "open"}
    assert left == {"0.slb": Decimal(50000), "0.tpb": Decimal(55000), "0.slc": Decimal(50000)}
    see("49999")
    assert held() == 0


def test_break_even_after_the_second_take_profit(market_type: MarketType) -> None:
    """The first one moves nothing."""
    run("buy", market_type, **SHARES, break_even_after=BreakEven(take_profits=2))
    see("52000")
    assert order_store()["0.slc"].stop_price == Decimal(45000)
    see("55000")
    assert order_store()["0.slc"].stop_price == Decimal(50000)


def test_break_even_after_a_move(market_type: MarketType) -> None:
    """A stop that is better already stays."""
    run("buy", market_type, stop_loss=Decimal(45000), break_even_after=BreakEven(percent=Decimal(3)))
    see("51499")
    assert stop_price() == Decimal(45000)
    see("51500")
    assert stop_price() == Decimal(50000)
    see("51000")
    assert stop_price() == Decimal(50000)


def test_a_take_profit_at_market_counts_for_break_even() -> None:
    """The entry filled where its first take-profit had been passed already."""
    run(
        "buy",
        MarketType.FUTURES,
        order_type=OrderType.STOP_MARKET,
        legs=(Leg(percent=Decimal(10), stop_price=Decimal(51000)),),
        stop_loss=Decimal(45000),
        take_profits=tuple(TakeProfit(price=Decimal(price), share=Decimal(50)) for price in (52000, 60000)),
        break_even_after=BreakEven(take_profits=1),
    )
    see("53000")
    assert statuses() == {"0": "filled", "0.tp": "filled", "0.slb": "open", "0.tpb": "open"}
    assert order_store()["0.slb"].stop_price == order_store()["0"].average_price == Decimal(53000)


def test_the_newer_entry_takes_its_own_exits_only(market_type: MarketType) -> None:
    """Its take-profit fills first. The older entry keeps its stop-loss and its take-profit."""
    run("buy", market_type, stop_loss=Decimal(45000), take_profit=Decimal(60000))
    run("buy", market_type, stop_loss=Decimal(46000), take_profit=Decimal(51000))
    see("51000")
    left = {(order.leg, order.stop_price) for order in all_orders() if order.status.value == "open"}
    assert left == {("0.sl", Decimal(45000)), ("0.tp", Decimal(60000))}
    assert held() == Decimal("0.1")


def all_orders() -> list[Order]:
    items = aws.query_all("orders", "account_id = :account", index="by_account", account=ACCOUNT)
    return [store.order_from_item(item) for item in items]
