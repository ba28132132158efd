"""The paper exchange as a book: what orders do to cash, holdings and positions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.accounts.model import Account
from chalicelib.errors import NotDoable
from chalicelib.exchanges.protocol import Instrument, OrderRequest, OrderStatus, Side
from chalicelib.paper.book import Book
from chalicelib.trading import MarketType, OrderType

D = Decimal
NOW = datetime(2026, 1, 22, 15, 30, tzinfo=UTC)
SPOT = Instrument("BTCUSDT", "BTC", "USDT", MarketType.SPOT, D("0.01"), D("0.00001"))
PERP = Instrument("BTCUSDT", "BTC", "USDT", MarketType.FUTURES, D("0.1"), D("0.001"))


def book(cash: str = "100000", **account: Any) -> Book:
    """Returns an account. Default: without costs."""
    costs = {"slippage_bps": D(0), "commission_bps": D(0)} | account
    owned = Account(
        account_id="1", user_id="1", name="main", exchange="binance", kind="demo", currency="USDT", **costs
    )
    return Book(owned, {"USDT": D(cash)})


def order(side: Side, quantity: str, instrument: Instrument = SPOT, **more: Any) -> OrderRequest:
    """Returns an order. Default: a market order."""
    name = f"o{side}{quantity}{more.get('price')}{more.get('stop_price')}"
    type_ = more.pop("order_type", OrderType.MARKET)
    return OrderRequest(name, instrument, side, type_, D(quantity), **more)


def place(on: Book, what: OrderRequest, price: str | None = "50000") -> Any:
    return on.place(what, D(price) if price else None, {}, NOW)


def test_spot_exchanges_cash_for_the_asset() -> None:
    """A buy takes cash and gives the asset; a sale gives the cash back."""
    on = book()
    assert place(on, order(Side.BUY, "1")).status is OrderStatus.FILLED
    assert (on.cash["USDT"], on.held(SPOT)) == (D(50000), D(1))
    place(on, order(Side.SELL, "0.5"), "60000")
    assert (on.cash["USDT"], on.held(SPOT)) == (D(80000), D("0.5"))


def test_what_is_missing_is_refused() -> None:
    """Too little money or holdings is refused with the needed and the available amount, without a change."""
    on = book("100")
    with pytest.raises(NotDoable) as refused:
        place(on, order(Side.BUY, "1"))
    assert (refused.value.code, refused.value.values) == (
        "insufficient_funds",
        {"needed": "50000.00", "available": "100"},
    )
    with pytest.raises(NotDoable) as refused:
        place(on, order(Side.SELL, "1"))
    assert refused.value.code == "insufficient_holdings"
    assert (on.cash, on.orders, on.changed) == ({"USDT": D(100)}, 0, set())


def test_a_futures_position_ties_up_margin() -> None:
    """A position ties up its value divided by leverage, and realises its profit when it closes."""
    on = book("10000")
    place(on, order(Side.BUY, "1", PERP, leverage=10))
    assert (on.held(PERP), on.free("USDT")) == (D(1), D(5000))
    place(on, order(Side.SELL, "1", PERP, reduce_only=True, leverage=10), "51000")
    assert (on.held(PERP), on.free("USDT")) == (D(0), D(11000))


def test_a_short_profits_from_the_fall() -> None:
    """A short position gains when the price falls."""
    on = book("10000")
    place(on, order(Side.SELL, "1", PERP, leverage=10))
    assert on.held(PERP) == D(-1)
    place(on, order(Side.BUY, "1", PERP, reduce_only=True), "49000")
    assert on.cash["USDT"] == D(11000)


def test_reduce_only_never_flips() -> None:
    """A reduce-only order larger than the position takes it to flat and no further."""
    on = book()
    place(on, order(Side.BUY, "1", PERP, leverage=10))
    done = place(on, order(Side.SELL, "5", PERP, reduce_only=True))
    assert (done.filled, on.held(PERP)) == (D(1), D(0))


def test_a_limit_waits_and_sets_funds_aside() -> None:
    """A limit order away from the market waits, its funds set aside, and fills at its limit when the price
    comes.
    """
    on = book()
    place(on, order(Side.BUY, "1", order_type=OrderType.LIMIT, price=D(40000)))
    assert on.free("USDT") == D(60000)
    assert list(on.on_price("BTCUSDT", D(41000))) == []
    [(_, state)] = on.on_price("BTCUSDT", D(39000))
    assert (state.status, state.average_price, on.held(SPOT)) == (OrderStatus.FILLED, D(40000), D(1))


def test_a_limit_the_market_has_reached_fills_at_once() -> None:
    """A limit better than the market fills at the market, never worse than the limit."""
    on = book(slippage_bps=D(5))
    done = place(on, order(Side.BUY, "1", order_type=OrderType.LIMIT, price=D("50001")))
    assert (done.status, done.average_price) == (OrderStatus.FILLED, D("50001"))


def test_post_only_does_not_take() -> None:
    """A post-only order that would trade at once is refused."""
    with pytest.raises(NotDoable) as refused:
        place(book(), order(Side.BUY, "1", order_type=OrderType.LIMIT, price=D(50001), post_only=True))
    assert refused.value.code == "post_only_would_fill"


@pytest.mark.parametrize(
    ("side", "stop", "quiet", "loud"),
    [
        (Side.SELL, "45000", "46000", "44000"),
        (Side.BUY, "55000", "54000", "56000"),
        (Side.SELL, "55000", "54000", "55000"),
    ],
)
def test_a_stop_waits_for_the_market_to_come(side: Side, stop: str, quiet: str, loud: str) -> None:
    """A stop below the market waits for the fall, one above it for the rise, whichever side it is."""
    on = book()
    place(on, order(Side.BUY, "1", PERP, leverage=1))
    place(on, order(side, "0.1", PERP, order_type=OrderType.STOP_MARKET, stop_price=D(stop), leverage=1))
    assert list(on.on_price("BTCUSDT", D(quiet))) == []
    [(_, state)] = on.on_price("BTCUSDT", D(loud))
    assert state.status is OrderStatus.FILLED


def test_a_stop_limit_becomes_a_limit() -> None:
    """Its stop reached but not its limit, a stop-limit order waits on as a limit order."""
    on = book()
    place(on, order(Side.BUY, "1", PERP, leverage=1))
    place(
        on,
        order(
            Side.SELL,
            "1",
            PERP,
            order_type=OrderType.STOP_LIMIT,
            stop_price=D(104000),
            price=D(105000),
            leverage=1,
        ),
    )
    assert list(on.on_price("BTCUSDT", D(104500))) == []
    [waiting] = on.waiting.values()
    assert waiting.triggered
    [(_, state)] = on.on_price("BTCUSDT", D(105000))
    assert state.average_price == D(105000)


def test_a_stop_needs_to_know_where_the_market_stands() -> None:
    """Without a market price the direction of a stop is unknown: refused."""
    with pytest.raises(NotDoable) as refused:
        place(book(), order(Side.BUY, "1", order_type=OrderType.STOP_MARKET, stop_price=D(1)), None)
    assert refused.value.code == "no_price"


def test_cancelling_gives_everything_back() -> None:
    """A cancelled order's funds are free again; cancelling twice does nothing."""
    on = book()
    what = order(Side.BUY, "1", order_type=OrderType.LIMIT, price=D(40000))
    place(on, what)
    assert on.cancel(what.client_order_id)
    assert on.cancel(what.client_order_id) is None
    assert on.free("USDT") == D(100000)


