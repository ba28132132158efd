"""One TradingView alert on its way to the fill, step by step with times; then whatever else happens, as it happens."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
from rich.console import Console

_PATIENCE_S = 20.0

console = Console(highlight=False)


async def show(environment: Mapping[str, str]) -> None:
    """Sends the alert, follows it, and then streams events until cancelled.

    Args:
        environment: What `stack.env` says.
    """
    url, token = environment["TRADEHOOK_URL"], environment.get("TRADEHOOK_USER_TOKEN", "")
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{environment['TRADEHOOK_WS_URL']}?token={token}") as events:
        began = time.monotonic()
        # The seed's own example; its user is the one for whom no token is asked.
        alert = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "price": "50000"}
        console.print(f"\n[bold]An alert[/]: POST {url}/api/webhook {json.dumps(alert)}")
        async with session.post(f"{url}/api/webhook", json=alert) as answer:
            text = await answer.text()
        _said(began, f"answered {answer.status} {_short(text)}")
        signal = _signal_id(text)
        if signal:
            await _follow(session, f"{url}/signals/{signal}", token, began, events)
        console.print("\n[bold]Live events[/] [dim](Ctrl-C ends everything and keeps the state)[/]")
        async for message in events:
            _event(message.data)


async def _follow(session: aiohttp.ClientSession, url: str, token: str, began: float, events: aiohttp.ClientWebSocketResponse) -> None:
    """Shows each state of the signal, and each event, until the signal is done."""

    async def listen() -> None:
        async for message in events:
            _said(began, f"event    {_short(message.data)}")

    listening = asyncio.create_task(listen())
    try:
        status = ""
        while time.monotonic() - began < _PATIENCE_S and status not in {"filled", "completed", "failed", "rejected", "done"}:
            async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                body = await answer.json()
            if answer.status != 200:
                _said(began, f"GET {url}: {answer.status} {_short(json.dumps(body))}")
                break
            if body.get("status") != status:
                status = body.get("status", "")
                _said(began, f"signal   {status}")
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)  # its events come right behind it
    finally:
        listening.cancel()


def _signal_id(text: str) -> str:
    try:
        body: Any = json.loads(text)
    except ValueError:
        return ""
    return str(body.get("signal_id") or body.get("id") or "") if isinstance(body, dict) else ""


def _event(data: str) -> None:
    console.print(f"  [dim]{time.strftime('%H:%M:%S')}[/] {_short(data)}")


def _said(began: float, what: str) -> None:
    console.print(f"  [cyan]{(time.monotonic() - began) * 1000:6.0f} ms[/]  {what}", markup=True)


def _short(text: str) -> str:
    flat = " ".join(text.split()).replace("[", "\\[")
    return flat if len(flat) <= 200 else f"{flat[:199]}…"
