"""Every list as CSV: the values of the JSON, in columns, and harmless in a spreadsheet."""

import csv
import io
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.openapi import csv_lists, subjects
from functions import serve_api
from testkit import gateway, records
from testkit.api import Api

LISTS = sorted(
    name for name, docs in subjects.docs().items() if name.startswith("GET ") and csv_lists.is_list(docs)
)
WANTED = ("text/csv", "text/csv, application/json", "text/csv;q=0.9, */*;q=0.1", "TEXT/CSV; q=1.0")
NOT_WANTED = (
    "",
    "*/*",
    "application/json",
    "application/json, text/csv",
    "text/csv;q=0",
    "text/csv;q=0.2, */*",
)


def get(api: Api, path: str, accept: str, route: str | None = None, **query: str) -> tuple[int, str, dict]:
    """Returns status, body and headers, the body as text."""
    event = gateway.request(
        "GET",
        path,
        None,
        route=route or path,
        path_parameters=None,
        query=query or None,
        headers={"Authorization": f"Bearer {api.tokens['1']}", "Accept": accept},
    )
    answer = serve_api.app(event, gateway.CONTEXT)
    headers = {name.lower(): values[0] for name, values in answer.get("multiValueHeaders", {}).items()}
    return (
        answer["statusCode"],
        answer["body"],
        headers | {k.lower(): v for k, v in answer["headers"].items()},
    )


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_most_routes_with_a_list_are_known() -> None:
    """They are found by their documentation."""
    assert len(LISTS) > 20
    assert {"GET /orders", "GET /trades", "GET /signals", "GET /audit", "GET /performance"} <= {*LISTS}


@pytest.mark.parametrize("name", LISTS)
def test_each_list_has_columns(name: str) -> None:
    """The fields of its documentation, in their order, also for an empty list."""
    columns = csv_lists._columns(subjects.docs()[name])
    assert columns
    assert csv_lists.text([], columns) == ",".join(columns) + "\r\n"


@pytest.mark.parametrize("accept", WANTED)
def test_values_are_those_of_the_json(api: Api, accept: str) -> None:
    """A page holds the same items as CSV and as JSON."""
    records.add_account("1", "a", kind="paper", currency="USD", starting_cash=Decimal("1000.50"))
    status, text, headers = get(api, "/accounts", accept)
    assert (status, headers["content-type"]) == (200, csv_lists.TYPE)
    assert headers["content-disposition"] == 'attachment; filename="accounts.csv"'
    [shown] = api("1", "GET", "/accounts")[1]["items"]
    [row] = rows(text)
    assert row["account_id"] == str(shown["account_id"])
    assert row["starting_cash"] == "1000.5"
    assert row["is_active"] == "true"
    assert headers["x-total-count"] == "1"


@pytest.mark.parametrize("accept", NOT_WANTED)
def test_json_stays_the_usual_form(api: Api, accept: str) -> None:
    """CSV is for those who ask for it."""
    status, text, headers = get(api, "/accounts", accept)
    assert (status, text[0], headers["content-type"]) == (200, "{", "application/json")


def test_pages_continue(api: Api) -> None:
    """The next page's cursor is a header. All pages have the same columns."""
    for number in range(3):
        records.add_account("1", f"a{number}")
    status, first, headers = get(api, "/accounts", "text/csv", limit="2")
    assert status == 200
    _, second, last = get(api, "/accounts", "text/csv", limit="2", cursor=headers["x-next-cursor"])
    assert first.split("\r\n")[0] == second.split("\r\n")[0]
    assert [row["name"] for row in rows(first) + rows(second)] == ["a0", "a1", "a2"]
    assert "x-next-cursor" not in last


def test_errors_stay_json(api: Api) -> None:
    """And so does what is no list."""
    status, text, headers = get(api, "/accounts", "text/csv", limit="0")
    assert (status, text[0], headers["content-type"]) == (400, "{", "application/json")
    assert get(api, "/halt", "text/csv")[0] == 200
    assert get(api, "/openapi.json", "text/csv")[1].startswith("{")


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
VALUES = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False)
)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=5))
def test_texts_survive_and_start_no_formula(items: list[tuple[Any, Any]]) -> None:
    """A text is read back as it was, but for the apostrophe before a formula."""
    text = csv_lists.text([{"a": a, "b": b} for a, b in items], ["a", "b"])
    assert text.startswith("a,b\r\n")
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    cells = [cell for row in read for cell in row]
    for cell, value in zip(cells, [value for item in items for value in item], strict=True):
        assert cell.lstrip(" ")[:1] not in [*"=@\t\r\n"]
        if cell[:1] in ("+", "-"):
            assert Decimal(cell).is_finite()
        if isinstance(value, str):
            assert cell in (value, f"'{value}")
        elif value is None:
            assert cell == ""


@pytest.mark.parametrize("word", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1"])
def test_formulas_are_texts(word: str) -> None:
    """Whatever a user has named a strategy."""
    assert csv_lists.text([{"a": word}], ["a"]).splitlines()[1].strip('"').startswith("'")


@pytest.mark.parametrize(
    ("value", "cell"), [(Decimal("-5.10"), "-5.1"), (-3, "-3"), ("-12.5", "-12.5"), (1e3, "1000.0")]
)
def test_negative_numbers_stay_numbers(value: Any, cell: str) -> None:
    """A result can be negative."""
    assert csv_lists.text([{"a": value}], ["a"]) == f"a\r\n{cell}\r\n"


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_libreoffice_reads_types(tmp_path: Path) -> None:
    """Numbers are numbers, texts are texts, and no formula runs."""
    text = csv_lists.text(
        [{"name": "=1+1", "profit": Decimal("-5.5")}, {"name": 'a,\n"b"', "profit": 2}], ["name", "profit"]
    )
    (tmp_path / "list.csv").write_text(text, encoding="utf-8", newline="")
    command = [
        "soffice",
        "--headless",
        "--convert-to",
        "fods",
        "--outdir",
        str(tmp_path),
        str(tmp_path / "list.csv"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    sheet = (tmp_path / "list.fods").read_text(encoding="utf-8")
    assert 'office:value="-5.5"' in sheet
    assert "table:formula" not in sheet
