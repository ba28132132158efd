"""`python -m tradehook`: one group of commands per kind of record."""

import os
import sys
from importlib import metadata
from typing import Annotated, Literal

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script

from tradehook import (
    accounts,
    deployment,
    export,
    journal,
    nouns,
    profiles,
    signals,
    strategies,
    switches,
    tail,
    tokens,
    users,
)
from tradehook.client import Client, Failed
from tradehook.show import Output

_NAME = "tradehook"
_COMPLETE = "_TRADEHOOK_COMPLETE"

app = typer.Typer(
    name="tradehook",
    help="Everything of a tradehook deployment: one group of commands per kind of record.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
GROUPS = {
    "users": users.app,
    "tokens": tokens.app,
    "accounts": accounts.app,
    "strategies": strategies.app,
    "audit": switches.audit_app,
    "journal": journal.app,
    "profiles": profiles.app,
}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
nouns.add_to(app, GROUPS)
for command in (
    signals.send,
    tail.tail,
    export.export,
    switches.halt,
    switches.resume,
    switches.halts,
    switches.rules,
):
    app.command()(command)
for operation in (deployment.bootstrap, deployment.dead, deployment.redrive):
    app.command(rich_help_panel="With AWS credentials, in a checkout")(operation)


@app.command()
def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Prints a shell's completion: `source <(tradehook completion bash)`."""
    script = get_completion_script(prog_name=_NAME, complete_var=_COMPLETE, shell=shell)  # nosec B604 - a name
    typer.echo(script)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("tradehook"))
        raise typer.Exit


@app.callback()
def prepare(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(envvar="TRADEHOOK_URL", help=f"The API's URL. By default {profiles.DEFAULT_URL}."),
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar=["TRADEHOOK_TOKEN", "TRADEHOOK_ADMIN_TOKEN"], help="An API token.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(envvar="TRADEHOOK_PROFILE", help="URL and token of this profile, whatever else is set."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    version: Annotated[  # noqa: ARG001  its callback answers
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Stores the deployment and the output format for the command."""
    context.obj = Client(*profiles.choose(url, token, profile), Output(as_json=as_json))


def main(arguments: list[str] | None = None) -> None:
    """Runs a command. `--json` may stand anywhere. A refusal is one line and exits with 1."""
    words = sys.argv[1:] if arguments is None else arguments
    if _COMPLETE in os.environ:
        completion_init()
    if "--json" in words:
        words = ["--json", *(word for word in words if word != "--json")]
    try:
        app(words, prog_name=_NAME)
    except Failed as failed:
        Output(as_json="--json" in words).failure(failed)
        sys.exit(1)


if __name__ == "__main__":
    main()
