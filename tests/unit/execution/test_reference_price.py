"""The signal's `price` neither sizes a market order nor passes a rule where the market's price is known.

It only refuses.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.exchanges.protocol import OrderStatus
from chalicelib.execution import execute_signal
from chalicelib.orders import in_flight, store
from chalicelib.orders.models import AccountResult, Instruction
from chalicelib.risk import update_rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.trading import MarketType, OrderType
from chalicelib.users.credentials import Kind
from functions import receive_signals, serve_api
from testkit import pump, records
from testkit.gateway import call
from tests.unit.execution.conftest import Live, legs

MARKET = Decimal(50_000)
SLACK = Decimal("1.01")  # slippage and fees
FORGED = [Decimal(each) for each in ("0.01", "500", "47000", "55000", "5000000")]

SIZES: dict[str, dict[str, Any]] = {
    "legacy": {"quote_amount": Decimal(1000)},
    "personal": {"quote_amount": Decimal(1000)},
    "xc": {"quantity": Decimal("0.02")},
    "group": {"legs": legs("1")},
    "manual": {"quantity": Decimal("0.02")},
}
"""An order of 1000 USDT, as each variant says it."""


def rule(**rules: Any) -> None:
    given = {name: Decimal(value) for name, value in rules.items()}
    update_rules.update_rules(Switch(Scope.USER, "1", "1"), given, by="1", admin=True)


def worth(live: Live) -> Decimal:
    """Of everything that traded or may still trade, at the market's price."""
    return sum(
        (order.quantity * MARKET for order in live.order_store() if order.status is not OrderStatus.REJECTED),
        Decimal(0),
    )


def run(live: Live, variant: str, price: Decimal | None, deviation: int = 0, **more: Any) -> AccountResult:
    given = {**SIZES[variant], "price": price, "max_price_deviation_percent": Decimal(deviation), **more}
    return live.execute(live.signal("buy", **given).model_copy(update={"variant": variant}))


@pytest.mark.parametrize("variant", SIZES)
def test_no_price_in_the_body_changes_the_size(live: Live, variant: str, unlimited: None) -> None:
    """With deviations allowed, each forged price makes exactly the order that no price makes."""
    quantities = []
    for price in (None, FORGED[0], FORGED[1], FORGED[-1]):
        assert not run(live, variant, price, legs=(), quote_amount=None, quantity=Decimal("0.02")).refused
        quantities.append(live.order_store()[-1].quantity)
    if variant != "group":
        for price in (None, *FORGED):
            assert not run(live, variant, price).refused
            quantities.append(live.order_store()[-1].quantity)
    assert len(set(quantities)) == 1, quantities


def test_a_share_of_the_balance_is_of_the_market_price(live: Live, unlimited: None) -> None:
    """A percentage buys what the balance buys at the market, whatever the body's price."""
    run(live, "group", FORGED[1], legs=legs("10"))
    assert Decimal(9_800) < worth(live) <= 10_000


@pytest.mark.parametrize(
    "rules",
    [{"max_order_notional": 900}, {"max_position_notional": 900}],
    ids=lambda rules: next(iter(rules)),
)
@pytest.mark.parametrize("variant", SIZES)
def test_no_price_in_the_body_passes_a_rule(
    live: Live, variant: str, rules: dict[str, int], unlimited: None
) -> None:
    """A rule that refuses the order at the market's price refuses it at each forged one."""
    if live.market_type is MarketType.SPOT and "max_position_notional" in rules:
        rules = {"max_position_notional": 100_900}  # the account holds 2 BTC
    rule(**rules)
    for price in FORGED:
        result = run(live, variant, price)
        assert [leg.code for leg in result.refused] == [
            f"above_{next(iter(rules)).removesuffix('_notional')}"
        ]
    assert worth(live) == 0


def test_the_minimum_is_measured_by_the_market_price(live: Live, unlimited: None) -> None:
    """A forged price makes an order worth enough neither way."""
    result = run(live, "xc", FORGED[0], quantity=Decimal("0.01"))
    assert not result.refused


