"""`tradehook export`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tradehook.client import Failed, fields, of
from tradehook.users import Fields


class Records(StrEnum):
    """What can be exported."""

    TRADES = "trades"
    ORDERS = "orders"
    TRANSACTIONS = "transactions"
    AUDIT = "audit"


def export(
    context: typer.Context,
    what: Records,
    filters: Fields = None,
    user: Annotated[str | None, typer.Option(help="For admins: the user.")] = None,
    out: Annotated[Path | None, typer.Option(help="A new file. Without it, to the terminal.")] = None,
) -> None:
    """Exports a whole list as CSV: `tradehook export trades from=2026-01-01 --out trades.csv`."""
    query = {"user_id": user, **fields(filters or [])}
    pages = of(context).csv_pages(f"/{what.value}", query)
    # The first page before the file, so that a refusal leaves none behind.
    first = next(pages)
    header, _, _ = first.partition("\r\n")
    texts = (page.removeprefix(f"{header}\r\n") for page in pages)
    if out is None:
        sys.stdout.write(first)
        sys.stdout.writelines(texts)
        return
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(first)
            file.writelines(texts)
    except OSError as fault:
        raise Failed({"error": f"{out} cannot be written: {fault.strerror}", "code": "no_file"}) from None
