"""`tradehook accounts`."""

from typing import Annotated, Any

import typer

from tradehook.client import fields, of
from tradehook.users import Fields

app = typer.Typer(help="Paper, demo and live accounts.", no_args_is_help=True)

_COLUMNS = ("account_id", "name", "kind", "exchange", "market_types", "currency", "is_active", "has_keys")
Account = Annotated[int, typer.Argument(help="An account id.")]
Keys = Annotated[bool, typer.Option("--keys", help="Ask for the exchange keys.")]


def _keys() -> dict[str, str]:
    """Asks for exchange keys. Arguments of the command would stay in the shell's history."""
    key = typer.prompt("API key", hide_input=True)
    secret = typer.prompt("API secret", hide_input=True)
    passphrase = typer.prompt("Passphrase (empty for none)", default="", show_default=False, hide_input=True)
    return {"api_key": key, "api_secret": secret} | ({"passphrase": passphrase} if passphrase else {})


@app.command("list")
def list_(
    context: typer.Context, user: Annotated[str | None, typer.Option(help="For admins: the user.")] = None
) -> None:
    """Lists a user's accounts."""
    of(context).output.records(of(context).everything("/accounts", {"user_id": user}), _COLUMNS)


@app.command()
def show(context: typer.Context, account: Account) -> None:
    """Shows one account, without its keys."""
    of(context).output.record(of(context)("GET", f"/accounts/{account}"), first=_COLUMNS)


@app.command()
def create(context: typer.Context, name: str, kind: str, given: Fields = None, keys: Keys = False) -> None:
    """Creates an account: `tradehook accounts create "Main Account" demo exchange=binance`."""
    body: dict[str, Any] = {"name": name, "kind": kind, **fields(given or []), **(_keys() if keys else {})}
    of(context).output.record(of(context)("POST", "/accounts", body), first=_COLUMNS)


@app.command()
def update(context: typer.Context, account: Account, given: Fields = None, keys: Keys = False) -> None:
    """Changes an account: `tradehook accounts update 3 is_active=false`."""
    body = {**fields(given or []), **(_keys() if keys else {})}
    of(context).output.record(of(context)("PATCH", f"/accounts/{account}", body), first=_COLUMNS)


@app.command()
def reset(context: typer.Context, account: Account) -> None:
    """Resets a simulated account to its starting cash."""
    of(context).output.record(of(context)("POST", f"/accounts/{account}/reset"), first=_COLUMNS)


@app.command()
def delete(context: typer.Context, account: Account) -> None:
    """Deletes an account and its keys."""
    of(context).output.done(f"Account {account} is deleted", of(context)("DELETE", f"/accounts/{account}"))
