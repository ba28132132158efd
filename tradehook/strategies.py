"""`tradehook strategies`."""

from typing import Annotated

import typer

from tradehook.client import fields, of
from tradehook.users import Fields

app = typer.Typer(help="Strategies and the accounts on them.", no_args_is_help=True)

_COLUMNS = ("strategy_id", "group_name", "is_active", "accounts", "active_accounts", "symbols", "resync")
_MEMBER_COLUMNS = ("account_id", "name", "exchange", "kind", "market_types", "weight", "active")
Strategy = Annotated[int, typer.Argument(help="A strategy id.")]
Account = Annotated[int, typer.Argument(help="An account id.")]


@app.command("list")
def list_(
    context: typer.Context, user: Annotated[str | None, typer.Option(help="For admins: the user.")] = None
) -> None:
    """Lists a user's strategies."""
    of(context).output.records(of(context).everything("/strategies", {"user_id": user}), _COLUMNS)


@app.command()
def create(context: typer.Context, group_name: str, given: Fields = None) -> None:
    """Creates a strategy: `tradehook strategies create my_strategy symbols='["BTCUSDT"]'`."""
    body = {"group_name": group_name, **fields(given or [])}
    of(context).output.record(of(context)("POST", "/strategies", body), first=_COLUMNS)


@app.command()
def update(context: typer.Context, strategy: Strategy, given: Fields = None) -> None:
    """Changes a strategy: `tradehook strategies update 1 is_active=false`."""
    of(context).output.record(
        of(context)("PATCH", f"/strategies/{strategy}", fields(given or [])), first=_COLUMNS
    )


@app.command()
def delete(context: typer.Context, strategy: Strategy) -> None:
    """Deletes a strategy. Its accounts stay."""
    of(context).output.done(
        f"Strategy {strategy} is deleted", of(context)("DELETE", f"/strategies/{strategy}")
    )


@app.command()
def accounts(context: typer.Context, strategy: Strategy) -> None:
    """Lists the accounts on a strategy."""
    of(context).output.records(of(context).everything(f"/strategies/{strategy}/accounts"), _MEMBER_COLUMNS)


@app.command()
def add(context: typer.Context, strategy: Strategy, account: Account, given: Fields = None) -> None:
    """Adds an account to a strategy: `tradehook strategies add 1 3 weight=50`."""
    body = {"account_id": account, **fields(given or [])}
    of(context).output.record(of(context)("POST", f"/strategies/{strategy}/accounts", body), first=_COLUMNS)


@app.command()
def change(context: typer.Context, strategy: Strategy, account: Account, given: Fields = None) -> None:
    """Changes an account on a strategy: `tradehook strategies change 1 3 active=false`."""
    path = f"/strategies/{strategy}/accounts/{account}"
    of(context).output.record(of(context)("PATCH", path, fields(given or [])), first=_MEMBER_COLUMNS)


@app.command()
def remove(context: typer.Context, strategy: Strategy, account: Account) -> None:
    """Removes an account from a strategy."""
    of(context).output.record(
        of(context)("DELETE", f"/strategies/{strategy}/accounts/{account}"), first=_COLUMNS
    )


@app.command("alert-message")
def alert_message(
    context: typer.Context,
    strategy: Strategy,
    variant: Annotated[
        str, typer.Option(help="group, batch, cancel, paper, legacy, personal or xc")
    ] = "group",
    exchange: str | None = None,
    market_type: str | None = None,
) -> None:
    """Prints the text to paste into TradingView's alert."""
    query = {"variant": variant, "exchange": exchange, "market_type": market_type}
    answer = of(context)("GET", f"/strategies/{strategy}/alert-message", query=query)
    fill_in = "".join(f"\nPut yours in place of {word}." for word in answer["fill_in"])
    of(context).output.secret(f"Webhook URL: {answer['url']}{fill_in}\nMessage:", answer["text"], answer)
