"""`tradehook tail`: live events over the WebSocket."""

import json
import time
from fnmatch import fnmatchcase
from typing import Annotated, Any
from urllib.parse import quote, urlsplit, urlunsplit

import typer
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tradehook.client import Client, Failed, of

_PING_EVERY_S = 30  # API Gateway closes a connection after ten silent minutes
_RETRY_S = (1, 2, 5, 10, 30)


def tail(
    context: typer.Context,
    only: Annotated[str, typer.Option("--type", help="Such as order.* or user.created.")] = "*",
    after: Annotated[int | None, typer.Option(help="Replay the events after this sequence first.")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Stop after this number of events.")] = None,
    ws_url: Annotated[
        str | None, typer.Option(envvar="TRADEHOOK_WS_URL", help="By default /ws under the API's URL.")
    ] = None,
) -> None:
    """Prints live events and resumes after a broken connection. Ends with Ctrl-C."""
    client = of(context)
    listener = _Listener(client, ws_url or _default_url(client.url), only, most, after)
    try:
        listener.run()
    except KeyboardInterrupt:
        return


class _Listener:
    """Follows one stream, over several connections if needed.

    Attributes:
        last: The sequence of the last event, where a new connection resumes. None before the first.
    """

    def __init__(self, client: Client, url: str, only: str, most: int | None, after: int | None) -> None:
        self.client, self.url, self.only, self.most, self.last = client, url, only, most, after
        self.seen = 0

    def run(self) -> None:
        failures = 0
        while not self._enough():
            try:
                with connect(f"{self.url}?token={quote(self.client.token)}", open_timeout=10) as socket:
                    failures = 0
                    self._follow(socket)
            except InvalidStatus as refused:
                raise Failed(
                    {
                        "error": f"Refused with HTTP {refused.response.status_code}: is the token right?",
                        "code": "refused",
                    }
                ) from None
            except (OSError, ConnectionClosed, InvalidHandshake):
                if failures == len(_RETRY_S):
                    # The library's own words may hold the URL with the token.
                    raise Failed({"error": "No connection to the WebSocket", "code": "no_answer"}) from None
                time.sleep(_RETRY_S[failures])
                failures += 1

    def _follow(self, socket: ClientConnection) -> None:
        if self.last is not None:
            socket.send(json.dumps({"type": "resume", "after": self.last}))
        while not self._enough():
            try:
                message = json.loads(socket.recv(timeout=_PING_EVERY_S))
            except TimeoutError:
                socket.send(json.dumps({"type": "ping"}))
                continue
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        if "sequence" in message:
            self.last = int(message["sequence"])
        if "payload" not in message or not fnmatchcase(message.get("type", ""), self.only):
            return
        self.seen += 1
        payload = json.dumps(message["payload"], ensure_ascii=False)
        place = f"{message.get('timestamp', '')}  {message.get('sequence', '')!s:>6}"
        line = f"{place}  {message['type']:<22}  {payload}"
        self.client.output.text(line, message)

    def _enough(self) -> bool:
        return self.most is not None and self.seen >= self.most


def _default_url(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(("wss" if parts.scheme == "https" else "ws", parts.netloc, "/ws", "", ""))
