"""`make doctor`: what is wrong, and what to do."""

import socket
import time

from infra.local import doctor, state_store
from infra.local.paths import LocalStackPaths


def findings(tmp_path, port=1, **environ):
    place = LocalStackPaths.here({"TRADEHOOK_LOCAL_DIR": str(tmp_path), "PORT": str(port)} | environ)
    return place, {found.name: found for found in doctor.examine(place)}


def test_an_empty_directory_lacks_a_backup_only(tmp_path):
    """Ports are free, no state is there yet, Telegram is the stand-in."""
    _, found = findings(tmp_path)
    assert [each.name for each in found.values() if not each.good] == ["backup"]


def test_a_taken_port_is_named(tmp_path):
    """With the setting that moves it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        _, found = findings(tmp_path, port)
    assert not found[f"port {port}"].good
    assert "PORT" in found[f"port {port}"].text


def test_the_state_and_the_clock(tmp_path, monkeypatch):
    """The age of the last change, a clock that went back, a damaged file."""
    place, _ = findings(tmp_path)
    store = state_store.StateStore(place.state / state_store.FILE)
    store.adopted()
    store.close()
    assert findings(tmp_path)[1]["state"].text == "last saved 0 seconds ago, the cloud is stopped"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 7300)
    assert "2 hours in the future" in findings(tmp_path)[1]["clock"].text
    (place.state / "state.db.damaged-1").touch()
    assert not findings(tmp_path)[1]["state"].good


def test_another_bot_needs_a_token(tmp_path):
    """The stand-in's token is none."""
    api = {"TRADEHOOK_TELEGRAM_API": "https://api.telegram.org"}
    assert not findings(tmp_path, **api)[1]["telegram"].good
    assert findings(tmp_path, **api, TRADEHOOK_TELEGRAM_BOT_TOKEN="1:a")[1]["telegram"].good
