"""A one-time link that opens the dashboard of the local cloud signed in.

The code stands in the link's fragment, which no browser sends and no server logs. Only its hash is stored,
for ten minutes, and its first use removes it. The front door exchanges it for the admin's token, for this
machine alone: `/_local/sign-in` is no route of the API.
"""

import hashlib
import hmac
import json
import os
import secrets
import time
from pathlib import Path

from infra.local.paths import LocalStackPaths
from infra.local.stack_env import read_stack_env

PATH = "/_local/sign-in"
GOOD_FOR_S = 600.0
_TOKEN = "TRADEHOOK_ADMIN_TOKEN"


def make_link(place: LocalStackPaths) -> str:
    """Returns a new link, with this machine's URL whatever the public one is. An earlier link is void."""
    code = secrets.token_urlsafe(32)
    file = _file(place)
    unfinished = file.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps({"hash": _digest(code), "ends": time.time() + GOOD_FOR_S}))
    unfinished.replace(file)
    return f"{place.url}/dashboard#sign-in={code}"


def redeem(place: LocalStackPaths, code: str) -> str | None:
    """Returns the admin's token for the code of the newest link, once. None for any other code."""
    file = _file(place)
    try:
        stored = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    if not hmac.compare_digest(stored["hash"], _digest(code)):
        return None
    used = file.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    try:
        file.rename(used)  # one of several requests at once succeeds
    except FileNotFoundError:
        return None
    used.unlink()
    return read_stack_env(place).get(_TOKEN) if time.time() < stored["ends"] else None


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _file(place: LocalStackPaths) -> Path:
    return place.directory / "sign_in.json"
