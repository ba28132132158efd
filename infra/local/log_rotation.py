"""Keeps the logs of a stack that runs for months small."""

import os
import shutil
from pathlib import Path

from infra.local.paths import LocalStackPaths

LIMIT_BYTES = 50_000_000
KEPT = 3
"""How many older files each log has: `cloud.log.1` is the newest."""


def rotate_logs(place: LocalStackPaths, limit_bytes: int = LIMIT_BYTES) -> list[Path]:
    """Rotates each log above the limit. Returns the rotated logs.

    The processes keep their files open and append to them, so the content is copied and the file emptied.
    Lines written between the two are lost.
    """
    large = [log for log in sorted(place.directory.glob("*.log")) if log.stat().st_size > limit_bytes]
    for log in large:
        for number in range(KEPT, 1, -1):
            older = log.with_name(f"{log.name}.{number - 1}")
            if older.exists():
                older.replace(log.with_name(f"{log.name}.{number}"))
        newest = log.with_name(f"{log.name}.1")
        newest.touch(mode=0o600)
        shutil.copyfile(log, newest)
        os.truncate(log, 0)
    return large
