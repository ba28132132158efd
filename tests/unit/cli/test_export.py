"""`tradehook export`."""

import csv
import io

import pytest

from testkit import records


@pytest.fixture
def paged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two."""
    monkeypatch.setattr("tradehook.client._PAGE", 2)


def test_the_whole_list_in_one_file(run, admin, paged, tmp_path):
    """All pages under one header, the same on the terminal and in a file."""
    for number in range(5):
        run("strategies", "create", f"s{number}")
    shown = run("export", "audit")
    assert shown.code == 0
    rows = list(csv.DictReader(io.StringIO(shown.out.replace("\r\n", "\n"))))
    assert [row["action"] for row in rows].count("strategy.created") == 5
    assert "audit_id" not in [row["audit_id"] for row in rows]
    target = tmp_path / "audit.csv"
    assert run("export", "audit", "--out", target).code == 0
    written = target.read_bytes().decode()
    assert written.count("\r\n") >= 6
    assert list(csv.DictReader(io.StringIO(written, newline=""))) == rows


def test_filters(run, admin):
    """Those of the route, by name. A wrong one is refused, and writes nothing."""
    records.add_user("7")
    assert run("export", "trades", "symbol=BTCUSDT", "from=2026-01-01", "--user", "7").out.startswith(
        "trade_id,"
    )
    refused = run("export", "trades", "symbl=BTCUSDT")
    assert (refused.code, refused.out) == (1, "")
    assert "symbol" in refused.err


def test_no_file_is_overwritten(run, admin, tmp_path):
    """An export of yesterday stays."""
    target = tmp_path / "x.csv"
    target.write_text("mine")
    assert run("export", "orders", "--out", target).code == 1
    assert target.read_text() == "mine"
    missing = tmp_path / "new.csv"
    assert run("export", "orders", "colour=red", "--out", missing).code == 1
    assert not missing.exists()
