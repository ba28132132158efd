"""The hash chain over the audit trail finds every alteration."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chalicelib import aws
from chalicelib.audit import chain, record

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


@pytest.fixture
def trail(emulated):
    """Five entries of March in two links; returns their ids, oldest first."""
    ids = []
    for n in range(5):
        if n == 3:
            assert chain.link(AT + timedelta(minutes=12)) == 3
        put = record.write(
            record.Change(
                "1",
                "x",
                "y#1",
                "7",
                AT + timedelta(minutes=n * 5),
                {"n": n},
                {"n": Decimal("1.50"), "l": [None, True]},
            )
        )
        aws.write(put)
        ids.append(put["Put"]["Item"]["audit_id"]["S"])
    assert chain.link(LATER) == 2
    return ids


def problems(at=LATER + timedelta(hours=1)):
    return chain.verify("2026-03", at)["problems"]


def test_an_intact_chain(trail):
    """An untouched chain is valid; a second sweep links nothing twice."""
    assert chain.link(LATER) == 0
    found = chain.verify("2026-03", LATER)
    assert (found["entries"], found["links"], found["problems"]) == (5, 2, [])
    assert len(found["head"]) == 64
    assert chain.verify("2026-04", LATER) == {
        "month": "2026-04",
        "entries": 0,
        "links": 0,
        "head": None,
        "problems": [],
    }


def test_an_altered_entry(trail):
    """Another value, also with a matching hash of its own."""
    key = {"audit_id": trail[1]}
    aws.write(aws.update_write("audit", key, "SET #by = :by", by="2"))
    assert problems() == [f"entry {trail[1]} is not as it was written"]
    aws.write(
        aws.update_write("audit", key, "SET #hash = :hash", hash=record.content_hash(aws.get("audit", key)))
    )
    assert problems() == [f"entry {trail[1]} is not as it was written"]


def test_a_removed_entry(trail):
    """An entry that is gone."""
    aws.write(aws.delete_write("audit", {"audit_id": trail[4]}))
    assert problems() == [f"entry {trail[4]} is missing"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_removed_or_altered_link(trail, number):
    """If a link is missing or changed, the last one included, its entries are no longer linked."""
    key = {"audit_id": f"chain#2026-03#{number:08}"}
    aws.write(aws.update_write("audit", key, "SET #before = :before", before="0" * 64))
    assert f"link {number} does not follow from the one before it" in problems()
    aws.write(aws.delete_write("audit", key))
    # Without its first link a chain proves nothing; without its last one it ends earlier.
    missing, unlinked = (["link 1 is missing"], trail) if number == 1 else ([], trail[3:])
    assert sorted(problems()) == sorted([*missing, *(f"entry {each} is not linked" for each in unlinked)])


def test_an_entry_that_was_slipped_in(trail):
    """An entry older than the chain's end, written past it."""
    put = record.write(record.Change("1", "x", "y#1", "7", AT + timedelta(minutes=1)))
    aws.write(put)
    assert problems() == [f"entry {put['Put']['Item']['audit_id']['S']} is not linked"]


def test_an_entry_is_written_once(trail):
    """The write of an entry replaces none."""
    put = record.write(record.Change("1", "x", "y#1", "7", AT))
    aws.write(put)
    with pytest.raises(aws.WriteRefused):
        aws.write(put)


def test_the_route_is_for_admins(api):
    """An admin verifies a month; others do not, and a month is a month."""
    assert api("7", "GET", "/audit/verify")[0] == 403
    status, found = api("1", "GET", "/audit/verify")
    assert (status, found["intact"], found["month"]) == (200, True, f"{datetime.now(UTC):%Y-%m}")
    assert api("1", "GET", "/audit/verify", query={"month": "2026-13"})[1]["code"] == "invalid_time"


def test_a_month_ends_in_its_own_chain(emulated):
    """An entry from the last minute of a month is linked in that month's chain."""
    aws.write(record.write(record.Change("1", "x", "y", None, datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC))))
    assert chain.link(datetime(2026, 4, 1, 0, 2, tzinfo=UTC)) == 1
    assert chain.verify("2026-03", datetime(2026, 4, 1, 1, tzinfo=UTC))["links"] == 1
