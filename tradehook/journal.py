"""`tradehook journal`."""

from typing import Annotated

import typer

from tradehook.client import of

app = typer.Typer(help="Proof that trades are what the orders say.", no_args_is_help=True)

Whose = Annotated[str | None, typer.Option(help="For admins: the user.")]


@app.command(rich_help_panel="In a checkout")
def check(context: typer.Context, user: Whose = None) -> None:
    """Recounts a user's trades from the stored orders and compares. Exits with 1 if they differ."""
    # The command line needs the service's packages for nothing else.
    from chalicelib.journal.models import Trade  # noqa: PLC0415
    from chalicelib.journal.recount import compare  # noqa: PLC0415
    from chalicelib.orders.models import Order  # noqa: PLC0415

    client = of(context)
    query = {"user_id": user}
    # Trades first: an order that fills in between is then in no trade, and not the other way round.
    stored = [
        Trade.model_validate(
            each
            | {"user_id": str(each["user_id"]), "account_id": str(each["account_id"])}
            | {"other_fees": {fee["currency"]: fee["amount"] for fee in each["other_fees"]}}
        )
        for each in client.everything("/trades", query)
    ]
    orders = [Order.model_validate(each) for each in client.everything("/orders", query)]
    last = max((trade.closed_at for trade in stored), default=None)
    found = compare((each for each in orders if last and each.filled_at and each.filled_at <= last), stored)
    if found.differences:
        rows = [vars(each) for each in found.differences]
        client.output.records(rows, ("trade_id", "field", "stored", "recounted"))
        raise typer.Exit(1)
    counts = {"compared": found.compared, "not_compared": found.not_compared, "differences": 0}
    client.output.record(counts, first=tuple(counts))