def test_the_oldest_order_fills_first() -> None:
    """Of two orders at a price, the older one fills first."""
    on = book()
    for minute, quantity in enumerate(("1", "0.5")):
        what = order(Side.BUY, quantity, order_type=OrderType.LIMIT, price=D(40000))
        on.place(what, D(50000), {}, NOW - timedelta(minutes=minute))
    assert [state.quantity for _, state in on.on_price("BTCUSDT", D(40000))] == [D("0.5"), D(1)]


def test_the_fill_rate() -> None:
    """An account's fill rate leaves the rest of an order undone."""
    done = place(book(fill_rate=D("0.4")), order(Side.BUY, "1"))
    assert (done.status, done.filled) == (OrderStatus.PARTIALLY_FILLED, D("0.4"))


STEPS = st.tuples(
    st.sampled_from(list(Side)),
    st.decimals("0.001", "2", places=3),
    st.decimals("20000", "80000", places=1),
    st.sampled_from([SPOT, PERP]),
    st.sampled_from([OrderType.MARKET, OrderType.LIMIT]),
)


@given(st.lists(STEPS, max_size=12))
def test_money_is_neither_made_nor_lost(steps: list[Any]) -> None:
    """Without costs and back at one price, equity is the old equity plus the profits at that price."""
    on = book()
    price = D(50000)
    for number, (side, quantity, limit, instrument, type_) in enumerate(steps):
        what = OrderRequest(
            str(number),
            instrument,
            side,
            type_,
            quantity,
            price=limit if type_ is OrderType.LIMIT else None,
            leverage=3,
        )
        try:
            on.place(what, price, {}, NOW)
        except NotDoable:
            continue
    list(on.on_price("BTCUSDT", price))
    holdings = sum(holding.quantity * price for holding in on.holdings.values())
    profit = sum(position.quantity * (price - position.entry_price) for position in on.positions.values())
    equity = on.cash["USDT"] + holdings + profit
    assert abs(equity - 100_000) < D("0.5")
    assert on.free("USDT") >= 0
