"""Shows one TradingView alert from request to fill, step by step with times.

Then shows every further event.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
from rich.console import Console

_PATIENCE_S = 20.0
ALERT = {"ticker": "AAPL", "action": "buy", "contracts": 100, "price": 185.50}
"""The paper seed's own example, in TradingView's spelling."""

console = Console(highlight=False)


async def show(environment: Mapping[str, str]) -> None:
    """Sends the alert, follows it, and then streams events until cancelled.

    Args:
        environment: The variables of `stack.env`.
    """
    url, token = environment["TRADEHOOK_URL"], environment["TRADEHOOK_ADMIN_TOKEN"]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{environment['TRADEHOOK_WS_URL']}?token={token}") as events,
    ):
        await events.receive_json(timeout=_PATIENCE_S)
        await _send(session, environment, events)
        console.print(
            f"\n[bold]Live events[/] [dim]({url}/dashboard shows them too; "
            "Ctrl-C stops everything and keeps the state)[/]"
        )
        async for message in events:
            _event(json.loads(message.data))


async def _send(
    session: aiohttp.ClientSession, environment: Mapping[str, str], events: aiohttp.ClientWebSocketResponse
) -> None:
    """Shows the alert, its answer and its events, until the order has filled."""
    alert = ALERT | {"alert_id": f"example-{time.time_ns()}"}  # so that a second start is no duplicate
    headers = {"X-Webhook-Token": environment["TRADEHOOK_PAPER_TOKEN"]}
    console.print(
        f"\n[bold]An alert[/]  POST {environment['TRADEHOOK_URL']}/api/webhook  {json.dumps(alert)}"
    )
    began = time.monotonic()

    async def answered() -> str:
        async with session.post(
            f"{environment['TRADEHOOK_URL']}/api/webhook", json=alert, headers=headers
        ) as answer:
            body = await answer.json()
            _print_step(
                began,
                f"answered {answer.status}",
                _fill(body) if "order" in body else json.dumps(body, ensure_ascii=False),
            )
            return answer.headers.get("X-Signal-Id", "")

    sending = asyncio.create_task(answered())
    heard: list[Any] = []
    while time.monotonic() - began < _PATIENCE_S:
        message = await events.receive_json(timeout=_PATIENCE_S)
        heard.append(message)
        _print_step(began, message["type"], _event_text(message))
        if message["type"] in ("order.filled", "signal.refused"):
            break
    await sending


def _fill(body: dict[str, Any]) -> str:
    order, simulation = body["order"], body["simulation"]
    return (
        f"{order['side']} {order['filled_qty']} {order['symbol']} at {order['exec_price']}, "
        f"commission {simulation['commission']}, total {simulation['total_cost']}"
    )


def _event_text(message: dict[str, Any]) -> str:
    payload = message.get("payload", {})
    shown = (
        "symbol",
        "action",
        "side",
        "status",
        "filled",
        "average_price",
        "value",
        "account_id",
        "signal_id",
    )
    text = ", ".join(f"{name} {payload[name]}" for name in shown if payload.get(name) is not None)
    return f"#{message['sequence']}  {text}" if "sequence" in message else text


def _event(message: dict[str, Any]) -> None:
    console.print(
        f"  [dim]{time.strftime('%H:%M:%S')}[/]  [cyan]{message['type']:<18}[/] {_event_text(message)}"
    )


def _print_step(began: float, what: str, more: str) -> None:
    console.print(f"  [dim]{(time.monotonic() - began) * 1000:6.0f} ms[/]  [cyan]{what:<18}[/] {more}")
