"""The public address of a local stack behind a tunnel or a proxy: `public.json` in its directory.

While the file exists, the front door answers to its host too, takes the client's address from the proxy's
header, and nobody sends signals without a token.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

UNKNOWN = "0.0.0.0"  # nosec B104 - compared, nothing binds to it
"""The address of a client behind a proxy that this stack does not know. It is on no list of addresses."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "cf-connecting-ip", "true-client-ip", "via")


@dataclass(frozen=True)
class PublicAddress:
    """Where the stack can be reached from outside.

    Attributes:
        url: An `https` URL without a path.
        header: The header, in lower case, in which the proxy names the client. Of several addresses the last
            counts, because the proxy adds that one itself.
        program: The tunnel's program. None for a proxy of the user's own.
    """

    url: str
    header: str
    program: str | None = None

    @property
    def host(self) -> str:
        """The host, with the port if the URL has one, as in a `Host` header."""
        return urlsplit(self.url).netloc.lower()

    @property
    def ws_url(self) -> str:
        """The WebSocket's URL."""
        return f"wss://{self.host}/ws"

    def save(self, file: Path) -> None:
        """Writes the file."""
        unfinished = file.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.replace(file)


def load(file: Path) -> PublicAddress | None:
    """Returns the public address in a file. None without the file."""
    try:
        return PublicAddress(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None


class PublicAddressFile:
    """The public address, read again after every change of its file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._address: PublicAddress | None = None

    @property
    def current(self) -> PublicAddress | None:
        """The public address. None if the stack has none."""
        try:
            status = self._file.stat()
        except FileNotFoundError:
            self._seen, self._address = None, None
            return None
        if self._seen != (status.st_mtime_ns, status.st_ino):
            self._address = load(self._file)
            self._seen = (status.st_mtime_ns, status.st_ino)
        return self._address


def client_address(headers: Mapping[str, str], remote: str, public: PublicAddress | None) -> str:
    """Returns the client's address.

    It is the connection's own unless a proxy has forwarded the request. Then it is the one in the header of
    the known proxy, or `UNKNOWN`. Never a loopback address: nobody behind a proxy is on this machine.

    Args:
        headers: The request's headers, with names in lower case.
        remote: The address of the connection.
        public: The public address. None if the stack has none.
    """
    is_public = public is not None and headers.get("host", "").lower() == public.host
    if not is_public and not any(name in headers for name in _FORWARDED):
        return remote
    named = headers.get(public.header, "").rpartition(",")[2].strip() if public else ""
    try:
        address = ip_address(named)
    except ValueError:
        return UNKNOWN
    mapped = getattr(address, "ipv4_mapped", None)
    return UNKNOWN if address.is_loopback or (mapped and mapped.is_loopback) else str(address)
