"""Background processes that are found again, and stopped without ever hitting a stranger.

A process holds a lock on its pid file for as long as it lives; the kernel releases it however it dies. So a
pid is trusted only while its file is locked.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# Our own children, kept so that they can be buried when they have ended.
_children: dict[Path, subprocess.Popen[bytes]] = {}


_MASK = 0o077  # state, logs and keys are this user's own


class ProcessError(Exception):
    """A process did not start, or did not stop."""


def start(
    command: Sequence[str], pid_file: Path, log: Path, environment: Mapping[str, str], directory: Path
) -> None:
    """Starts the command in a session of its own, so that Ctrl-C reaches it only through us."""
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
                pass_fds=[locked.fileno()],  # the lock is the open file's, and so becomes the process's
            )
        locked.truncate(0)
        locked.write(str(started.pid))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def running(pid_file: Path) -> int | None:
    """The process's id if it is alive."""
    with suppress(FileNotFoundError), pid_file.open() as locked:
        try:
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(locked.read() or 0) or None
    return None


def stop(pid_file: Path, within_s: float = 60, *, kill: bool = False) -> bool:
    """Asks the process to end and waits until it has; forces it when it does not.

    False if it was not running.

    Args:
        pid_file: The process's.
        within_s: How long it may take.
        kill: Whether not to ask at all.
    """
    pid = running(pid_file)
    if pid is None:
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
    """The end of a log."""
    with suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""
