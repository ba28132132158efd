"""One signal of each variant: request, answer and orders."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from infra.local.paths import LocalStackPaths
from infra.local.stack_env import read_stack_env

_PATIENCE_S = 20.0
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Sample:
    """A signal to send."""

    name: str
    path: str
    body: dict[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)


def samples(environment: Mapping[str, str]) -> list[Sample]:
    """Returns one signal of each variant, with the demo users' tokens."""
    group = {
        "group_name": environment["TRADEHOOK_GROUP_NAME"],
        "token": environment["TRADEHOOK_GROUP_TOKEN"],
        "exchange": "BINANCE",
        "market_type": "FUTURES",
        "currency": "USDT",
        "symbol": "BTCUSDT",
    }
    legs = [{"price": 78000, "qty_per": 3}, {"price": 77000, "qty_per": 4}]
    code = environment["TRADEHOOK_XC_CODE"]
    return [
        Sample("legacy", "/webhook", {"symbol": "BTCUSDT", "action": "buy", "price": 95000}),
        Sample(
            "personal",
            f"/personal/{environment['TRADEHOOK_DEMO_USER_ID']}/webhook",
            {"symbol": "ETHUSDT", "action": "buy", "price": 3200},
        ),
        Sample(
            "xc",
            "/xc",
            f"code={code} strategy_id=MyStrategy demo=YES command=sell "
            "exchange=binance coinmarket=BTCUSDT amount=0.05",
        ),
        Sample("group", "/api/webhook", group | {"order_type": "MARKET", "side": "buy", "qty_per": 5}),
        Sample("batch", "/api/webhook", group | {"order_type": "LIMIT", "side": "buy", "orders": legs}),
        Sample(
            "cancel",
            "/api/webhook",
            {
                "group_name": group["group_name"],
                "token": group["token"],
                "order_type": "CANCEL_ALL_ORDER",
                "symbol": "BTCUSDT",
            },
        ),
        Sample(
            "paper",
            "/api/webhook",
            {"symbol": "AAPL", "side": "buy", "qty": 10, "price": 185.50},
            {"X-Webhook-Token": environment["TRADEHOOK_PAPER_TOKEN"]},
        ),
    ]


def main() -> None:
    """Sends the signals one by one and prints a table."""
    place = LocalStackPaths.here()
    if not place.stack_env.exists():
        sys.exit("The stack is not running: `make up` starts it.")
    environment = read_stack_env(place)
    table = Table(
        "variant", "route", "answer", "ms", "orders", title="One signal of each variant", title_justify="left"
    )
    for sample in samples(environment):
        table.add_row(*_sent(environment, sample))
    Console().print(table)


def _sent(environment: Mapping[str, str], sample: Sample) -> tuple[str, str, str, str, str]:
    began = time.monotonic()
    body = {"data": sample.body} if isinstance(sample.body, str) else {"json": sample.body}
    # A new key per run, so that a second run trades again and is no duplicate.
    headers = {**sample.headers, "Idempotency-Key": f"demo-{time.time_ns()}"}
    answer = requests.post(
        environment["TRADEHOOK_URL"] + sample.path, headers=headers, timeout=_TIMEOUT_S, **body
    )
    took = (time.monotonic() - began) * 1000
    signal_id = answer.headers.get("X-Signal-Id")
    orders = _orders(environment, signal_id) if signal_id else answer.json().get("error", "")
    path = sample.path if len(sample.path) < 20 else "/personal/…/webhook"
    return sample.name, path, str(answer.status_code), f"{took:.0f}", orders


def _orders(environment: Mapping[str, str], signal_id: str) -> str:
    """Returns the state of a signal's orders after the signal has settled."""
    headers = {"Authorization": f"Bearer {environment['TRADEHOOK_ADMIN_TOKEN']}"}
    until = time.monotonic() + _PATIENCE_S
    while True:
        trace = requests.get(
            f"{environment['TRADEHOOK_URL']}/signals/{signal_id}", headers=headers, timeout=_TIMEOUT_S
        ).json()
        if trace.get("status") == "settled" or time.monotonic() > until:
            break
        time.sleep(0.1)
    cancelled = sum(int(execution.get("cancelled", 0)) for execution in trace.get("executions", []))
    lines = [
        f"{order['status']:<9} {order['side']} {order['quantity']} {order['symbol']} "
        f"at {order['average_price'] or order['price']}"
        for order in trace.get("orders", [])
    ]
    return "\n".join([*lines, *([f"{cancelled} cancelled"] if cancelled else [])]) or "none"


if __name__ == "__main__":
    main()
