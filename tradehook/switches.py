"""`tradehook halt`, `resume`, `halts`, `rules`, `audit`."""

from typing import Annotated, Any

import typer

from tradehook.client import fields, of
from tradehook.users import Fields

Scope = Annotated[str, typer.Argument(help="global, user, account or strategy")]
Id = Annotated[int | None, typer.Argument(help="The user, account or strategy.", show_default=False)]
Whose = Annotated[str | None, typer.Option(help="For admins: the user.")]
_COLUMNS = ("scope", "id", "halted", "reason", "by", "at")


def halt(context: typer.Context, scope: Scope = "user", id_: Id = None, reason: str | None = None) -> None:
    """Refuses orders that open or add. Closing, reducing and cancelling still work."""
    _throw(context, scope, id_, {"halted": True, "reason": reason})


def resume(context: typer.Context, scope: Scope = "user", id_: Id = None) -> None:
    """Lifts a halt."""
    _throw(context, scope, id_, {"halted": False})


def halts(context: typer.Context, user: Whose = None) -> None:
    """Lists the halts that concern a user."""
    client = of(context)
    client.output.records(client.everything("/halt", {"user_id": user}), _COLUMNS)


def rules(
    context: typer.Context,
    given: Fields = None,
    *,
    scope: Annotated[str, typer.Option(help="user, account or strategy")] = "user",
    id_: Annotated[
        int | None, typer.Option("--id", help="The user, account or strategy.", show_default=False)
    ] = None,
    user: Whose = None,
) -> None:
    """Shows the risk rules, or changes them.

    `tradehook rules --scope account --id 3 max_daily_loss=100 flatten=true`.
    """
    client = of(context)
    if given:
        about = {"scope": scope} | ({"id": id_} if id_ is not None else {})
        client.output.record(client("PATCH", "/risk-rules", about | fields(given)), first=_COLUMNS[:2])
        return
    found = client.everything("/risk-rules", {"user_id": user})
    names = (
        "scope",
        "id",
        "name",
        "max_daily_loss",
        "max_order_notional",
        "max_position_notional",
        "max_open_positions",
    )
    client.output.records(found, names)


audit_app = typer.Typer(
    invoke_without_command=True,
    help="The audit trail, newest first; `verify` checks that no entry was altered.",
)


@audit_app.callback()
def audit(
    context: typer.Context,
    user: Whose = None,
    entity: str | None = None,
    most: Annotated[int, typer.Option(min=1)] = 50,
) -> None:
    """Lists changes and their authors, newest first. `verify` checks that no entry was altered."""
    if context.invoked_subcommand:
        return
    client = of(context)
    more = client.everything("/audit", {"user_id": user, "entity": entity}, most + 1)
    found = more[:most]
    shown = [entry | {"changed": sorted({*entry["before"], *entry["after"]})} for entry in found]
    client.output.records(
        found if client.output.as_json else shown, ("at", "by", "action", "entity", "changed")
    )
    if len(more) > most:
        client.output.note(f"There are more than {most}. --most {most * 4} shows more.")


@audit_app.command()
def verify(
    context: typer.Context, month: Annotated[str | None, typer.Option(help="Such as 2026-11.")] = None
) -> None:
    """Checks the hash chain of a month's audit entries.

    Exits with 1 if an entry was altered, removed or never linked.
    """
    client = of(context)
    found = client("GET", "/audit/verify", query={"month": month} if month else None)
    client.output.record(found, first=("month", "intact", "entries", "links", "head"))
    if not found["intact"]:
        raise typer.Exit(1)


def _throw(context: typer.Context, scope: str, id_: int | None, wanted: dict[str, Any]) -> None:
    body = {"scope": scope, **wanted} | ({"id": id_} if id_ is not None else {})
    of(context).output.record(of(context)("POST", "/halt", body), first=_COLUMNS)
