"""`tradehook tokens`."""

from typing import Annotated

import typer

from tradehook.client import of
from tradehook.users import User

app = typer.Typer(help="Webhook and API tokens.", no_args_is_help=True)

_COLUMNS = ("token_id", "kind", "name", "is_active", "created_at", "expires_at", "last_used_at")
Token = Annotated[str, typer.Argument(help="A token's id, as `tokens list` shows it.")]


@app.command("list")
def list_(context: typer.Context, user: User = "me") -> None:
    """Lists a user's tokens, without their values."""
    of(context).output.records(of(context).everything(f"/users/{user}/tokens"), _COLUMNS)


@app.command()
def create(
    context: typer.Context,
    user: User = "me",
    *,
    kind: Annotated[str, typer.Option(help="webhook or api")] = "webhook",
    name: str | None = None,
    expires_at: Annotated[str | None, typer.Option(help="Such as 2027-01-01T00:00:00Z.")] = None,
    scope: Annotated[str | None, typer.Option(help="An API token's: read, trade, manage or admin.")] = None,
    own: Annotated[bool, typer.Option(help="Ask for your own webhook token.")] = False,
) -> None:
    """Creates a token and prints it, only this once."""
    wanted = {"kind": kind, "name": name, "expires_at": expires_at, "scope": scope}
    if own:
        wanted["token"] = typer.prompt("Token", hide_input=True)
    made = of(context)(
        "POST", f"/users/{user}/tokens", {key: value for key, value in wanted.items() if value is not None}
    )
    of(context).output.secret(
        f"Token {made['token_id']} ({made['kind']}), shown this once:", made["token"], made
    )


@app.command("revoke-all")
def revoke_all(context: typer.Context, user: User = "me") -> None:
    """Revokes every token of a user at once, with all tokens made with them."""
    of(context).output.record(of(context)("DELETE", f"/users/{user}/tokens"))


@app.command()
def rotate(
    context: typer.Context,
    token: Token,
    user: User = "me",
    overlap_s: Annotated[int, typer.Option(min=0, help="Seconds the old token stays valid.")] = 86_400,
) -> None:
    """Creates a token's successor and prints it, only this once."""
    made = of(context)("POST", f"/users/{user}/tokens/{token}/rotate", {"overlap_s": overlap_s})
    of(context).output.secret(
        f"Token {made['token_id']} replaces {token}, shown this once:", made["token"], made
    )


@app.command()
def revoke(context: typer.Context, token: Token, user: User = "me") -> None:
    """Revokes a token at once."""
    of(context).output.done(
        f"Token {token} is revoked", of(context)("DELETE", f"/users/{user}/tokens/{token}")
    )