@pytest.mark.parametrize("variant", SIZES)
@pytest.mark.parametrize(
    ("price", "refused"),
    [("44999", True), ("45000", False), ("55000", False), ("55001", True), ("500", True)],
)
def test_a_price_away_from_the_market_refuses(open_account, variant: str, price: str, refused: bool) -> None:
    """Up to ten percent passes, in either direction; beyond it nothing trades, and the code says why."""
    live = open_account("binance", MarketType.FUTURES)
    result = run(live, variant, Decimal(price), 10)
    assert [leg.code for leg in result.refused] == (["price_away"] if refused else [])
    assert bool(live.there()) is not refused
    if refused:
        assert (result.refused[0].status, result.refused[0].values["market"]) == (422, "50000")


def test_a_closing_signal_is_never_refused_for_its_price(live: Live, unlimited: None) -> None:
    """What closes or reduces goes through at any price."""
    run(live, "xc", None, quantity=Decimal("0.1"))
    price = {"price": Decimal(500), "max_price_deviation_percent": Decimal(10)}
    assert not live.run("sell", quantity=Decimal("0.02"), **price).refused
    assert not live.run("close", **price).refused


def test_limit_and_stop_prices_are_not_measured(live: Live, unlimited: None) -> None:
    """A limit or a stop far from the market is an order like any other."""
    given = {"quantity": Decimal("0.02"), "max_price_deviation_percent": Decimal(10)}
    assert not live.run("buy", order_type=OrderType.LIMIT, price=Decimal(30_000), **given).refused
    side = (
        "sell" if (live.exchange, live.market_type) == ("okx", MarketType.SPOT) else "buy"
    )  # OKX takes no stop buy
    stop = Decimal(40_000) if side == "sell" else Decimal(60_000)
    assert not live.run(side, order_type=OrderType.STOP_MARKET, stop_price=stop, **given).refused


@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.STOP_LIMIT])
def test_a_low_limit_does_not_make_a_short_small(
    futures: Live, order_type: OrderType, unlimited: None
) -> None:
    """A sale at a limit below the market trades at the market: it is sized and measured by that."""
    stop = {"stop_price": Decimal(49_000)} if order_type is OrderType.STOP_LIMIT else {}
    given = {"order_type": order_type, "price": Decimal(1_000), **stop}
    rule(max_order_notional=900)
    result = futures.run("sell", quantity=Decimal("0.02"), **given)
    assert [leg.code for leg in result.refused] == ["above_max_order"]
    result = futures.run("sell", quantity=None, quote_amount=Decimal(500), **given)
    assert worth(futures) <= 500 * SLACK * MARKET / (49_000 if stop else MARKET)


def test_a_low_limit_does_not_make_a_position_small(futures: Live, unlimited: None) -> None:
    """The holding counts at the market's price, also next to an order that waits far below it."""
    futures.run("buy", quantity=Decimal("0.1"))
    rule(max_position_notional=5_000)
    result = futures.run("buy", quantity=Decimal("0.02"), order_type=OrderType.LIMIT, price=Decimal(40_000))
    assert [leg.code for leg in result.refused] == ["above_max_position"]


def test_the_stop_and_the_risk_are_measured_from_the_market(futures: Live, unlimited: None) -> None:
    """A forged price puts no stop on the wrong side, and makes no risk larger."""
    protected = {"stop_loss": Decimal(49_000), "risk_percent": Decimal("0.1"), "price": Decimal("49000.1")}
    assert not futures.run("buy", quantity=Decimal(5), **protected).refused
    assert next(order for order in futures.order_store() if order.leg == "0").quantity == Decimal(
        "0.1"
    )  # 100 USDT over 1000 each
    wrong = futures.run("buy", quantity=Decimal("0.02"), price=Decimal(54_000), stop_loss=Decimal(52_000))
    assert [leg.code for leg in wrong.refused] == ["exit_on_wrong_side"]


