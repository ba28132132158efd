"""Only locked packages are installed.

Every package has the hashes of its files, and so have the dashboard's libraries.
"""

import hashlib
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.stack import ROOT

PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(.*)$", re.MULTILINE)


def pinned(name: str) -> dict[str, str]:
    """The direct pins of a file of requirements, with those it includes."""
    found: dict[str, str] = {}
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= pinned(line[3:].strip())
        elif line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize(
    "name", ["requirements", "requirements-dev", "requirements-checkov", "requirements-docs"]
)
def test_each_lock_holds_its_pins_with_hashes(name: str) -> None:
    """A pin that was changed without `make lock` shows here, and so does a package without a hash."""
    text = (ROOT / f"{name}.lock").read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", text)
    locked = {canonicalize_name(found.group(1)): found.group(2) for found in PIN.finditer(text)}
    assert pinned(f"{name}.txt").items() <= locked.items()
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_make_installs_from_the_locks_only() -> None:
    """Neither uv nor pip installs a file that the lock does not know."""
    installs = [
        line
        for line in (ROOT / "Makefile").read_text().splitlines()
        if "pip install" in line and " -r " in line
    ]
    assert len(installs) == 6
    assert all("--require-hashes" in line and ".lock" in line for line in installs)


def test_vendored_libraries_are_unchanged() -> None:
    """Every file of `web/vendor` has its checksum and is unchanged."""
    vendor = ROOT / "web" / "vendor"
    listed = dict(line.split(maxsplit=1)[::-1] for line in (vendor / "SHA256SUMS").read_text().splitlines())
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert found == listed
