"""The systemd unit, and what it runs."""

import os
import shutil
import subprocess
import sys
import time
from configparser import ConfigParser
from dataclasses import replace

import pytest

from infra.local import __main__ as command_line
from infra.local import process
from infra.local.log_rotation import KEPT, rotate_logs
from infra.local.paths import LocalStackPaths
from infra.local.process import ProcessError
from infra.stack import ROOT

UNIT = ROOT / "infra" / "local" / "tradehook.service"


@pytest.fixture
def place(tmp_path):
    """A stack's directory."""
    return replace(LocalStackPaths.here({}), directory=tmp_path)


def test_the_unit_runs_what_there_is():
    """Its target of make, its module and its command exist, and it restarts what has ended."""
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(UNIT)
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert service["ExecStartPre"] == "/usr/bin/make venv"
    assert "\nvenv: $(STAMP)" in (ROOT / "Makefile").read_text()
    assert service["ExecStart"].endswith("/.venv/bin/python -m infra.local serve")
    shown = subprocess.run(
        [sys.executable, "-m", "infra.local", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "serve" in shown.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path):
    """No unknown key and no bad value. The paths are of this checkout, because systemd looks for them."""
    text = UNIT.read_text().replace("/opt/tradehook/.venv/bin/python", sys.executable)
    text = text.replace("/opt/tradehook", str(ROOT)).replace("User=tradehook", "User=root")
    unit = tmp_path / "tradehook.service"
    unit.write_text(text.replace("/usr/bin/make", shutil.which("make") or ""))
    found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "tradehook.service" not in found.stderr, found.stderr


def test_serve_ends_with_an_error_when_a_part_has_ended(place, monkeypatch):
    """The service manager then starts it again. What is left is stopped first, so that nothing runs twice."""
    alive, stopped = iter([True, True, False]), []
    monkeypatch.setattr(command_line, "_WATCHED_EVERY_S", 0)
    monkeypatch.setattr(command_line, "up", lambda _: place)
    monkeypatch.setattr(command_line, "running", lambda _: next(alive))
    monkeypatch.setattr(command_line, "down", stopped.append)
    monkeypatch.setattr(command_line.signal, "signal", lambda *_: None)
    with pytest.raises(ProcessError, match="has ended"):
        command_line._serve(place)
    assert stopped == [place]


def test_a_large_log_is_rotated_under_its_writer(place):
    """The process goes on writing at the new end, and the oldest file is dropped."""
    program = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"
    pid_file, log = place.directory / "writer.pid", place.log("writer")
    process.start([sys.executable, "-c", program], pid_file, log, os.environ, ROOT)
    try:
        for _ in range(KEPT + 2):
            until = time.monotonic() + 10
            while log.stat().st_size <= 5_000 and time.monotonic() < until:
                time.sleep(0.01)
            assert rotate_logs(place, 5_000) == [log]
        until = time.monotonic() + 10
        while not log.stat().st_size and time.monotonic() < until:
            time.sleep(0.01)
        assert log.read_bytes()[:1] == b"x"  # no hole of zeros before it
    finally:
        process.stop(pid_file, kill=True)
    older = sorted(path.name for path in place.directory.glob("writer.log.*"))
    assert older == [f"writer.log.{number}" for number in range(1, KEPT + 1)]
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.directory.glob("writer.log*"))


def test_a_small_log_stays(place):
    """Below the limit nothing is copied."""
    place.log("cloud").write_text("a line\n")
    assert rotate_logs(place) == []
    assert place.log("cloud").read_text() == "a line\n"
