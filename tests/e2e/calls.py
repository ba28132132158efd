"""What the end-to-end tests do at the front door, as a sender and a dashboard would."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import requests

from tests.e2e.conftest import Running

TIMEOUT_S = 60


def post(stack: Running, path: str, json: Any = None, **more: Any) -> requests.Response:
    """A webhook."""
    return requests.post(f"{stack.url}{path}", json=json, timeout=TIMEOUT_S, **more)


def get(stack: Running, path: str, token: str = "TRADEHOOK_ADMIN_TOKEN", **more: Any) -> requests.Response:
    """An API call with one of the demo tokens."""
    return requests.get(
        f"{stack.url}{path}",
        headers={"Authorization": f"Bearer {stack.env[token]}"},
        timeout=TIMEOUT_S,
        **more,
    )


def paper(stack: Running, json: dict[str, Any], **more: Any) -> requests.Response:
    """A paper signal with the demo user's token."""
    return post(
        stack, "/api/webhook", json, headers={"X-Webhook-Token": stack.env["TRADEHOOK_PAPER_TOKEN"], **more}
    )


def eventually(check: Callable[[], Any], within_s: float = 60) -> Any:
    """What `check` gives, once it gives something; polled, because the cloud works in its own time."""
    until = time.monotonic() + within_s
    while True:
        found = check()
        if found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def settled(stack: Running, signal_id: str, token: str = "TRADEHOOK_USER_TOKEN") -> dict[str, Any]:
    """A signal's trace, once it has settled."""

    def look() -> dict[str, Any] | None:
        trace = get(stack, f"/signals/{signal_id}", token).json()
        return trace if trace.get("status") == "settled" else None

    trace = eventually(look)
    assert trace, f"signal {signal_id} has not settled"
    return trace


def heard(
    stack: Running,
    token: str,
    say: list[dict[str, Any]],
    until: Callable[[list[Any]], bool],
    act: Callable[[], Any],
) -> list[Any]:
    """Everything a WebSocket client hears.

    It connects, says something, something happens, and it listens until it has heard enough.
    """

    async def listen() -> list[Any]:
        messages: list[Any] = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{stack.ws_url}?token={stack.env[token]}") as socket,
        ):
            messages.append(await socket.receive_json(timeout=TIMEOUT_S))
            for message in say:
                await socket.send_json(message)
            await asyncio.to_thread(act)
            while not until(messages):
                messages.append(await socket.receive_json(timeout=TIMEOUT_S))
        return messages

    return asyncio.run(listen())
