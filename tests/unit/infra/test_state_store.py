"""The local cloud's state file: group commit, refusals, and what the start says about what it finds."""

import asyncio
import os
import sqlite3
import stat
import threading
import time

import pytest

from infra.local import state_store
from infra.local.state_store import StateError, StateStore, age


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "state.db"


def put(store, name, value="v"):
    store.note(
        state_store.SET_ITEM, "t", state_store.key(name), state_store.key("-"), {"value": {"S": value}}
    )


def reopened(store, file, **options):
    store.adopted()
    store.close()
    return StateStore(file, **options)


def test_changes_are_there_after_a_restart(file):
    """Items, messages in order, numbers, tokens that have not expired; not what was dropped."""
    store = StateStore(file)
    put(store, "kept")
    put(store, "dropped")
    put(store, "\ud800 odd")
    store.note(state_store.DROP_ITEM, "t", state_store.key("dropped"), state_store.key("-"))
    for each in "bca":
        store.note(state_store.SET_MESSAGE, "q", each, {"id": each})
    store.note(state_store.DROP_MESSAGE, "q", "c")
    store.note(state_store.SET_SEQUENCE, "q", 7)
    store.note(state_store.SET_TOKEN, "q", state_store.key("new"), time.time() + 60, {})
    store.note(state_store.SET_TOKEN, "q", state_store.key("old"), time.time() - 1, {})
    store.note(state_store.SET_SERVICE, "sns", "{}")
    store = reopened(store, file)
    assert {hash_key for _, hash_key, _, _ in store.items()} == {"kept", "\ud800 odd"}
    assert [message["id"] for _, message in store.queued()] == ["b", "a"]
    assert (store.sequences(), store.service("sns"), store.service("sqs")) == ({"q": 7}, "{}", None)
    assert [token for _, token, _ in store.tokens()] == ["new"]
    assert store.messages == ["found 2 items and 2 messages, last saved 0 seconds ago"]
    store.close()


def test_simultaneous_calls_share_transactions(file):
    """A hundred callers at once need a handful of commits, and each waits for its own change."""
    store = StateStore(file)

    async def call(number):
        put(store, str(number))
        await store.commit()

    async def calls():
        await asyncio.gather(*(call(number) for number in range(100)))

    before = store.commits
    asyncio.run(calls())
    assert store.commits - before <= 5
    assert len(list(store.items())) == 100
    store.close()


def test_nothing_waits_when_nothing_changed(file):
    """Neither a commit nor a writer is needed."""
    store = StateStore(file)
    before = store.commits
    asyncio.run(store.commit())
    store.flush()
    assert store.commits == before
    store.close()


def test_a_change_that_no_answer_waits_for_is_written_soon(file):
    """Within a moment, by the writer's own clock."""
    store = StateStore(file)
    put(store, "1")
    until = time.monotonic() + 5
    while not list(store.items()) and time.monotonic() < until:
        time.sleep(0.02)
    assert list(store.items())
    store.close()


def test_a_unit_is_written_whole(file):
    """The writer takes none of its changes before the last one, even if another caller waits."""
    store = StateStore(file)
    inside, go_on = threading.Event(), threading.Event()

    @store.atomic
    def both():
        put(store, "1")
        inside.set()
        go_on.wait(5)
        put(store, "2")

    thread = threading.Thread(target=both)
    thread.start()
    inside.wait(5)
    put(store, "other")
    store.flush()
    assert [hash_key for _, hash_key, _, _ in store.items()] == ["other"]
    go_on.set()
    thread.join()
    store.flush()
    assert len(list(store.items())) == 3
    store.close()


def test_a_failed_write_is_reported_and_tried_again(file, capfd):
    """The answer fails, the change stays noted, and the next commit writes it."""
    store = StateStore(file)
    put(store, "1")
    store.flush()
    other = sqlite3.connect(file, isolation_level=None)
    store._db.execute("PRAGMA busy_timeout = 10")
    other.execute("BEGIN IMMEDIATE")
    put(store, "2")
    with pytest.raises(StateError, match="could not be written"):
        asyncio.run(store.commit())
    other.execute("ROLLBACK")
    other.close()
    store.flush()
    assert len(list(store.items())) == 2
    assert "could not be written" in capfd.readouterr().out
    store.close()


def test_only_the_owner_can_read_it(file):
    """The directory and each of the three files, whatever the umask is."""
    usual = os.umask(0)
    try:
        store = StateStore(file)
        put(store, "1")
        store.flush()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    finally:
        os.umask(usual)
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    store.close()


def test_a_file_of_a_newer_version_is_refused_and_left_alone(file):
    """The message says what to do."""
    store = StateStore(file)
    store._db.execute(f"PRAGMA user_version = {state_store.FORMAT + 1}")
    store.close()
    before = file.read_bytes()
    with pytest.raises(StateError, match="RESET=1"):
        StateStore(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["state.db"]


@pytest.mark.parametrize("damage", ["short", "garbage", "empty", "text"])
def test_a_damaged_file_is_set_aside_and_kept(file, damage):
    """Its bytes are unchanged under the new name, and the cloud starts empty."""
    store = StateStore(file)
    for number in range(500):
        put(store, str(number), "x" * 200)
    store.adopted()
    store.close()
    content = file.read_bytes()
    middle = len(content) // 2
    content = {
        "short": content[: middle + 100],
        "garbage": content[:4096] + os.urandom(middle) + content[4096 + middle :],
        "empty": b"",
        "text": b"hello" * 1000,
    }[damage]
    file.write_bytes(content)
    store = StateStore(file)
    assert store.fresh
    assert "is damaged" in store.messages[0]
    [aside] = file.parent.glob("state.db.damaged-*")
    assert aside.read_bytes() == content
    assert aside.name in store.messages[0]
    assert not list(store.items())
    store.close()


@pytest.mark.parametrize("cut", [1, 500, 4095])
def test_a_torn_last_write_is_dropped_with_a_message(file, cut):
    """What was written before it is there."""
    store = StateStore(file)
    store.adopted()
    for number in range(10):
        put(store, str(number))
        store.flush()
    crashed = file.parent / "crashed"
    crashed.mkdir()
    for end in ("", "-wal"):
        (crashed / f"state.db{end}").write_bytes(file.with_name(f"state.db{end}").read_bytes())
    store.close()
    wal = crashed / "state.db-wal"
    os.truncate(wal, wal.stat().st_size - cut)
    store = StateStore(crashed / "state.db")
    assert "was cut off and is dropped" in store.messages[0]
    assert len(list(store.items())) == 9
    assert not store.fresh
    store.close()


def test_stored_addresses_follow_the_port(file):
    """Queue URLs hold the port."""
    store = StateStore(file, address="127.0.0.1:1")
    store.note(state_store.SET_MESSAGE, "q", "1", {"id": "1", "body": "http://127.0.0.1:1/x"})
    store = reopened(store, file, address="127.0.0.1:2")
    assert [message["body"] for _, message in store.queued()] == ["http://127.0.0.1:2/x"]
    store.close()


def test_a_clock_that_went_back_is_noticed(file, monkeypatch):
    """Deduplication and retention go by the clock."""
    store = StateStore(file)
    store.adopted()
    store.close()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 7300)
    store = StateStore(file)
    assert store.messages == ["found 0 items and 0 messages, saved 2 hours in the future: check the clock"]
    store.close()


def test_ages():
    """In their largest unit."""
    assert [age(each) for each in (-1, 5, 130, 7200, 200_000)] == [
        *("0 seconds", "5 seconds", "2 minutes", "2 hours", "2 days")
    ]
