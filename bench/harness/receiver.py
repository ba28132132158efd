"""A receiver of webhooks with the least possible cost: `python -m bench.harness.receiver`.

Prints its port and answers every POST with 200.
"""

import asyncio

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'


class _Receiver(asyncio.Protocol):
    """One connection, kept open: a request is its headers and a body of their length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            _, _, length = self._received[:end].lower().partition(b"content-length:")
            whole = end + 4 + int(length.split(b"\r\n", 1)[0])
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._transport.write(_ANSWER)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
