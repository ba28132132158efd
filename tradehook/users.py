"""`tradehook users`."""

from typing import Annotated

import typer

from tradehook.client import fields, of

app = typer.Typer(help="Users and their settings.", no_args_is_help=True)

_COLUMNS = (
    "user_id",
    "username",
    "first_name",
    "role",
    "is_active",
    "telegram_id",
    "referral_code",
    "referred_by_id",
)
User = Annotated[str, typer.Argument(help="A user id, or `me`.")]
Fields = Annotated[list[str] | None, typer.Argument(help="field=value ...", show_default=False)]


@app.command("list")
def list_(
    context: typer.Context, most: Annotated[int, typer.Option(min=1)] = 50, active: bool | None = None
) -> None:
    """Lists users, newest first."""
    client = of(context)
    wanted = {} if active is None else {"is_active": str(active).lower()}
    client.show_list("/users", wanted, _COLUMNS, most)


@app.command()
def show(context: typer.Context, user: User) -> None:
    """Shows one user."""
    of(context).output.record(of(context)("GET", f"/users/{user}"), first=_COLUMNS)


@app.command()
def create(context: typer.Context, given: Fields = None) -> None:
    """Creates a user: `tradehook users create user_id=123456789 username=ann`."""
    of(context).output.record(of(context)("POST", "/users", fields(given or [])), first=_COLUMNS)


@app.command()
def update(context: typer.Context, user: User, given: Fields = None) -> None:
    """Changes a profile: `tradehook users update 7 first_name=Ann telegram_id=456789`."""
    of(context).output.record(of(context)("PATCH", f"/users/{user}", fields(given or [])), first=_COLUMNS)


@app.command()
def activate(context: typer.Context, user: User) -> None:
    """Permits a user to trade and sign in again."""
    of(context).output.record(of(context)("POST", f"/users/{user}/activate"), first=_COLUMNS)


@app.command()
def deactivate(context: typer.Context, user: User) -> None:
    """Stops a user: tokens are invalid, signals are refused."""
    of(context).output.record(of(context)("POST", f"/users/{user}/deactivate"), first=_COLUMNS)


@app.command()
def settings(context: typer.Context, user: User, given: Fields = None) -> None:
    """Shows or changes the settings: `tradehook users settings 7 market_type=futures leverage=10`."""
    path = f"/users/{user}/settings"
    client = of(context)
    client.output.record(client("PATCH", path, fields(given)) if given else client("GET", path))


@app.command()
def referrals(context: typer.Context, user: User) -> None:
    """Lists a user's referrers and referred users, nearest first."""
    chain = of(context)("GET", f"/users/{user}/referrals")["items"]
    of(context).output.records([{"user_id": user_id} for user_id in chain], ("user_id",))


@app.command("xc-code")
def xc_code(
    context: typer.Context,
    user: User,
    rotate: Annotated[bool, typer.Option(help="Create a new code; the old one becomes invalid.")] = False,
) -> None:
    """Shows a user's xc code."""
    answer = of(context)("POST" if rotate else "GET", f"/users/{user}/xc-code")
    of(context).output.secret(f"The xc code of user {answer['user_id']}:", answer["code"], answer)
