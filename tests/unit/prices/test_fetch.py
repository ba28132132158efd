"""Live prices of simulated accounts: who is asked, how often, and what the prices then do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from chalicelib import aws, config
from chalicelib.errors import Retryable
from chalicelib.exchanges import rate_limiter, registry
from chalicelib.exchanges.protocol import Pacing, Ticker
from chalicelib.execution import execute_signal
from chalicelib.orders import store as orders
from chalicelib.orders.models import Instruction, PriceUpdate
from chalicelib.prices import fetch
from chalicelib.prices import store as prices
from chalicelib.trading import Action, MarketType, Symbol
from functions import fetch_prices
from testkit import pump
from testkit.gateway import CONTEXT
from testkit.records import add_account, add_user

SPOT, FUTURES = MarketType.SPOT, MarketType.FUTURES
_numbers = count(1)


class Exchanges:
    """The exchanges' ticker lists, and what was asked of them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.away: set[str] = set()
        self.lists: dict[tuple[str, str], dict[str, Ticker]] = {}

    def show(self, price: int, *, exchange: str = "binance", symbol: str = "BTCUSDT", **day: int) -> None:
        ticker = Ticker(
            Decimal(price), *(Decimal(day[name]) if name in day else None for name in ("high", "low"))
        )
        for market_type in ("spot", "futures"):
            self.lists.setdefault((exchange, market_type), {})[symbol] = ticker

    def fetch(
        self, exchange: str, market_type: MarketType, throttle: Any
    ) -> tuple[dict[str, Ticker], Pacing]:
        throttle(1)
        self.calls.append((exchange, market_type.value))
        if exchange in self.away:
            raise Retryable("no answer")
        return self.lists.get((exchange, market_type.value), {}), Pacing()


@pytest.fixture(autouse=True)
def exchanges(emulated: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchanges]:
    """Three exchanges that list nothing yet, and a user with accounts without costs."""
    made = Exchanges()
    monkeypatch.setattr(registry, "fetch_tickers", made.fetch)
    monkeypatch.setenv("TRADEHOOK_EXCHANGES", "binance bybit okx")
    fetch.forget()
    rate_limiter.forget()
    add_user("1")
    free = {"slippage_bps": Decimal(0), "commission_bps": Decimal(0)}
    add_account("1", "main", **free)
    for name in ("a", "b", "c"):
        add_account("1", name, kind="demo", exchange="binance", **free)
    yield made
    fetch.forget()


def buy(account: str = "main", exchange: str = "paper", market_type: MarketType = SPOT, **more: Any) -> str:
    """Buys 0.1 BTC at 50 000 and returns the signal's id."""
    signal_id = f"s{next(_numbers)}"
    symbol = more.pop("symbol", Symbol(raw="BTCUSDT", base="BTC", quote="USDT"))
    execute_signal.execute_signal(
        Instruction(
            signal_id=signal_id,
            user_id="1",
            account_id=f"1-{account}",
            exchange=exchange,
            variant="group",
            action=Action("buy"),
            market_type=market_type,
            received_at=datetime.now(UTC),
            max_age_s=60,
            single_account=False,
            symbol=symbol,
            price=Decimal(50000),
            quantity=Decimal("0.1"),
            **more,
        )
    )
    [result] = orders.results_of(signal_id)[0]
    assert not result.refused
    return signal_id


def look() -> int:
    """One look, and what the order workers then do."""
    found = fetch.fetch_prices()
    for name in pump.EXCHANGES:
        for message in pump.messages(f"orders-{name}"):
            execute_signal.on_price(PriceUpdate.model_validate_json(message["Body"]))
            url, receipt = config.queue(f"orders-{name}"), message["ReceiptHandle"]
            aws.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=receipt)
    return found


def statuses(signal_id: str) -> dict[str, str]:
    items = aws.query_all("orders", "signal_id = :signal", signal=signal_id)
    found = [orders.order_from_item(item) for item in items if "#" in item["leg"]]
    return {order.leg: order.status.value for order in found}


def fill_price(signal_id: str, leg: str) -> Decimal | None:
    [item] = aws.get_many([("orders", {"signal_id": signal_id, "leg": f"1-main#{leg}"})])
    assert item is not None
    return orders.order_from_item(item).average_price


def live(symbol: str = "BTCUSDT", exchange: str = "paper", market_type: MarketType = SPOT) -> aws.Item | None:
    [item] = aws.get_many([prices.live_key(symbol, exchange, market_type)])
    return item


def test_without_a_symbol_nobody_is_asked(exchanges: Exchanges) -> None:
    """No position, no order: no call."""
    assert look() == 0
    assert exchanges.calls == []


@pytest.mark.parametrize("market_type", list(MarketType))
def test_a_stop_fires_by_the_fetched_price_alone(exchanges: Exchanges, market_type: MarketType) -> None:
    """One look is enough; nobody posts a price and no signal comes."""
    entry = buy(market_type=market_type, stop_loss=Decimal(45000), take_profit=Decimal(55000))
    exchanges.show(46000)
    look()
    assert statuses(entry) == {"0": "filled", "0.sl": "open", "0.tp": "open"}
    exchanges.show(44900)
    look()
    assert statuses(entry) == {"0": "filled", "0.sl": "filled", "0.tp": "cancelled"}
    assert fill_price(entry, "0.sl") == 44900


