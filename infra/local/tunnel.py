"""Makes a local stack reachable from outside: `TUNNEL=cloudflared`, `TUNNEL=ngrok` or `PUBLIC_URL=https://…`."""

import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from infra.local import process
from infra.local.paths import HOST, LocalStackPaths
from infra.local.public_address import PublicAddress, load
from infra.stack import ROOT

_OPENS_WITHIN_S = 40.0


@dataclass(frozen=True)
class _Program:
    """A tunnel's program.

    Attributes:
        arguments: Its command line, with `{target}` for the front door's address.
        url: Finds the public URL in its log.
        header: The header in which its service names the client.
    """

    arguments: tuple[str, ...]
    url: re.Pattern[str]
    header: str


_PROGRAMS = {
    # https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/do-more-with-tunnels/trycloudflare
    "cloudflared": _Program(
        ("tunnel", "--no-autoupdate", "--url", "http://{target}"),
        re.compile(r"(https://(?!api\.)[a-z0-9-]+\.trycloudflare\.com)\b"),
        "cf-connecting-ip",
    ),
    # https://ngrok.com/docs/agent/cli
    "ngrok": _Program(
        ("http", "{target}", "--log", "stdout", "--log-format", "logfmt"),
        re.compile(r"\burl=(https://[^\s/]+)"),
        "x-forwarded-for",
    ),
}


def open_public(place: LocalStackPaths, environ: Mapping[str, str] = os.environ) -> LocalStackPaths:
    """Gives the stack the public address that `TUNNEL` or `PUBLIC_URL` asks for. Without them, takes it away.

    Returns the stack's paths with the address. Signals without a token are off while there is one.

    Raises:
        ProcessError: The program is unknown, not installed or does not open a tunnel. Or the URL is not one.
    """
    program, url = environ.get("TUNNEL", ""), environ.get("PUBLIC_URL", "")
    if program and url:
        raise process.ProcessError("TUNNEL and PUBLIC_URL exclude each other: set one of them")
    if not program and not url:
        close_public(place)
        return place
    address = _tunnel(place, program) if program else PublicAddress(_checked(url), "x-forwarded-for")
    if url:
        process.stop(_pid_file(place), within_s=5)
    address.save(place.public_address)
    return replace(place, public=address, environment={**place.environment, "TRADEHOOK_TOKENLESS": "off"})


def close_public(place: LocalStackPaths) -> None:
    """Ends the tunnel. The front door answers to this machine alone."""
    process.stop(_pid_file(place), within_s=5)
    place.public_address.unlink(missing_ok=True)


def _tunnel(place: LocalStackPaths, name: str) -> PublicAddress:
    """Returns the address of a running tunnel, which keeps its URL, or of a new one."""
    if name not in _PROGRAMS:
        raise process.ProcessError(f"TUNNEL={name} is not known: {' or '.join(_PROGRAMS)}")
    earlier = load(place.public_address)
    if earlier and earlier.program == name and process.running(_pid_file(place)):
        return earlier
    process.stop(_pid_file(place), within_s=5)
    command = shutil.which(name)
    if command is None:
        raise process.ProcessError(f"{name} is not installed, or not on the PATH")
    program = _PROGRAMS[name]
    arguments = [each.format(target=f"{HOST}:{place.port}") for each in program.arguments]
    # Without our settings and keys: the program needs none of them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRADEHOOK_")}
    process.start([command, *arguments], _pid_file(place), place.log("tunnel"), environment, ROOT)
    return PublicAddress(_wait_for_url(place, program), program.header, name)


def _wait_for_url(place: LocalStackPaths, program: _Program) -> str:
    log = place.log("tunnel")
    until = time.monotonic() + _OPENS_WITHIN_S
    while time.monotonic() < until:
        if found := program.url.search(log.read_text(errors="replace")):
            return found.group(1).lower()
        if not process.running(_pid_file(place)):
            break
        time.sleep(0.05)
    process.stop(_pid_file(place), within_s=5)
    raise process.ProcessError(f"the tunnel does not open; {log} ends with:\n{process.tail(log)}")


def _checked(url: str) -> str:
    """Returns the URL without a final slash. Raises ProcessError if it is no `https` URL of a host alone."""
    parts = urlsplit(url)
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme != "https" or not parts.hostname or not plain:
        raise process.ProcessError(f"PUBLIC_URL={url} is not of the form https://host")
    return url.rstrip("/").lower()


def _pid_file(place: LocalStackPaths) -> Path:
    return place.directory / "tunnel.pid"
