"""`python -m tradehook`: one group of commands per kind of record."""

import sys
from importlib import metadata
from typing import Annotated

import typer

from tradehook import (
    accounts,
    deployment,
    export,
    journal,
    signals,
    strategies,
    switches,
    tail,
    tokens,
    users,
)
from tradehook.client import Client, Failed
from tradehook.show import Output

app = typer.Typer(
    name="tradehook",
    help="Users, tokens, accounts, strategies and signals of a tradehook deployment.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for name, group in (
    *(("users", users.app), ("tokens", tokens.app), ("accounts", accounts.app)),
    *(("strategies", strategies.app), ("audit", switches.audit_app)),
    ("journal", journal.app),
):
    app.add_typer(group, name=name)
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


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("tradehook"))
        raise typer.Exit


@app.callback()
def prepare(
    context: typer.Context,
    url: Annotated[
        str, typer.Option(envvar="TRADEHOOK_URL", help="The API's URL.")
    ] = "http://localhost:8080",
    token: Annotated[
        str,
        typer.Option(
            envvar="TRADEHOOK_ADMIN_TOKEN", help="An API token.", show_default=False, show_envvar=True
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    version: Annotated[  # noqa: ARG001  its callback answers
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Stores the deployment and the output format for the command."""
    context.obj = Client(url, token, Output(as_json=as_json))


def main(arguments: list[str] | None = None) -> None:
    """Runs a command. `--json` may stand anywhere. A refusal is one line and exits with 1."""
    words = sys.argv[1:] if arguments is None else arguments
    if "--json" in words:
        words = ["--json", *(word for word in words if word != "--json")]
    try:
        app(words)
    except Failed as failed:
        Output(as_json="--json" in words).failure(failed)
        sys.exit(1)


if __name__ == "__main__":
    main()
