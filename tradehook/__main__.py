"""`python -m tradehook`: one group of commands per kind of record."""

import sys
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import messages
from chalicelib.errors import Refused
from tradehook import accounts, deployment, signals, strategies, switches, tail, tokens, users
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
):
    app.add_typer(group, name=name)
for command in (signals.send, tail.tail, switches.halt, switches.resume, switches.halts, switches.rules):
    app.command()(command)
for operation in (deployment.bootstrap, deployment.dead, deployment.redrive):
    app.command(rich_help_panel="With AWS credentials")(operation)


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
) -> None:
    """Stores the deployment and the output format for the command."""
    context.obj = Client(url, token, Output(as_json=as_json))


def main(arguments: list[str] | None = None) -> None:
    """Runs a command. `--json` may stand anywhere.

    A refusal, or missing AWS settings, prints one line and exits with 1.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if "--json" in words:
        words = ["--json", *(word for word in words if word != "--json")]
    try:
        app(words)
    except Failed as failed:
        failure = failed
    except Refused as refused:
        failure = Failed(
            {"error": messages.render(refused.code, refused.values), "code": refused.code}, refused.status
        )
    except (BotoCoreError, ClientError) as fault:
        hint = "Set AWS_REGION and credentials such as AWS_PROFILE, or AWS_ENDPOINT_URL for a local cloud."
        failure = Failed({"error": f"AWS: {' '.join(str(fault).split())} {hint}", "code": "aws"})
    else:
        return
    Output(as_json="--json" in words).failure(failure)
    sys.exit(1)


if __name__ == "__main__":
    main()