def test_one_call_an_exchange_and_market_whatever_the_number_of_accounts(exchanges: Exchanges) -> None:
    """Three accounts and two symbols are one call, and each account sees the price."""
    exchanges.show(50000)
    exchanges.show(3000, symbol="ETHUSDT")
    entries = [buy(name, "binance", stop_loss=Decimal(45000)) for name in ("a", "b", "c")]
    buy("a", "binance", symbol=Symbol(raw="ETHUSDT", base="ETH", quote="USDT"))
    assert look() == 2
    assert exchanges.calls == [("binance", "spot")]
    exchanges.show(44000)
    look()
    assert exchanges.calls == [("binance", "spot")] * 2
    assert all(statuses(entry)["0.sl"] == "filled" for entry in entries)


def test_each_market_has_its_own_price(exchanges: Exchanges) -> None:
    """A futures stop does not see the spot price."""
    exchanges.lists = {
        ("binance", "spot"): {"BTCUSDT": Ticker(Decimal(44000))},
        ("binance", "futures"): {"BTCUSDT": Ticker(Decimal(46000))},
    }
    on_spot = buy("a", "binance", SPOT, stop_loss=Decimal(45000))
    on_futures = buy("a", "binance", FUTURES, stop_loss=Decimal(45000))
    look()
    assert statuses(on_spot)["0.sl"] == "filled"
    assert statuses(on_futures)["0.sl"] == "open"


def test_a_paper_account_goes_by_the_first_exchange_that_lists_the_symbol(exchanges: Exchanges) -> None:
    """In the deployment's order; the next one while an exchange is away."""
    exchanges.show(3000, symbol="ETHUSDT")
    exchanges.show(50500, exchange="bybit")
    exchanges.show(50600, exchange="okx")
    buy()
    look()
    assert exchanges.calls == [("binance", "spot"), ("bybit", "spot")]
    assert (live() or {})["source"] == "bybit"
    exchanges.away = {"bybit"}
    look()
    assert (live() or {})["source"] == "okx"


def test_a_share_is_asked_for_once_an_hour(exchanges: Exchanges) -> None:
    """No exchange lists it, so that it costs no call a minute."""
    exchanges.show(50000)
    exchanges.show(50000, exchange="bybit")
    exchanges.show(50000, exchange="okx")
    buy(symbol=Symbol(raw="AAPL", base="AAPL", quote=None))
    look()
    look()
    assert [name for name, _ in exchanges.calls] == ["binance", "bybit", "okx"]


def test_an_exchange_that_is_away_stops_nothing_and_is_asked_once_a_minute(
    exchanges: Exchanges, caplog: pytest.LogCaptureFixture
) -> None:
    """The others' prices come, and the log has one line."""
    exchanges.away = {"binance"}
    exchanges.show(44000, exchange="bybit")
    add_account("1", "d", kind="demo", exchange="bybit", slippage_bps=Decimal(0), commission_bps=Decimal(0))
    buy("a", "binance", stop_loss=Decimal(45000))
    stopped = buy("d", "bybit", stop_loss=Decimal(45000))
    for _ in range(3):
        look()
    assert exchanges.calls.count(("binance", "spot")) == 1
    assert exchanges.calls.count(("bybit", "spot")) >= 1
    assert statuses(stopped)["0.sl"] == "filled"
    assert live(exchange="binance") is None


def test_a_stale_live_price_is_not_used() -> None:
    """After five minutes without a look the market may be elsewhere."""
    now = datetime.now(UTC)
    for minutes, expected in ((4, Decimal(50000)), (6, None)):
        at = now - timedelta(minutes=minutes)
        prices.save_live_prices([prices.LivePrice("BTCUSDT", "paper", SPOT, Decimal(50000), at, "binance")])
        assert prices.live_and_last([live(), None, None], now) == (expected, None)


def test_a_low_between_two_looks_fires_the_stop_at_its_own_level(exchanges: Exchanges) -> None:
    """The day's low has moved, so the price was there since the last look."""
    exchanges.show(50000, high=51000, low=46000)
    entry = buy(stop_loss=Decimal(45000), take_profit=Decimal(55000))
    look()
    exchanges.show(50000, high=51000, low=44000)
    look()
    assert statuses(entry) == {"0": "filled", "0.sl": "filled", "0.tp": "cancelled"}
    assert fill_price(entry, "0.sl") == 45000


def test_of_two_extremes_the_worse_counts_first(exchanges: Exchanges) -> None:
    """Both exits lie inside the range: the stop-loss fills."""
    exchanges.show(50000, high=51000, low=46000)
    entry = buy(stop_loss=Decimal(45000), take_profit=Decimal(55000))
    look()
    exchanges.show(50000, high=56000, low=44000)
    look()
    assert statuses(entry) == {"0": "filled", "0.sl": "filled", "0.tp": "cancelled"}


