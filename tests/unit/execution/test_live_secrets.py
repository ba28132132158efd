"""Exchange keys are nowhere in clear: not in the log, not in an event, not in a table."""

import json
import logging
import re
from decimal import Decimal
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib import aws
from chalicelib.exchanges import rate_limiter as limiter_module
from chalicelib.exchanges.rate_limiter import Limiter, Patience
from chalicelib.exchanges.transport import ExchangeTransport
from chalicelib.execution import execute_signal
from chalicelib.trading import Leg, MarketType
from tests.unit.execution.conftest import Live


def everything_stored() -> str:
    """Every item of every table, and every message of every queue."""
    client, queues = aws.client("dynamodb"), aws.client("sqs")
    tables = client.list_tables(Limit=100)["TableNames"]
    items = [client.scan(TableName=table)["Items"] for table in tables]
    urls = queues.list_queues()["QueueUrls"]
    return json.dumps(
        [
            items,
            [
                queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
                for url in urls
            ],
        ],
        default=str,
    )


class Overheard:
    """The secrets in requests to the exchanges: each request's key, signature and passphrase."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: set[str] = set()
        send = ExchangeTransport.send

        def heard(transport, request, *arguments, **more):
            texts = [
                request.url or "",
                request.body.decode() if isinstance(request.body, bytes) else request.body or "",
            ]
            self.values |= {found for text in texts for found in re.findall(r"signature=([^&]+)", text)}
            names = ("KEY", "SIGN", "PASSPHRASE")
            self.values |= {
                str(value)
                for name, value in request.headers.items()
                if any(each in name.upper() for each in names)
            }
            return send(transport, request, *arguments, **more)

        monkeypatch.setattr(ExchangeTransport, "send", heard)


def test_keys_are_nowhere_in_clear(
    live: Live,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fills, refusals, unknown outcomes and a revoked key leave no key, secret, passphrase or signature,
    though all of ours is logged.
    """
    caplog.set_level(
        logging.DEBUG, logger="tradehook"
    )  # ccxt's and urllib3's loggers are limited to info: at debug they show requests
    overheard = Overheard(monkeypatch)
    live.run("buy", stop_loss=Decimal(45000))
    live.run("buy", quantity=Decimal(50))
    for kind, when in (("500", "after"), ("html", "before"), ("reset", "before"), ("duplicate", "before")):
        live.simulator.fault(exchange=live.exchange, method="POST", path="*rder*", kind=kind, when=when)
        live.run("buy", quantity=Decimal("0.01"))
    live.follow()
    live.simulator.call("POST", "revoke", api_key=live.credentials.api_key)
    refused = live.run("buy")
    live.follow()
    assert refused.refused

    shown = (
        everything_stored()
        + "".join(capfd.readouterr())
        + caplog.text
        + "".join(str(vars(record)) for record in caplog.records)
    )
    key = live.credentials
    told = {key.api_key, key.secret, *overheard.values} - {key.passphrase}
    assert len(told) > 10
    assert not [value for value in told if value in shown]
    assert f'"{key.passphrase}"' not in shown


def test_the_limiter_spaces_orders_out(cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the burst each order waits its turn, whichever worker asks.

    Waiting beyond the time there is gives up.
    """
    now = limiter_module._now_us()
    monkeypatch.setattr(limiter_module, "_now_us", lambda: now)
    limiter = Limiter("bybit", MarketType.FUTURES, "1")
    waits = [limiter.take("account", 1) for _ in range(12)]
    assert waits[0] == 0.0
    assert waits == sorted(waits)
    assert 1.2 < waits[-1] < 1.3
    from chalicelib.errors import Retryable

    with pytest.raises(Retryable):
        Patience(0.1).wait(waits[-1], "rate_limit")


def test_what_is_taken_of_the_address_is_what_the_exchange_counts(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call takes its own weight, and nothing is taken for a call that is not made."""
    taken = []
    take = Limiter.take

    def counting(self: Limiter, scope: str, tokens: int, **more: Any) -> float:
        taken.append(tokens if scope == "address" else 0)
        return take(self, scope, tokens, **more)

    monkeypatch.setattr(Limiter, "take", counting)
    before = live.simulator.call("GET", "stats")["weight"].get(live.exchange, 0)
    live.run("buy")
    live.run("buy", legs=(Leg(percent=Decimal(1)), Leg(percent=Decimal(1))))
    live.run("close")
    live.follow()
    counted = live.simulator.call("GET", "stats")["weight"][live.exchange] - before
    assert sum(taken) == counted > 0


def test_a_rate_limited_order_waits(live: Live) -> None:
    """An order refused by the rate limit is placed when the limit permits, with its delay stored."""
    method, path = {
        "binance": ("POST", "*rder"),
        "bybit": ("POST", "*/order/create"),
        "okx": ("POST", "*/trade/order*"),
    }[live.exchange]
    live.simulator.fault(exchange=live.exchange, method=method, path=path, kind="429", when="before")
    execution = live.run("buy")
    [order] = live.order_store()
    assert (order.status, order.tries) == ("filled", 1)
    assert any(delay.cause == "rate_limit" for delay in order.delays)
    assert any(delay.cause == "rate_limit" for delay in execution.delays)


def test_the_price_of_an_order(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a warm worker a market order takes at most five calls to AWS, two of them transactions.

    The claim, and what became of it.
    """
    live.run("buy", quantity=Decimal("0.01"), price=Decimal(50000))
    made = []
    original = BaseClient._make_api_call
    monkeypatch.setattr(
        BaseClient,
        "_make_api_call",
        lambda self, name, given: made.append(name) or original(self, name, given),
    )
    only = live.signal("buy", quantity=Decimal("0.01"), price=Decimal(50000), single_account=True)
    execute_signal.execute_signal(only, 20)
    assert len(made) <= 5, made
    assert made.count("TransactWriteItems") == 2
