"""What keeps the local stack from working, or from being relied on: one line for each check."""

import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from infra.local import backup, cloud, process
from infra.local.paths import HOST, LocalStackPaths
from infra.local.state_store import FILE, age

_LEAST_FREE_BYTES = 1_000_000_000
_OLDEST_BACKUP_S = 86_400.0


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: What was checked.
        good: False if the user has something to do.
        text: What was found, and what to do.
    """

    name: str
    good: bool
    text: str


def examine(place: LocalStackPaths) -> Iterator[Finding]:
    """Yields what each check found."""
    yield _port(place, "front_door", place.port)
    yield _port(place, "cloud", place.cloud_port)
    yield _disk(place)
    yield _state(place)
    yield _backup(place)
    yield _telegram(place)


def _port(place: LocalStackPaths, name: str, port: int) -> Finding:
    if process.running(place.directory / f"{name}.pid"):
        return Finding(f"port {port}", True, f"used by this stack's {name}")
    with socket.socket() as probe:
        taken = probe.connect_ex((HOST, port)) == 0
    return Finding(
        f"port {port}", not taken, "taken by another process: choose another PORT" if taken else "free"
    )


def _disk(place: LocalStackPaths) -> Finding:
    nearest = next(path for path in (place.directory, *place.directory.parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    return Finding("disk", free >= _LEAST_FREE_BYTES, f"{free / 1e9:.1f} GB free at {nearest}")


def _state(place: LocalStackPaths) -> Finding:
    """Also tells whether the clock went back."""
    file = place.state / FILE
    damaged = sorted(path.name for path in place.state.glob(f"{FILE}.damaged-*"))
    if damaged:
        return Finding("state", False, f"a damaged file is kept in {place.state}: {damaged[-1]}")
    if not file.exists():
        return Finding("state", True, "none yet")
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'saved_at'").fetchone()
    except sqlite3.Error as problem:
        return Finding("state", False, f"{file} cannot be read: {problem}")
    seconds = time.time() - float(row[0] if row else 0)
    if seconds < -1:
        return Finding("clock", False, f"the state was saved {age(-seconds)} in the future: set the clock")
    running = "running" if cloud.running(place) else "stopped"
    return Finding("state", True, f"last saved {age(seconds)} ago, the cloud is {running}")


def _backup(place: LocalStackPaths) -> Finding:
    newest = backup.latest(place)
    if newest is None:
        return Finding("backup", False, "none: `make backup`")
    seconds = time.time() - newest.stat().st_mtime
    return Finding("backup", seconds < _OLDEST_BACKUP_S, f"{age(seconds)} old: {newest}")


def _telegram(place: LocalStackPaths) -> Finding:
    if place.telegram_port:
        return Finding("telegram", True, "a stand-in on this machine, no message leaves it")
    token = place.environment.get("TRADEHOOK_TELEGRAM_BOT_TOKEN", "")
    good = ":" in token and not token.startswith("local:")
    return Finding(
        "telegram",
        good,
        "a bot token is set" if good else "TRADEHOOK_TELEGRAM_BOT_TOKEN is not a bot's token",
    )
