"""What all tests share: the functions' grants, enforced."""

from collections.abc import Iterator
from typing import Any

import pytest

from testkit import fast
from testkit.grants import Grants

# Grants whose calls are made only where unit tests do not come, and what makes them there.
ELSEWHERE: dict[tuple[str, str, str], str] = {}

grants = Grants()
_collected: dict[tuple[str, str, str], str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--grants`: the run is a whole one, so a grant that was not used is one too many."""
    parser.addoption(
        "--grants",
        action="store_true",
        help="fail if a grant of infra/stack.yaml is used by no test; tell which test uses which",
    )
    parser.addoption(
        "--fast",
        action="store_true",
        help="run only the tests that need no emulated cloud, no server and no other process",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks impure tests. With `--fast`, deselects them."""
    fast.mark(items)
    if config.getoption("--fast"):
        left_out = [item for item in items if item.get_closest_marker("cloud")]
        items[:] = [item for item in items if not item.get_closest_marker("cloud")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def _pure(request: pytest.FixtureRequest) -> Iterator[None]:
    """With `--fast`, no test gets out of this process."""
    with pytest.MonkeyPatch.context() as patch:
        if request.config.getoption("--fast"):
            fast.forbid(patch)
        yield


def pytest_sessionstart() -> None:
    """Enforces the grants from the beginning."""
    grants.install()


@pytest.fixture(autouse=True)
def granted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every call that a function makes to AWS is one that infra/stack.yaml grants it."""
    grants.test = request.node.nodeid
    grants.denied.clear()
    yield
    assert not grants.denied


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Passes the uses to the process that sums them. Without one, or in that process, judges them."""
    output = getattr(session.config, "workeroutput", None)
    uses = [[*use, test] for use, test in grants.used.items()]
    if output is not None:
        output["grants"] = uses
        return
    _add(uses)
    if session.config.getoption("--grants") and _unused():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended."""
    _add(getattr(node, "workeroutput", {}).get("grants", []))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Which test needs which grant, and which grants none does."""
    if not config.getoption("--grants"):
        return
    terminalreporter.section("grants")
    unused = _unused()
    for use in unused:
        terminalreporter.line(f"NOT USED BY ANY TEST: {' '.join(use)}", red=True)
    if unused:
        terminalreporter.line("Take these out of infra/stack.yaml, or test what needs them.", red=True)
    if config.getoption("verbose") >= 0:  # `-v`, since pyproject.toml says `-q`
        for use, test in sorted(_collected.items()):
            terminalreporter.line(f"{' '.join(use)}: {test}")
    terminalreporter.line(
        f"{len(_collected)} of {len(grants.granted)} grants are each used by a test that fails without it"
    )


def _add(uses: list[list[str]]) -> None:
    for function, resource, action, test in uses:
        _collected.setdefault((function, resource, action), test)


def _unused() -> list[tuple[str, str, str]]:
    return sorted(grants.granted - _collected.keys() - ELSEWHERE.keys())
