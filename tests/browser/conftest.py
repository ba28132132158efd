"""What the browser tests need of the machine: node with the packages of `package.json`, and Chromium."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import stack  # noqa: F401 - the stack that the dashboard is looked at on

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the test packages in place."""
    found = shutil.which("node")
    if not found:
        pytest.skip("node is not installed: apt-get install nodejs npm")
    if not (HERE / "node_modules" / "ws").is_dir():
        npm = shutil.which("npm")
        done = (
            subprocess.run(
                [npm, "ci", "--no-fund", "--no-audit"], cwd=HERE, capture_output=True, text=True, check=False
            )
            if npm
            else None
        )
        if done is None or done.returncode:
            reason = done.stderr[-500:] if done else "npm is missing"
            pytest.skip(f"the packages of tests/browser/package.json could not be installed: {reason}")
    return found


@pytest.fixture(scope="session")
def chromium() -> str:
    """Chromium; where we may, it is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update"], capture_output=True, check=False)
        subprocess.run(
            ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
            capture_output=True,
            check=False,
        )
        found = shutil.which("chromium")
    if not found:
        pytest.skip("Chromium is not installed, and could not be: apt-get install chromium")
    return found
