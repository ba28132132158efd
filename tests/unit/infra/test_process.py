"""Background processes: found, stopped, and never mistaken for another."""

import os
import sys

import pytest

from infra.local import process

pytestmark = pytest.mark.cloud


def start(tmp_path, code):
    process.start(
        [sys.executable, "-c", code], tmp_path / "it.pid", tmp_path / "it.log", dict(os.environ), tmp_path
    )


def test_a_process_is_found_and_stopped(tmp_path):
    """It runs until it is stopped; stopping it twice does nothing."""
    start(tmp_path, "import time; time.sleep(60)")
    pid = process.running(tmp_path / "it.pid")
    assert pid
    os.kill(pid, 0)
    assert process.stop(tmp_path / "it.pid", within_s=10)
    assert not process.stop(tmp_path / "it.pid")


def test_it_is_started_once(tmp_path):
    """A second start is refused."""
    start(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(process.ProcessError):
        start(tmp_path, "pass")
    process.stop(tmp_path / "it.pid", within_s=10)


def test_a_stale_pid_file_is_nobody(tmp_path):
    """A pid left behind may belong to a stranger by now: without the lock it counts for nothing."""
    (tmp_path / "it.pid").write_text(str(os.getpid()))
    assert process.running(tmp_path / "it.pid") is None
    assert not process.stop(tmp_path / "it.pid")


def test_one_that_does_not_listen_is_killed(tmp_path):
    """SIGTERM first; what ignores it is ended all the same."""
    start(
        tmp_path,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('up', flush=True); time.sleep(60)",
    )
    while "up" not in (tmp_path / "it.log").read_text():
        pass
    assert process.stop(tmp_path / "it.pid", within_s=0.2)
