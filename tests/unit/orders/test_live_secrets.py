"""Exchange keys are nowhere in clear: not in the log, not in an event, not in a table."""

import json
from decimal import Decimal

import pytest
from botocore.client import BaseClient

from chalicelib import aws
from chalicelib.exchanges.limiter import Limiter, Patience
from chalicelib.orders import execute
from chalicelib.trading import MarketType
from tests.unit.orders.conftest import Live


def everything_stored() -> str:
    client = aws.client("dynamodb")
    tables = client.list_tables(Limit=100)["TableNames"]
    return json.dumps([client.scan(TableName=table)["Items"] for table in tables], default=str)


def test_keys_are_nowhere_in_clear(live: Live, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """A fill, a refusal and an unknown outcome leave no trace of key, secret or passphrase."""
    live.run("buy")
    live.run("buy", quantity=50)
    live.simulator.fault(exchange=live.exchange, method="POST", path="*rder*", kind="500", when="after")
    live.run("buy")
    live.follow()
    shown = everything_stored() + "".join(capfd.readouterr()) + caplog.text + "".join(str(vars(record)) for record in caplog.records)
    key = live.credentials
    assert key.api_key not in shown
    assert key.secret not in shown
    assert f'"{key.passphrase}"' not in shown


def test_the_limiter_spaces_orders_out(cloud: None) -> None:
    """After the burst each order waits its turn, whichever worker asks; waiting beyond the time there is gives up."""
    limiter = Limiter("bybit", MarketType.FUTURES, "1")
    waits = [limiter.take("account", 1) for _ in range(12)]
    assert waits[0] == 0.0
    assert waits == sorted(waits)
    assert 0.9 < waits[-1] < 1.3
    from chalicelib.errors import Retryable

    with pytest.raises(Retryable):
        Patience(0.1).wait(waits[-1], "rate_limit")


def test_a_rate_limited_order_waits(live: Live) -> None:
    """Turned away by the exchange's limit, the order is placed when the limit allows, and the delay is in the ledger."""
    method, path = {"binance": ("POST", "*rder"), "bybit": ("POST", "*/order/create"), "okx": ("POST", "*/trade/order*")}[live.exchange]
    live.simulator.fault(exchange=live.exchange, method=method, path=path, kind="429", when="before")
    execution = live.run("buy")
    [order] = live.ledger()
    assert (order.status, order.tries) == ("filled", 1)
    assert any(delay.cause == "rate_limit" for delay in order.delays)
    assert any(delay.cause == "rate_limit" for delay in execution.delays)


def test_the_price_of_an_order(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a warm worker a market order takes at most nine calls to AWS."""
    live.run("buy", quantity=Decimal("0.01"), price=Decimal(50000))
    made = []
    original = BaseClient._make_api_call
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda self, name, given: made.append(name) or original(self, name, given))
    execute.execute(live.signal("buy", quantity=Decimal("0.01"), price=Decimal(50000)), 20)
    assert len(made) <= 9, made
    assert made.count("TransactWriteItems") == 3