class TestSimulated:
    """Accounts without keys."""

    @pytest.fixture(autouse=True)
    def account(self, emulated: None) -> None:
        """A demo account with 100 000 USDT and no costs, and a paper account with the usual ones."""
        records.add_user("1")
        free = {"slippage_bps": Decimal(0), "commission_bps": Decimal(0)}
        records.add_account("1", "demo", kind="demo", exchange="binance", currency="USDT", **free)
        records.add_account("1", "main", currency="USD")
        self.numbers = iter(range(100))

    def run(self, account: str = "demo", **more: Any) -> AccountResult:
        """A purchase on futures."""
        given = {
            "action": "buy",
            "symbol": {"raw": "BTCUSDT", "base": "BTC", "quote": "USDT"},
            "market_type": "futures",
            **more,
        }
        instruction = Instruction.model_validate(
            {
                "signal_id": f"s{next(self.numbers)}",
                "user_id": "1",
                "account_id": f"1-{account}",
                "exchange": "paper" if account == "main" else "binance",
                "variant": "xc",
                "received_at": datetime.now(UTC),
                "max_age_s": 60,
                "single_account": True,
                **given,
            }
        )
        execute_signal.execute_signal(instruction)
        return store.results_of(instruction.signal_id)[0][0]

    def live(self, price: int, age_s: int = 0) -> None:
        """A live price of BTCUSDT."""
        at = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
        item = {"symbol": "BTCUSDT", "scope": "live#binance#futures", "price": Decimal(price), "at": at}
        aws.write(aws.put_write("prices", item))

    def test_a_live_price_goes_before_the_bodys(self) -> None:
        """It sizes, fills and measures; the body's price is not remembered as the market's."""
        self.live(50_000)
        done = self.run(quote_amount=1000, price=500, max_price_deviation_percent=0)
        assert (done.orders[0].quantity, done.orders[0].average_price) == (Decimal("0.02"), 50_000)
        assert aws.get("prices", {"symbol": "BTCUSDT", "scope": "user#1"}) is None
        rule(max_order_notional=900)
        assert (
            self.run(quantity="0.02", price=500, max_price_deviation_percent=0).refused[0].code
            == "above_max_order"
        )

    def test_a_price_away_from_the_live_one_refuses(self) -> None:
        """As on an account at an exchange."""
        self.live(50_000)
        assert self.run(quantity="0.02", price=500).refused[0].code == "price_away"
        assert not self.run(quantity="0.02", price=49_000).refused

    def test_a_live_price_that_is_not_renewed_does_not_count(self) -> None:
        """Then the signal's own price counts again."""
        self.live(50_000, age_s=600)
        assert self.run(quantity="0.02", price=60_000).orders[0].average_price == 60_000

    def test_without_a_live_price_the_bodys_fills(self) -> None:
        """The paper document's rule, also far from the last price seen."""
        self.run(quantity="0.02", price=50_000)
        assert self.run(quantity="0.02", price=500).orders[0].average_price == 500

    def test_paper_rules_measure_by_the_execution_price(self) -> None:
        """100 shares at 185.50 are worth 18559.00 after slippage."""
        share = {
            "symbol": {"raw": "AAPL", "base": "AAPL"},
            "market_type": "spot",
            "quantity": 100,
            "price": "185.50",
        }
        rule(max_order_notional="18558.99")
        assert self.run("main", **share).refused[0].code == "above_max_order"
        rule(max_order_notional=18_559)
        assert self.run("main", **share).orders[0].value == 18_559


