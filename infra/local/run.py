"""Starts the whole stack in order, with the progress and time of each step, and stops it."""

import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console

from infra.build.artifact import build
from infra.local import cloud, demo_data, deploy, process, tunnel, warm
from infra.local.paths import HOST, LocalStackPaths
from infra.local.stack import connect
from infra.local.stack_env import read_stack_env, write_stack_env
from infra.stack import ROOT

console = Console(highlight=False)


def up(place: LocalStackPaths, *, reset: bool = False) -> LocalStackPaths:
    """Builds, starts the cloud, deploys, seeds, opens the front door, and writes `stack.env`.

    Parts that run already stay up. Returns the paths, with the public address if there is one.

    Args:
        place: The stack's paths.
        reset: Whether to delete the earlier state.
    """
    place.directory.mkdir(parents=True, exist_ok=True)
    if reset:
        with _step("forgetting the old state"):
            down(place)
            cloud.forget(place)
            place.stack_env.unlink(missing_ok=True)  # its tokens belong to deleted users
    if place.stack_env.exists() and read_stack_env(place).get("TRADEHOOK_URL") != place.url:
        process.stop(place.directory / "front_door.pid", within_s=5)  # PORT has changed
    with _step("building"):
        manifest = build(say=console.print)
    with _step("starting the local cloud"):
        cloud.start(place)
    for notice in cloud.notices(place):
        console.print(f"  {notice}", markup=False)
    with _step("opening the tunnel") if os.environ.get("TUNNEL") else nullcontext():
        place = tunnel.open_public(place)
    with _step("deploying"):
        deploy.deploy(place, manifest)
    with _step("demo data"):
        values = demo_data.seed(connect(place), read_stack_env(place) if place.stack_env.exists() else {})
    with _step("opening the front door"):
        open_front_door(place)
        start_telegram(place)
    with _step("warming the functions up"):
        warm.up(connect(place))
    write_stack_env(place, values)
    return place


def down(place: LocalStackPaths) -> bool:
    """Stops everything. The cloud's state stays. Returns False if nothing was running."""
    tunnel.close_public(place)
    closed = process.stop(place.directory / "front_door.pid", within_s=5)
    process.stop(place.directory / "telegram.pid", within_s=5)
    return cloud.stop(place) or closed


def running(place: LocalStackPaths) -> bool:
    """Returns whether both the cloud and the front door are running."""
    return cloud.running(place) and process.running(place.directory / "front_door.pid") is not None


def open_front_door(place: LocalStackPaths) -> None:
    """Starts the front door and waits until it answers."""
    pid_file = place.directory / "front_door.pid"
    log = place.log("front_door")
    if process.running(pid_file):
        return
    with socket.socket() as probe:
        if probe.connect_ex((HOST, place.port)) == 0:
            raise process.ProcessError(
                f"port {place.port} is taken: choose another one, PORT=8090 for instance"
            )
    process.start([sys.executable, "-m", "infra.local.front_door"], pid_file, log, place.environ, ROOT)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{place.url}/no-such-route", timeout=2)
        except urllib.error.HTTPError:
            return
        except OSError:
            if not process.running(pid_file):
                break
            time.sleep(0.03)
    raise process.ProcessError(f"the front door does not open; {log} ends with:\n{process.tail(log)}")


def start_telegram(place: LocalStackPaths) -> None:
    """Starts the stand-in of Telegram's Bot API, unless the functions use another one."""
    pid_file = place.directory / "telegram.pid"
    if place.telegram_port and not process.running(pid_file):
        command = [sys.executable, "-m", "infra.local.telegram_standin", str(place.telegram_port)]
        process.start(command, pid_file, place.log("telegram"), place.environ, ROOT)


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Prints a step, and its time when it ends."""
    started = time.monotonic()
    with console.status(f"{what} …"):
        yield
    console.print(f"[green]✓[/] {what} [dim]{time.monotonic() - started:.1f} s[/]")
