"""Profiles: the deployments that one person works with, in a file that only its owner can read.

URL and token always come from the same place. A token of one deployment must never go to another.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tradehook.client import Failed, of

DEFAULT_URL = "http://localhost:8080"
app = typer.Typer(help="Deployments to work with: URL and token by name.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The profile's name.")]


def choose(url: str | None, token: str | None, profile: str | None) -> tuple[str, str]:
    """Returns URL and token of this run: of the named profile, of options and environment, or of the default.

    Args:
        url: From `--url` or the environment. None if neither is there.
        token: Likewise.
        profile: From `--profile` or the environment.

    Raises:
        Failed: The profile does not exist.
    """
    stored = _read()
    if profile is None and (url or token):
        return url or DEFAULT_URL, token or ""
    name = profile or stored["default"]
    if name is None:
        return DEFAULT_URL, ""
    if name not in stored["profiles"]:
        known = ", ".join(sorted(stored["profiles"])) or "none"
        raise Failed({"error": f"There is no profile {name}. Known: {known}", "code": "profile_not_found"})
    chosen = stored["profiles"][name]
    return chosen["url"], chosen["token"]


@app.command("list")
def list_(context: typer.Context) -> None:
    """Lists the profiles, without their tokens."""
    stored = _read()
    shown = [
        {"name": name, "url": each["url"], "default": name == stored["default"]}
        for name, each in sorted(stored["profiles"].items())
    ]
    of(context).output.records(shown, ("name", "url", "default"))


@app.command()
def add(
    context: typer.Context,
    name: Name,
    url: Annotated[str, typer.Argument(help="The API's URL.")] = DEFAULT_URL,
) -> None:
    """Adds or replaces a profile. Asks for the API token. The first profile is the default."""
    token = typer.prompt("API token", hide_input=True)
    stored = _read()
    stored["profiles"][name] = {"url": url, "token": token}
    stored["default"] = stored["default"] or name
    _write(stored)
    of(context).output.done(f"Profile {name} is stored", {"name": name, "url": url})


@app.command()
def use(context: typer.Context, name: Name) -> None:
    """Makes a profile the default."""
    choose(None, None, name)
    _write(_read() | {"default": name})
    of(context).output.done(f"Profile {name} is the default", {"default": name})


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Removes a profile. The token itself stays valid: revoke it with `tokens revoke`."""
    choose(None, None, name)
    stored = _read()
    del stored["profiles"][name]
    stored["default"] = None if stored["default"] == name else stored["default"]
    _write(stored)
    of(context).output.done(f"Profile {name} is removed", {"name": name})


def _file() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "tradehook" / "profiles.json"


def _read() -> dict[str, Any]:
    """Returns the stored profiles. Raises Failed for a file that is no file of profiles."""
    file = _file()
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        return {"default": stored["default"], "profiles": dict(stored["profiles"])}
    except FileNotFoundError:
        return {"default": None, "profiles": {}}
    except (ValueError, KeyError, TypeError):
        raise Failed({"error": f"{file} is damaged. Delete it", "code": "profiles_damaged"}) from None


def _write(stored: Mapping[str, Any]) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(stored, out, indent=2)
    unfinished.replace(file)
