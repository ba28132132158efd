"""WebSocket connections through the front door: the cloud's consent first, then messages both ways."""

import asyncio
from contextlib import suppress

import aiohttp
from aiohttp import WSMsgType, web
from multidict import CIMultiDict
from yarl import URL

_ABNORMAL = 1006  # the code of a closure without a close frame; it may not be sent
_GOING_AWAY = 1001
# API Gateway closes a connection with 1009 over a larger message
# (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html).
_LARGEST_MESSAGE = 128 * 1024 + 1  # aiohttp closes at this size, not above it


async def pass_through(
    request: web.Request, session: aiohttp.ClientSession, url: URL, headers: CIMultiDict[str]
) -> web.StreamResponse:
    """Connects the client to the cloud's WebSocket API. Answers 403 if `$connect` refuses."""
    protocols = [
        name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()
    ]
    try:
        inner = await session.ws_connect(url, headers=headers, protocols=protocols, max_msg_size=0)
    except aiohttp.WSServerHandshakeError as refused:
        status = refused.status if 400 <= refused.status < 500 else 502
        code, error = (
            ("forbidden", "The token or ticket does not open a connection")
            if status == 403
            else ("bad_gateway", "The connection failed")
        )
        return web.json_response({"error": error, "code": code}, status=status)
    async with inner:
        outer = web.WebSocketResponse(
            protocols=[inner.protocol] if inner.protocol else (), max_msg_size=_LARGEST_MESSAGE
        )
        await outer.prepare(request)
        inward = asyncio.create_task(_pump(outer, inner))
        outward = asyncio.create_task(_pump(inner, outer))
        try:
            await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (inward, outward):
                task.cancel()
            closed = outer.close_code if inward.done() and not outward.done() else inner.close_code
            closing = _GOING_AWAY if closed is None or closed == _ABNORMAL else closed
            with suppress(ConnectionError, RuntimeError):
                await asyncio.gather(inner.close(code=closing), outer.close(code=closing))
        return outer


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    """Passes messages on until the source closes."""
    async for message in source:
        with suppress(ConnectionError):
            if message.type is WSMsgType.TEXT:
                await target.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await target.send_bytes(message.data)
