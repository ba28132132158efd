"""A stand-in for Telegram's Bot API on loopback, which shows the sent messages.

`python -m infra.local.telegram_standin PORT`.

GET  /            the sent messages as a page, newest first
GET  /messages    the same as JSON, oldest first; `?chat_id=` filters
POST /faults      the next faults: {"status": 429, "retry_after": 5, "times": 2, "chat_id": 1, "delay_s": 0.5}
POST /bot{token}/sendMessage, getMe, setWebhook, deleteWebhook, with the answers of the real API
"""

import asyncio
import html
import sys
import time
from collections import deque
from typing import Any

from aiohttp import web

from infra.local import loopback_guard

_KEPT = 1000
_LONGEST = 4096
_WORDS = {
    400: "Bad Request: chat not found",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    429: "Too Many Requests: retry after {retry_after}",
    500: "Internal Server Error",
    502: "Bad Gateway",
}


class StandIn:
    """The bot API's state: sent messages and planned faults.

    Attributes:
        sent: Messages as the real API returns them, with their arrival time as `date`.
        attempts: Calls of sendMessage by chat, failed ones included.
        faults: Each applies `times` times, to one chat or, without `chat_id`, to any.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.sent: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.attempts: list[int] = []
        self.faults: list[dict[str, Any]] = []

    def app(self) -> web.Application:
        """Returns the HTTP application."""
        app = web.Application(middlewares=[_own_pages_only])
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/messages", self._messages),
                web.post("/faults", self._add_fault),
                web.route("*", "/bot{token}/{method}", self._call),
            ]
        )
        return app

    async def _call(self, request: web.Request) -> web.Response:
        if self.token is not None and request.match_info["token"] != self.token:
            return _failed(401, "Unauthorized")
        values = await _values(request)
        match request.match_info["method"].lower():
            case "sendmessage":
                return await self._send(values)
            case "getme":
                return _done(
                    {"id": 1, "is_bot": True, "first_name": "tradehook", "username": "tradehook_bot"}
                )
            case "setwebhook" | "deletewebhook":
                return _done(True)
            case _:
                return _failed(404, "Not Found")

    async def _send(self, values: dict[str, Any]) -> web.Response:
        try:
            chat_id = int(values.get("chat_id", ""))
        except (TypeError, ValueError):
            return _failed(400, "Bad Request: chat_id is empty")
        text = values.get("text")
        if not isinstance(text, str) or not text.strip():
            return _failed(400, "Bad Request: message text is empty")
        if len(text) > _LONGEST:
            return _failed(400, "Bad Request: message is too long")
        self.attempts.append(chat_id)
        fault = self._fault(chat_id)
        if fault:
            await asyncio.sleep(float(fault.get("delay_s", 0)))
            if "status" in fault:
                return _fault_answer(fault)
        number = self.sent[-1]["message_id"] + 1 if self.sent else 1
        message = {
            "message_id": number,
            "date": int(time.time()),
            "chat": {"id": chat_id, "type": "private"},
            "text": text,
        }
        self.sent.append(message)
        return _done(message)

    def _fault(self, chat_id: int) -> dict[str, Any] | None:
        """Returns the next fault for a chat and uses it up once."""
        for fault in self.faults:
            if fault.get("chat_id", chat_id) == chat_id:
                fault["times"] = int(fault.get("times", 1)) - 1
                if fault["times"] <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    async def _add_fault(self, request: web.Request) -> web.Response:
        self.faults.append(await request.json())
        return web.json_response({"faults": self.faults})

    async def _messages(self, request: web.Request) -> web.Response:
        wanted = request.query.get("chat_id")
        items = [
            {
                "message_id": message["message_id"],
                "chat_id": message["chat"]["id"],
                "text": message["text"],
                "date": message["date"],
            }
            for message in self.sent
            if wanted is None or str(message["chat"]["id"]) == wanted
        ]
        return web.json_response({"items": items, "total": len(items)})

    async def _page(self, _request: web.Request) -> web.Response:
        rows = "".join(
            f"<article><small>chat {message['chat']['id']} · "
            f"{time.strftime('%H:%M:%S', time.localtime(message['date']))}</small>"
            f"<pre>{html.escape(message['text'])}</pre></article>"
            for message in reversed(self.sent)
        )
        return web.Response(
            text=_PAGE.replace("{rows}", rows or "<p>No messages yet.</p>"), content_type="text/html"
        )


@web.middleware
async def _own_pages_only(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refuses requests from pages of other sites, and requests for another host."""
    listening = request.transport.get_extra_info("sockname") if request.transport else None
    allowed = loopback_guard.hosts(*([listening[1]] if listening else []))
    headers = {name.lower(): value for name, value in request.headers.items()}
    if loopback_guard.foreign_host(headers, allowed):
        return _failed(403, "Forbidden: foreign host")
    if request.method not in loopback_guard.READS and loopback_guard.foreign_origin(headers, allowed):
        return _failed(403, "Forbidden: foreign origin")
    answer: web.StreamResponse = await handler(request)
    return answer


async def _values(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        body = await request.json()
        return body if isinstance(body, dict) else {}
    return {**request.query, **(await request.post())}


def _done(result: Any) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _failed(status: int, description: str, **parameters: int) -> web.Response:
    body = {"ok": False, "error_code": status, "description": description} | (
        {"parameters": parameters} if parameters else {}
    )
    return web.json_response(body, status=status)


def _fault_answer(fault: dict[str, Any]) -> web.Response:
    status, retry_after = int(fault["status"]), int(fault.get("retry_after", 1))
    description = fault.get("description") or _WORDS.get(status, "Error").format(retry_after=retry_after)
    return _failed(status, description, **({"retry_after": retry_after} if status == 429 else {}))


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5"><title>Telegram stand-in</title>
<style>body{font:16px/1.4 system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
article{border:1px solid #8884;border-radius:.6rem;padding:.6rem 1rem;margin:.6rem 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;margin:.2rem 0}</style>
<h1>What the bot sent</h1>{rows}</html>"""


def main() -> None:
    """Serves on 127.0.0.1 until it is stopped."""
    # No access log: the bot's token is part of each URL.
    web.run_app(
        StandIn().app(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=lambda *_: None
    )


if __name__ == "__main__":
    main()
