"""The local cloud's state on disk: one SQLite file, one writer thread, group commit.

The emulated cloud notes each change in memory. The writer thread takes all noted changes at once and commits
them in one transaction, so that calls that arrive together share one fsync. The file is in WAL mode with
`synchronous=FULL`: a committed change survives a killed process and a power cut.

The cloud's interpreter gets a copy of this file, so it needs the standard library only.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

SWITCH = "TRADEHOOK_LOCAL_DURABLE"
"""`0` in the cloud's environment: answers do not wait for the disk. For measurements only."""

FILE = "state.db"
MARK = "local state: "
"""Begins the lines of the cloud's log that are for the user."""

FORMAT = 1
"""Version of the tables below, kept as `PRAGMA user_version`."""

SET_SERVICE = "INSERT OR REPLACE INTO services VALUES (?, ?)"
SET_ITEM = "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)"
DROP_ITEM = "DELETE FROM items WHERE owner = ? AND hash = ? AND sort = ?"
DROP_TABLE = "DELETE FROM items WHERE owner = ?"
SET_MESSAGE = "INSERT OR REPLACE INTO messages (owner, id, message) VALUES (?, ?, ?)"
DROP_MESSAGE = "DELETE FROM messages WHERE owner = ? AND id = ?"
DROP_MESSAGES = "DELETE FROM messages WHERE owner = ?"
SET_SEQUENCE = "INSERT OR REPLACE INTO sequences VALUES (?, ?)"
DROP_SEQUENCE = "DELETE FROM sequences WHERE owner = ?"
SET_TOKEN = "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)"
DROP_TOKENS = "DELETE FROM tokens WHERE owner = ?"

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE services (name TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE items (owner TEXT, hash TEXT, sort TEXT, item TEXT NOT NULL, PRIMARY KEY (owner, hash, sort));
CREATE TABLE messages (position INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT, id TEXT, message TEXT NOT NULL,
    UNIQUE (owner, id));
CREATE TABLE sequences (owner TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (owner TEXT, token TEXT, expires REAL, value TEXT NOT NULL, PRIMARY KEY (owner, token));
"""
_TEXTS = (("services", "state"), ("items", "item"), ("messages", "message"), ("tokens", "value"))
_PURGE_TOKENS = "DELETE FROM tokens WHERE expires < ?"
_PURGE_EVERY_S = 60.0
_UNASKED_S = 0.1  # a change that no answer waits for is written within this time
_RETRY_S = 0.25
_FILES = ("", "-wal", "-shm")
_WAL_HEADER, _FRAME_HEADER = 32, 24

P = ParamSpec("P")
R = TypeVar("R")
Change = tuple[str, tuple[Any, ...]]


class StateError(Exception):
    """The state cannot be read by this version, or cannot be written."""


class StateStore:
    """Keeps every noted change in a SQLite file.

    Attributes:
        messages: What the start found, one sentence each.
        fresh: Whether no start with this file has been completed. Then an earlier version's files count.
        commits: Number of transactions written since the start.

    Args:
        path: The SQLite file. Its directory is created.
        address: `host:port` of the cloud. Stored URLs follow when it has changed.

    Raises:
        StateError: A newer version wrote the file. The file stays as it is.
    """

    def __init__(self, path: Path, address: str = "") -> None:
        self.messages: list[str] = []
        self.commits = 0
        self._path = path
        self._wake = threading.Condition()
        self._changes: list[Change] = []
        self._noted = self._kept = 0  # changes since the start, and how many of them are on disk
        self._waiting: list[tuple[int, Callable[[BaseException | None], None]]] = []
        self._closing = False
        self._unit = threading.local()
        self._purge_at = 0.0
        self._db = self._open()
        self.fresh = self._prepare(address)
        self._writer = threading.Thread(target=self._write_on, name="state-writer", daemon=True)
        self._writer.start()

    # Reading, at the start

    def service(self, name: str) -> str | None:
        """Returns the state of a service as JSON. None if there is none."""
        row = self._db.execute("SELECT state FROM services WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def items(self) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """Yields table, hash key, sort key and item of every item."""
        for owner, hash_key, sort_key, item in self._db.execute("SELECT * FROM items"):
            yield owner, json.loads(hash_key), json.loads(sort_key), json.loads(item)

    def queued(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields queue and message, oldest first."""
        for owner, message in self._db.execute("SELECT owner, message FROM messages ORDER BY position"):
            yield owner, json.loads(message)

    def sequences(self) -> dict[str, int]:
        """Returns the last sequence number of each FIFO queue and topic."""
        return dict(self._db.execute("SELECT owner, value FROM sequences").fetchall())

    def tokens(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yields owner, id and value of every deduplication id that has not expired."""
        found = "SELECT owner, token, value FROM tokens WHERE expires > ? ORDER BY expires"
        for owner, token, value in self._db.execute(found, (time.time(),)):
            yield owner, json.loads(token), json.loads(value)

    # Writing

    def note(self, statement: str, *values: Any) -> None:
        """Notes a change. A dict or list is stored as JSON and must not change afterwards."""
        if getattr(self._unit, "depth", 0):
            self._unit.changes.append((statement, values))
            return
        with self._wake:
            self._changes.append((statement, values))
            self._noted += 1

    def atomic(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorates a function: all changes that one call notes reach the disk together or not at all."""

        @wraps(function)
        def calling(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._together():
                return function(*args, **kwargs)

        return calling

    @contextmanager
    def _together(self) -> Iterator[None]:
        unit = self._unit
        unit.depth = getattr(unit, "depth", 0) + 1
        if unit.depth == 1:
            unit.changes = []
        try:
            yield
        finally:
            unit.depth -= 1
            if not unit.depth and unit.changes:
                with self._wake:
                    self._changes += unit.changes
                    self._noted += len(unit.changes)

    async def commit(self) -> None:
        """Waits until every change noted so far is on disk.

        Raises:
            StateError: It cannot be written. The change stays noted and is tried again.
        """
        with self._wake:
            if self._kept >= self._noted:
                return
            loop = asyncio.get_running_loop()
            done = loop.create_future()

            def settle(error: BaseException | None) -> None:
                with suppress(RuntimeError):  # the loop is closed: no answer waits any more
                    loop.call_soon_threadsafe(_settle, done, error)

            self._waiting.append((self._noted, settle))
            self._wake.notify()
        await done

    def flush(self) -> None:
        """Waits, outside an event loop, until every change noted so far is on disk."""
        done = threading.Event()
        failed: list[BaseException] = []

        def settle(error: BaseException | None) -> None:
            failed.extend([error] if error else [])
            done.set()

        with self._wake:
            if self._kept >= self._noted:
                return
            self._waiting.append((self._noted, settle))
            self._wake.notify()
        done.wait()
        if failed:
            raise failed[0]

    def close(self) -> None:
        """Writes what is left and folds the WAL into the file."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._writer.join()
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def adopted(self) -> None:
        """Ends the first start: from now on the file is the state."""
        self.note("INSERT OR REPLACE INTO meta VALUES ('adopted', 1)")
        self.flush()

    def _write_on(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closing, _UNASKED_S)
                changes, self._changes = self._changes, []
                waiting, self._waiting = self._waiting, []
                upto, closing = self._noted, self._closing
            error = self._write(changes) if changes else None
            with self._wake:
                if error:
                    self._changes[:0] = changes  # tried again with the next ones
                else:
                    self._kept = upto
            for _, settle in waiting:
                settle(error)
            if error:
                print(f"{MARK}{error}", flush=True)
                time.sleep(_RETRY_S)
            if closing:
                return

    def _write(self, changes: list[Change]) -> StateError | None:
        now = time.time()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for statement, values in changes:
                self._db.execute(statement, [_stored(value) for value in values])
            if now > self._purge_at:
                self._purge_at = now + _PURGE_EVERY_S
                self._db.execute(_PURGE_TOKENS, (now,))
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('saved_at', ?)", (now,))
            self._db.execute("COMMIT")
        except (sqlite3.Error, TypeError, ValueError, OverflowError) as problem:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            return StateError(f"a change could not be written to {self._path}: {problem}")
        self.commits += 1
        return None

    # Opening

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._path.exists():
            damage = self._damage()
            if not damage:
                self._report_torn_wal()
                return self._connected(self._path)
            self._set_aside(damage)
        os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
        return self._connected(self._path)

    def _damage(self) -> str | None:
        """Returns what is wrong with the file. None if nothing is.

        Checks a copy: closing a database folds its WAL into it, and a damaged file stays as it is.
        """
        if not self._path.stat().st_size:
            return "the file is empty"
        with tempfile.TemporaryDirectory(dir=self._path.parent, prefix="checking-") as place:
            for end in _FILES[:2]:
                with suppress(FileNotFoundError):
                    shutil.copyfile(self._path.with_name(self._path.name + end), Path(place, FILE + end))
            try:
                with closing(self._connected(Path(place, FILE))) as db:
                    version = db.execute("PRAGMA user_version").fetchone()[0]
                    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            except sqlite3.DatabaseError as problem:
                return str(problem)
        if version > FORMAT:
            raise StateError(
                f"{self._path} has format {version}, and this version reads up to {FORMAT}. "
                "Update tradehook, or start with RESET=1 to forget the state."
            )
        if not version:
            return "it holds nothing"
        return None if found == "ok" else str(found)

    @staticmethod
    def _connected(path: Path) -> sqlite3.Connection:
        # After the start, the writer thread alone uses the connection.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            for setting in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
                db.execute(f"PRAGMA {setting}")
        except BaseException:
            db.close()
            raise
        return db

    def _report_torn_wal(self) -> None:
        """Says that the last write was cut off. SQLite drops it, together with what follows it."""
        wal = self._path.with_name(self._path.name + "-wal")
        size = wal.stat().st_size if wal.exists() else 0
        if not size:
            return
        header = _head(wal)
        page = struct.unpack(">I", header[8:12])[0] if len(header) == _WAL_HEADER else 0
        if not page or (size - _WAL_HEADER) % (page + _FRAME_HEADER):
            self.messages.append(
                f"the last write to {wal.name} was cut off and is dropped. "
                "Nothing acknowledged is lost, unless the disk lost what it had confirmed."
            )

    def _set_aside(self, problem: str) -> None:
        """Renames the damaged files. Nothing writes to them any more."""
        aside = self._path.with_name(f"{self._path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        while aside.exists():
            aside = aside.with_name(aside.name + "x")
        for end in _FILES:
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + end).rename(aside.with_name(aside.name + end))
        self.messages.append(
            f"the saved state is damaged ({problem}). It was renamed to {aside.name} and is kept. "
            "The cloud starts empty. Restore a backup, or go on without the old state."
        )

    def _prepare(self, address: str) -> bool:
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
            self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a lost WAL must not look like a first start
        meta = dict(self._db.execute("SELECT name, value FROM meta").fetchall())
        self._db.execute("BEGIN IMMEDIATE")
        before = meta.get("address", address)
        if before != address:  # queue URLs hold the port
            for table, column in _TEXTS:
                self._db.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (before, address))
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('address', ?)", (address,))
        self._db.execute("COMMIT")
        for end in _FILES:
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + end).chmod(0o600)
        if "adopted" in meta:
            self.messages.append(self._found(float(meta["saved_at"])))
        return "adopted" not in meta

    def _found(self, saved_at: float) -> str:
        counted = [
            f"{self._db.execute(f'SELECT count(*) FROM {table}').fetchone()[0]:,} {table}"
            for table in ("items", "messages")
        ]
        seconds = time.time() - saved_at
        if seconds < -1:
            return f"found {' and '.join(counted)}, saved {age(-seconds)} in the future: check the clock"
        return f"found {' and '.join(counted)}, last saved {age(seconds)} ago"


def age(seconds: float) -> str:
    """Returns a duration for people, in its largest unit."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"


def key(value: Any) -> str:
    """Returns a key attribute or token as it is stored. JSON keeps characters that SQLite refuses."""
    return json.dumps(value)


def _stored(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_WAL_HEADER)


def _settle(done: "asyncio.Future[None]", error: BaseException | None) -> None:
    if done.done():
        return
    if error:
        done.set_exception(error)
    else:
        done.set_result(None)
