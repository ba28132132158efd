"""`python -m infra.local up | down | run | serve | status | backup | restore | doctor`.

`RESET=1` deletes the state first. `TUNNEL` or `PUBLIC_URL` make it reachable from outside. `FROM` names the
backup to restore.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from infra.build.zipping import BuildError
from infra.local import backup, doctor, example, log_rotation, sign_in
from infra.local.deploy import DeployError
from infra.local.paths import LocalStackPaths
from infra.local.process import ProcessError
from infra.local.run import console, down, running, up
from infra.local.stack_env import read_stack_env
from infra.stack import StackError

_WATCHED_EVERY_S = 2.0


def _up(place: LocalStackPaths) -> None:
    """Starts everything in the background."""
    started = time.monotonic()
    place = up(place, reset=os.environ.get("RESET") == "1")
    _show_urls(place, started)
    _show_link(place)


def _down(place: LocalStackPaths) -> None:
    """Stops everything. The state stays."""
    console.print("stopped, state kept" if down(place) else "nothing was running")


def _run(place: LocalStackPaths) -> None:
    """Starts everything, shows an example and live events, and stops on Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    theirs = running(place)  # `make up` started the stack, so Ctrl-C must not stop it
    try:
        place = up(place, reset=os.environ.get("RESET") == "1")
        _show_urls(place, started)
        _show_link(place)
        asyncio.run(_example(place))
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the saving
        if theirs:
            console.print("\nstill running in the background: `make down` ends it")
        else:
            console.print("\nstopping …")
            down(place)
            console.print("stopped, state kept")


def _serve(place: LocalStackPaths) -> None:
    """Starts everything and watches it, for a service manager. Ends with an error if a part has ended."""
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    try:
        place = up(place)
        _show_urls(place, started)
        while running(place):
            log_rotation.rotate_logs(place)
            time.sleep(_WATCHED_EVERY_S)
        raise ProcessError("the local cloud or the front door has ended")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the saving
        down(place)


def _backup(place: LocalStackPaths) -> None:
    """Copies the state, also while it runs."""
    made = backup.back_up(place)
    console.print(f"backup written to {made}. It holds keys and tokens: keep it private", markup=False)


def _restore(place: LocalStackPaths) -> None:
    """Puts the newest backup, or `FROM`, in place of the state."""
    wanted = os.environ.get("FROM")
    restored, replaced = backup.restore(place, Path(wanted).resolve() if wanted else None)
    console.print(f"restored {restored}: `make up` starts with it", markup=False)
    if replaced:
        console.print(f"the replaced state is kept at {replaced}", markup=False)


def _doctor(place: LocalStackPaths) -> None:
    """Checks ports, disk, state, clock, backup and Telegram. Fails if one needs attention."""
    found = list(doctor.examine(place))
    for each in found:
        console.print(f"{'[green]✓[/]' if each.good else '[red]✗[/]'} {each.name}: {each.text}")
    sys.exit(not all(each.good for each in found))


def _status(place: LocalStackPaths) -> None:
    """Prints whether the stack is running."""
    console.print(f"running on {place.url}" if running(place) else "not running")
    sys.exit(not running(place))


async def _example(place: LocalStackPaths) -> None:
    try:
        await example.show(read_stack_env(place))
        console.print("[yellow]the event stream ended[/]")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        console.print(f"[yellow]the example failed:[/] {error}", markup=True)
    await asyncio.Event().wait()


def _show_link(place: LocalStackPaths) -> None:
    """Prints the one-time link. Not for a service, whose output is kept."""
    minutes = round(sign_in.GOOD_FOR_S / 60)
    console.print(f"\nthe dashboard, signed in, once within {minutes} minutes:")
    console.print(f"  {sign_in.make_link(place)}", markup=False, soft_wrap=True)


def _show_urls(place: LocalStackPaths, started: float) -> None:
    console.print(f"\n[bold]tradehook is up[/] [dim]after {time.monotonic() - started:.1f} s[/]")
    for name, value in {
        "webhook": f"{place.url}/api/webhook",
        "dashboard": f"{place.url}/dashboard",
        "events": place.ws_url,
        "tokens": str(place.stack_env),
        "logs": str(place.directory / "*.log"),
    }.items():
        console.print(f"  {name:10} {value}")
    if place.public:
        console.print(f"\nreachable from outside at [bold]{place.public.url}[/]. Paste into TradingView:")
        console.print(f"  {place.public.url}/api/webhook?token=…", markup=False)
        console.print("Every signal needs a webhook token: the dashboard's alert builder writes the URL")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """The command line."""
    commands = {
        "up": _up,
        "down": _down,
        "run": _run,
        "serve": _serve,
        "status": _status,
        "backup": _backup,
        "restore": _restore,
        "doctor": _doctor,
    }
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The product on this machine.")
    parser.add_argument(
        "command",
        choices=commands,
        help="; ".join(f"{name}: {command.__doc__}" for name, command in commands.items()),
    )
    command = parser.parse_args().command
    place = LocalStackPaths.here()
    try:
        with suppress(KeyboardInterrupt):
            commands[command](place)
    except backup.BackupError as error:
        console.print(f"[red]✗[/] {error}", markup=True)
        sys.exit(1)
    except (BuildError, ProcessError, DeployError, StackError, BotoCoreError, ClientError) as error:
        console.print(f"[red]✗ {type(error).__name__}:[/]", markup=True)
        console.print(str(error), markup=False)
        console.print(f"logs: {place.log('cloud')}, {place.log('front_door')}", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
