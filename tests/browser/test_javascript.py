"""Runs the tests that are written in JavaScript, like the code under test."""

import os
import subprocess

import pytest

from infra.local.sign_in import make_link
from tests.browser.conftest import HERE


def test_client(node):
    """The JavaScript client delivers every event once and in order, whatever is lost, repeated or cut off."""
    _run(node, "client.test.mjs")


def test_exits(node):
    """The alert builder's exits are fields that the webhooks read."""
    _run(node, "exits.test.mjs")


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_dashboard(node, chromium, stack):
    """In a real browser the dashboard shows a signal within a second, its trace, halts, replays, and speaks
    Arabic.
    """
    link = make_link(stack.place)
    _run(node, "dashboard.test.mjs", stack.env | {"CHROMIUM": chromium, "SIGN_IN_LINK": link})


@pytest.mark.e2e
def test_reference(node, chromium, stack):
    """In a real browser `/docs` shows every operation with samples, within its content policy."""
    _run(node, "reference.test.mjs", stack.env | {"CHROMIUM": chromium})


@pytest.mark.e2e
def test_seeds(node, stack):
    """The seeds' WebSocket snippets run as printed.

    The admin panel's client, register and login, refusals, tickets.
    """
    _run(node, "seeds.test.mjs", stack.env)


def _run(node, file, environment=None):
    done = subprocess.run(
        [node, "--test", file],
        cwd=HERE,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=480,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
