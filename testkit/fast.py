"""Marks pure tests: they need no emulated cloud, no server and no other process.

`make fast` runs only these.
"""

import inspect
import re
import socket
import subprocess
from functools import cache
from http.server import HTTPServer
from typing import Any

import pytest

_ENTERS = re.compile(r"\bemulated\(|\b_shared_server\(|telegram_api\.running\(")


def mark(items: list[pytest.Item]) -> None:
    """Marks the tests that are not pure with `cloud`."""
    for item in items:
        if isinstance(item, pytest.Function) and _needs_more_than_itself(item):
            item.add_marker(pytest.mark.cloud)


def forbid(patch: pytest.MonkeyPatch) -> None:
    """Makes a pure test fail if it calls a server or starts a process, so that the marks stay right."""

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("this test is not pure: mark it with pytest.mark.cloud")

    patch.setattr(socket.socket, "connect", refuse)
    patch.setattr(socket.socket, "bind", refuse)
    patch.setattr(subprocess.Popen, "__init__", refuse)


def _needs_more_than_itself(item: pytest.Function) -> bool:
    definitions = item._fixtureinfo.name2fixturedefs
    fixtures = [
        definition.func for name in item.fixturenames for definition in definitions.get(name, ())[-1:]
    ]
    return any(map(_enters, [item.function, *fixtures])) or _imports_the_outside(item.module)


@cache
def _enters(function: Any) -> bool:
    return bool(_ENTERS.search(inspect.getsource(function)))


@cache
def _imports_the_outside(module: Any) -> bool:
    return any(
        value is socket or value is subprocess or (inspect.isclass(value) and issubclass(value, HTTPServer))
        for value in vars(module).values()
    )
