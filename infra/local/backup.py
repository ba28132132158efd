"""Backups of the local cloud's state, taken while it runs, and their restoration."""

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from infra.local import cloud
from infra.local.paths import LocalStackPaths
from infra.local.state_store import FILE

_BLOBS = "lambda-blobs"
_PART = ".part"


class BackupError(Exception):
    """There is nothing to back up, or the backup cannot be restored."""


def directory(place: LocalStackPaths) -> Path:
    """Returns where the backups are."""
    return place.directory / "backups"


def latest(place: LocalStackPaths) -> Path | None:
    """Returns the newest complete backup. None if there is none."""
    found = sorted(path for path in directory(place).glob("*") if path.suffix != _PART)
    return found[-1] if found else None


def back_up(place: LocalStackPaths) -> Path:
    """Copies the state, consistent as of one moment, and checks the copy.

    Returns:
        The backup's directory. It holds secrets: only its owner can read it.

    Raises:
        BackupError: There is no state, or the copy is damaged.
    """
    source = place.state / FILE
    if not source.exists():
        raise BackupError(f"there is no state at {source}: `make up` creates one")
    made = directory(place) / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    while made.exists():
        made = made.with_name(made.name + "x")
    part = made.with_name(made.name + _PART)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    os.close(os.open(part / FILE, os.O_CREAT | os.O_WRONLY, 0o600))
    try:
        with closing(sqlite3.connect(source)) as running, closing(sqlite3.connect(part / FILE)) as copied:
            running.backup(copied)
            copied.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it
    except sqlite3.Error as problem:
        raise BackupError(f"the state cannot be copied: {problem}") from problem
    _check(part)
    with suppress(FileNotFoundError):  # a cloud that runs adds code, and removes none
        shutil.copytree(place.state / _BLOBS, part / _BLOBS)
    with suppress(FileNotFoundError):
        shutil.copy2(place.stack_env, part)
    part.rename(made)
    return made


def restore(place: LocalStackPaths, backup: Path | None = None) -> tuple[Path, Path | None]:
    """Puts a backup in place of the state. The replaced state is kept under another name.

    Args:
        place: Where.
        backup: The backup's directory. None takes the newest.

    Returns:
        The restored backup, and where the replaced state is. None if there was none.

    Raises:
        BackupError: The cloud is running, or there is no such backup, or it is damaged.
    """
    if cloud.running(place):
        raise BackupError("the local cloud is running: `make down` first")
    chosen = backup or latest(place)
    if chosen is None or not (chosen / FILE).exists():
        raise BackupError(f"there is no backup at {chosen or directory(place)}")
    _check(chosen)
    unfinished = place.state.with_name("state.restoring")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(chosen, unfinished, ignore=shutil.ignore_patterns(place.stack_env.name))
    unfinished.chmod(0o700)
    replaced = None
    if place.state.exists():
        replaced = place.state.with_name(f"state.replaced-{time.strftime('%Y%m%dT%H%M%S')}")
        while replaced.exists():
            replaced = replaced.with_name(replaced.name + "x")
        place.state.rename(replaced)
    unfinished.rename(place.state)
    with suppress(FileNotFoundError):
        shutil.copy2(chosen / place.stack_env.name, place.stack_env)
    return chosen, replaced


def _check(backup: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{backup / FILE}?mode=ro", uri=True)) as copied:
            found = copied.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as problem:
        found = str(problem)
    if found != "ok":
        raise BackupError(f"{backup} is damaged: {found}")