class TestSettings:
    """`max_price_deviation_percent`, of the user and of the strategy."""

    @pytest.fixture(autouse=True)
    def account(self, emulated: None) -> None:
        """A demo account with a live price of 50 000, on a strategy."""
        records.add_user("1", market_type="futures")
        account_id = records.add_account("1", "demo", kind="demo", exchange="binance", currency="USDT")
        records.add_strategy("1", "grp", {account_id: {"name": "demo"}})
        item = {
            "symbol": "BTCUSDT",
            "scope": "live#binance#futures",
            "price": MARKET,
            "at": datetime.now(UTC).isoformat(),
        }
        aws.write(aws.put_write("prices", item))
        self.token = records.add_token("1")

    def send(self, price: int) -> str | None:
        """A group signal; the code it is refused with."""
        body = {
            "group_name": "grp",
            "exchange": "BINANCE",
            "market_type": "FUTURES",
            "currency": "USDT",
            "symbol": "BTCUSDT",
        }
        order = {"order_type": "MARKET", "side": "buy", "qty_per": 1, "price": price}
        call(
            receive_signals.app,
            "POST",
            "/api/webhook",
            body | order,
            headers={"X-Webhook-Token": self.token},
            query={"wait": "0"},
        )
        pump.execute()
        signal_id = max(pump.items("signals"), key=lambda item: item["received_at"])["signal_id"]
        return next(
            (leg.code for execution in store.results_of(signal_id)[0] for leg in execution.refused), None
        )

    def test_ten_percent_by_default(self) -> None:
        """For users without a setting."""
        assert (self.send(44_000), self.send(46_000)) == ("price_away", None)

    def test_the_users_own(self) -> None:
        """Wider, narrower, off."""
        settings = aws.get("users", {"user_id": "1", "part": "settings"}) or {}
        for percent, codes in (
            (1, ("price_away", "price_away")),
            (20, ("price_away", None)),
            (0, (None, None)),
        ):
            aws.write(aws.put_write("users", settings | {"max_price_deviation_percent": Decimal(percent)}))
            assert (self.send(1_000 + percent), self.send(46_000 + percent)) == codes

    def test_the_strategys_goes_before_it(self) -> None:
        """Also where it turns the check off."""
        for percent, code in ((Decimal(1), "price_away"), (Decimal(0), None), (None, None)):
            aws.write(
                aws.put_write(
                    "strategies",
                    (aws.get("strategies", {"user_id": "1", "group_name": "grp"}) or {})
                    | {"max_price_deviation_percent": percent},
                )
            )
            assert self.send(46_000 + int(percent or 7)) == code

    def test_the_dry_run_names_its_price(self) -> None:
        """Which price it is, and where it comes from."""
        headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}

        def explained(**more: Any) -> dict[str, Any]:
            body = {"symbol": "BTCUSDT", "side": "buy", **more}
            account = call(
                serve_api.app,
                "POST",
                "/signals/explain",
                body,
                headers=headers,
                query={"variant": "personal"},
            )[1]["accounts"][0]
            return {name: account.get(name) for name in ("price", "price_source", "code")}

        assert explained() == {"price": 50_000, "price_source": "live", "code": None}
        assert explained(price=500) == {"price": 50_000, "price_source": "live", "code": "price_away"}
        assert explained(symbol="ETHUSDT", price=3_000) == {
            "price": 3_000,
            "price_source": "signal",
            "code": None,
        }
        records.set_price("SOLUSDT", "200")
        assert explained(symbol="SOLUSDT") == {"price": 200, "price_source": "last_seen", "code": None}


def test_the_dry_run_of_an_account_at_an_exchange(live: Live, unlimited: None) -> None:
    """The last known price sizes it, never the signal's.

    Where none is known, it says so and decides nothing.
    """
    member = {"exchange": live.exchange, "kind": "live", "market_types": [live.market_type.value]}
    records.add_strategy("1", "grp", {live.account_id: member})
    headers = {"Authorization": f"Bearer {records.add_token('1', Kind.API)}"}
    in_flight.schedule_account(live.account_id, live.exchange, datetime.now(UTC) - timedelta(hours=1))
    live.follow()

    def explained(symbol: str, price: int) -> dict[str, Any]:
        where = {
            "group_name": "grp",
            "exchange": live.exchange,
            "market_type": live.market_type.value,
            "currency": "USDT",
        }
        body = {
            **where,
            "symbol": symbol,
            "order_type": "MARKET",
            "side": "buy",
            "qty_per": 1,
            "price": price,
        }
        account = call(serve_api.app, "POST", "/signals/explain", body, headers=headers)[1]["accounts"][0]
        return {name: account.get(name) for name in ("price", "price_source", "would_trade", "code")}

    assert explained("ETHUSDT", 3_000) == {
        "price": 3_000,
        "price_source": "signal",
        "would_trade": None,
        "code": None,
    }
    records.set_price("BTCUSDT", "50000", "user#1")
    assert explained("BTCUSDT", 500) == {
        "price": 50_000,
        "price_source": "last_seen",
        "would_trade": False,
        "code": "price_away",
    }
    assert explained("BTCUSDT", 49_000) == {
        "price": 50_000,
        "price_source": "last_seen",
        "would_trade": True,
        "code": None,
    }
