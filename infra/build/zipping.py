"""Reproducible zips and bytecode: the same input gives the same bytes."""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold
_MODE = 0o100644 << 16

_COMPILE = """
import compileall, py_compile, sys
ok = compileall.compile_dir(
    sys.argv[1], maxlevels=50, quiet=1, force=True, stripdir=sys.argv[1], prependdir="/var/task",
    workers=int(sys.argv[2]),
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
sys.exit(not ok)
"""


class BuildError(Exception):
    """The artifact cannot be built."""


def digest(data: bytes) -> str:
    """Returns SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def files_of(directory: Path) -> dict[str, Path]:
    """Returns every file under the directory, by its relative path."""
    return {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}


def compile_tree(directory: Path) -> None:
    """Writes the bytecode of every module.

    The bytecode is valid for any date of the source, and names the module's path in Lambda.

    Raises:
        BuildError: A module does not compile.
    """
    # A separate process with a fixed hash seed: bytecode holds sets in the order of their hashes.
    command = [sys.executable, "-I", "-c", _COMPILE, str(directory), str(os.cpu_count() or 1)]
    done = subprocess.run(command, env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"A module does not compile:\n{done.stdout}{done.stderr}")


def write(
    archive: Path, files: Mapping[str, Path], *, onto: Path | None = None, compressed: bool = True
) -> None:
    """Writes the files into a zip, sorted, after the entries of the zip `onto`.

    Args:
        compressed: Off for the local cloud, which unpacks the zip at every cold start.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    archive.write_bytes(onto.read_bytes() if onto else b"")
    with zipfile.ZipFile(archive, "a" if onto else "w", method, compresslevel=6) as output:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = method
            entry.create_system = 3
            entry.external_attr = _MODE
            output.writestr(entry, files[name].read_bytes())


def unpacked_size(archive: Path) -> int:
    """Returns the unpacked size of a zip in bytes."""
    with zipfile.ZipFile(archive) as content:
        return sum(entry.file_size for entry in content.infolist())


def fingerprint(words: Iterable[str], files: Mapping[str, Path]) -> str:
    """Returns one digest of all words, and of all files with their names."""
    total = hashlib.sha256("\0".join(words).encode())
    for name in sorted(files):
        total.update(f"\0{name}\0".encode())
        total.update(files[name].read_bytes())
    return total.hexdigest()