def test_an_extreme_from_before_the_order_is_not_its_price(exchanges: Exchanges) -> None:
    """The order came after the last look, and the low may have come before the order."""
    exchanges.show(50000, high=51000, low=46000)
    buy()
    look()
    entry = buy(stop_loss=Decimal(45000))
    exchanges.show(50000, high=51000, low=44000)
    look()
    assert statuses(entry)["0.sl"] == "open"


def test_another_exchanges_day_says_nothing(exchanges: Exchanges) -> None:
    """While the source changes, only the price counts."""
    exchanges.show(50000, high=51000, low=46000)
    entry = buy(stop_loss=Decimal(45000))
    look()
    exchanges.away = {"binance"}
    exchanges.show(50000, exchange="bybit", high=51000, low=44000)
    look()
    assert statuses(entry)["0.sl"] == "open"


def test_switched_off(exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody is asked, whatever is held."""
    monkeypatch.setenv("TRADEHOOK_LIVE_PRICES", "off")
    buy()
    assert fetch_prices.handler({}, CONTEXT) == {"looks": 0, "prices": 0}
    assert exchanges.calls == []


def test_the_function_looks_as_often_as_set(exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a minute unless set; with ten seconds six times, spread over the minute."""
    exchanges.show(50000)
    buy()
    assert fetch_prices.handler({}, CONTEXT) == {"looks": 1, "prices": 1}
    monkeypatch.setenv("TRADEHOOK_PRICE_INTERVAL_S", "10")
    slept: list[float] = []
    monkeypatch.setattr(fetch_prices.time, "sleep", slept.append)
    context = type("Context", (), {"get_remaining_time_in_millis": lambda _: 70_000})()
    assert fetch_prices.handler({}, context) == {"looks": 6, "prices": 6}
    assert len(slept) == 5


def test_a_look_that_has_no_time_left_calls_nobody(exchanges: Exchanges) -> None:
    """A run that is cut off would raise an alarm."""
    exchanges.show(50000)
    buy()
    assert fetch.fetch_prices(deadline=0.0) == 0
    assert exchanges.calls == []


def test_a_price_that_comes_late_does_nothing(exchanges: Exchanges) -> None:
    """A message may wait in a dead-letter queue for days. Neither stops nor liquidations go by it then."""
    entry = buy(stop_loss=Decimal(45000))
    now = datetime.now(UTC)
    for minutes, expected in ((6, "open"), (0, "filled")):
        at = now + timedelta(seconds=5) - timedelta(minutes=minutes)
        execute_signal.on_price(
            PriceUpdate(
                update_id=str(minutes),
                account_id="1-main",
                exchange="paper",
                symbol="BTCUSDT",
                price=Decimal(44000),
                at=at,
                market_type=SPOT,
            )
        )
        assert statuses(entry)["0.sl"] == expected


def test_an_order_does_not_see_a_price_from_before_it(exchanges: Exchanges) -> None:
    """The ticker was fetched first, the order placed while its message waited."""
    exchanges.show(50000)
    buy()
    fetch.fetch_prices()
    assert not pump.messages("orders-paper")  # only a holding: nothing waits
    entry = buy(stop_loss=Decimal(47000))
    for price in (46500, 49000):
        exchanges.show(price)
        fetch.fetch_prices()
    later = buy(stop_loss=Decimal(47000))
    for message in pump.messages("orders-paper"):
        execute_signal.on_price(PriceUpdate.model_validate_json(message["Body"]))
    assert statuses(entry)["0.sl"] == "filled"
    assert statuses(later)["0.sl"] == "open"


def test_a_queue_that_fails_loses_no_extreme(exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look finds the low again, and the other prices have gone out."""
    exchanges.show(50000, high=51000, low=46000)
    entry = buy(stop_loss=Decimal(45000))
    look()
    exchanges.show(50000, high=51000, low=44000)
    queue_price = prices.queue_live_price

    def failing(*_: Any) -> int:
        raise Retryable("SQS refused a message")

    monkeypatch.setattr(prices, "queue_live_price", failing)
    look()
    monkeypatch.setattr(prices, "queue_live_price", queue_price)
    look()
    assert statuses(entry)["0.sl"] == "filled"


def test_a_symbol_in_another_script_is_queued(exchanges: Exchanges) -> None:
    """SQS takes ids in ASCII only."""
    name = Symbol(raw="币安人生USDT", base="币安人生", quote="USDT")
    exchanges.show(44000, symbol=name.name)
    entry = buy(symbol=name, stop_loss=Decimal(45000))
    look()
    assert statuses(entry)["0.sl"] == "filled"


def test_dashboards_see_each_change_once(exchanges: Exchanges) -> None:
    """Whatever the number of accounts and markets; a price that stands still is not sent again."""
    exchanges.show(50000)
    buy()
    buy("a", "binance", FUTURES)
    pump.messages("realtime")  # of the signals
    for price in (50000, 50000, 50100):
        exchanges.show(price)
        fetch.fetch_prices()
    sent = [message["Body"] for message in pump.messages("realtime")]
    assert len(sent) == 2
