"""A live account on each exchange, here simulated, through the public webhook, the queue and the worker."""

import json
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from chalicelib import aws
from chalicelib.accounts import keys
from chalicelib.exchanges import market_store
from chalicelib.trading import MarketType
from chalicelib.users.credentials import Kind
from chalicelib.users.tokens import create_token
from tests.e2e.calls import eventually, post, settled
from tests.e2e.conftest import Running
from tests.simulator.client import Simulator
from tests.simulator.server import SimulatorServer

pytestmark = pytest.mark.e2e

EXCHANGES = ("binance", "bybit", "okx")
GROUP, DESK = "live_strategy", "3"
HOLDINGS = {"spot": {"USDT": "100000", "BTC": "2"}, "futures": {"USDT": "100000"}}


class Desk:
    """A strategy with one live account per exchange, on a stack that reaches the simulator."""

    def __init__(self, stack: Running, simulator: Simulator) -> None:
        self.stack, self.simulator, self.credentials = stack, simulator, {}
        members = {}
        for number, exchange in enumerate(EXCHANGES, 901):
            credentials = self.credentials[exchange] = simulator.account(exchange, balances=HOLDINGS)
            account = {"account_id": str(number), "exchange": exchange, "kind": "live", "is_active": True}
            sealed = keys.seal(str(number), credentials)
            item = account | {"user_id": DESK, "name": f"Live {exchange}", "sealed_keys": sealed, "key_version": 1, "version": 1}
            aws.write(aws.put("accounts", item))
            members[str(number)] = {
                "name": item["name"],
                "exchange": exchange,
                "kind": "live",
                "market_types": ["spot", "futures"],
                "active": True,
            }
        aws.write(aws.put("strategies", {"user_id": DESK, "group_name": GROUP, "is_active": True, "accounts": members, "version": 1}))
        self.token = create_token(DESK, Kind.WEBHOOK, by="test", name="live").token

    def send(self, exchange: str, market_type: str, side: str, **more: Any) -> dict[str, Any]:
        """A group signal; returns its trace once it has settled."""
        body = {
            "exchange": exchange,
            "market_type": market_type,
            "group_name": GROUP,
            "currency": "USDT",
            "symbol": "BTCUSDT",
            "side": side,
            "token": self.token,
        }
        answer = post(self.stack, "/api/webhook", body | {"order_type": "MARKET", "alert_id": uuid.uuid4().hex} | more)
        assert answer.status_code in {200, 202}, answer.text
        return settled(self.stack, answer.headers["X-Signal-Id"], "TRADEHOOK_ADMIN_TOKEN")

    def there(self, exchange: str) -> list[dict[str, Any]]:
        return self.simulator.orders(api_key=self.credentials[exchange].api_key)


@pytest.fixture(scope="module")
def desk(stack: Running) -> Iterator[Desk]:
    """The stack, its exchanges being the simulator."""
    server = SimulatorServer(0).start()
    with stack.deployed_with(environment={"TRADEHOOK_EXCHANGE_ENDPOINT": server.url}), patch.dict(os.environ, stack.cloud.environment()):
        aws.client.cache_clear()
        stack.cloud.client("lambda").invoke(FunctionName=stack.cloud.function("refresh_markets"), Payload=b"{}")
        venue = market_store.venue("okx", MarketType.FUTURES, demo=False)
        assert eventually(lambda: market_store.age(venue, datetime.now(UTC)), within_s=60)
        yield Desk(stack, Simulator(server.url))
    aws.client.cache_clear()
    server.stop()


@pytest.mark.parametrize("market_type", ["spot", "futures"])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_market_order_from_webhook_to_fill(desk: Desk, exchange: str, market_type: str) -> None:
    """The order is at the exchange once, under the ledger's client id, filled in both."""
    before = len(desk.there(exchange))
    trace = desk.send(exchange, market_type, "buy", qty_per=10)
    orders = [item for item in desk.stack.items("orders") if "client_order_id" in item and item["signal_id"]["S"] == trace["signal_id"]]
    assert [item["status"]["S"] for item in orders] == ["filled"], json.dumps(trace)
    placed = desk.there(exchange)[before:]
    assert [(each["client_id"], each["status"]) for each in placed] == [(orders[0]["client_order_id"]["S"], "filled")]
    assert Decimal(placed[0]["filled"]) == Decimal(orders[0]["filled"]["N"])


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_limit_order_is_followed(desk: Desk, exchange: str) -> None:
    """A resting order's fill is seen within two minutes, by schedule."""
    desk.send(exchange, "spot", "buy", order_type="LIMIT", price=40000, qty_per=5)
    desk.simulator.price("BTCUSDT", "39900", exchange=exchange)

    def filled() -> bool:
        orders = [
            item
            for item in desk.stack.items("orders")
            if item.get("exchange", {}).get("S") == exchange and item.get("price", {}).get("N") == "40000"
        ]
        return bool(orders) and orders[0]["status"]["S"] == "filled"

    assert eventually(filled, within_s=150)


def test_no_key_is_stored_or_logged(desk: Desk) -> None:
    """No key, secret or passphrase is in any table or log of the stack."""
    tables = json.dumps([desk.stack.items(table) for table in desk.stack.cloud.description.source.tables])
    logs = "".join(path.read_text(errors="replace") for path in desk.stack.place.directory.rglob("*.log"))
    for credentials in desk.credentials.values():
        assert credentials.api_key not in tables + logs
        assert credentials.secret not in tables + logs
