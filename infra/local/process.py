"""Background processes that can be found and stopped safely.

A process holds a lock on its pid file while it lives, and the kernel releases the lock at its end. A pid is
trusted only while its file is locked, so no other process is ever stopped.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# Our own children, kept so that they can be waited for after their end.
_children: dict[Path, subprocess.Popen[bytes]] = {}


_MASK = 0o077  # state, logs and keys are private to this user


class ProcessError(Exception):
    """A process did not start, or did not stop."""


def start(
    command: Sequence[str], pid_file: Path, log: Path, environment: Mapping[str, str], directory: Path
) -> None:
    """Starts the command in its own session, so that Ctrl-C reaches it only through this process."""
    pid_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pid_file.parent.chmod(0o700)
    with pid_file.open("a+") as locked:
        try:
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProcessError(f"{pid_file.stem} is running already") from None
        with open(log, "wb", opener=_private) as output:
            started = _children[pid_file] = subprocess.Popen(
                command,
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=_MASK,
                pass_fds=[locked.fileno()],  # the lock belongs to the open file, and so passes to the process
            )
        locked.truncate(0)
        locked.write(str(started.pid))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_APPEND, 0o600)  # a rotated log continues at its new end


def running(pid_file: Path) -> int | None:
    """Returns the process's id if it is alive, else None."""
    with suppress(FileNotFoundError), pid_file.open() as locked:
        try:
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(locked.read() or 0) or None
    return None


def stop(pid_file: Path, within_s: float = 60, *, kill: bool = False) -> bool:
    """Asks the process to end and waits. Kills it after the limit.

    Returns False if it was not running.

    Args:
        pid_file: The process's pid file.
        within_s: The limit in seconds.
        kill: Kill at once.
    """
    pid = running(pid_file)
    if pid is None:
        if child := _children.pop(pid_file, None):
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=5)  # it ended on its own
        pid_file.unlink(missing_ok=True)
        return False
    for wanted, patience in ((signal.SIGTERM, within_s), (signal.SIGKILL, 5.0))[kill:]:
        with suppress(ProcessLookupError):
            os.kill(pid, wanted)
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if running(pid_file) is None:
                if child := _children.pop(pid_file, None):
                    child.wait()
                pid_file.unlink(missing_ok=True)
                return True
            time.sleep(0.02)
    raise ProcessError(f"process {pid} ({pid_file.stem}) does not end")


def tail(log: Path, lines: int = 15) -> str:
    """Returns the end of a log."""
    with suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""
