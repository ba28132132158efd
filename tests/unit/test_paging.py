"""Pages of lists, filtered ones too: their items, their cursors, and the cost of their reads."""

from decimal import Decimal
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib import aws, paging, request_limits, table_keys
from chalicelib.paging import Page
from infra import stack

pytestmark = pytest.mark.usefixtures("emulated")


@pytest.fixture
def looked_at(monkeypatch):
    """The number of items that each call has read."""
    seen: list[int] = []
    real = BaseClient._make_api_call

    def noted(client: BaseClient, name: str, arguments: Any) -> Any:
        answer = real(client, name, arguments)
        seen.append(int(answer.get("ScannedCount", 0)))
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return seen


def store(count: int, every: int) -> None:
    """Stores `count` events of one stream, one in `every` of them rare."""
    for number in range(1, count + 1):
        aws.write(
            aws.put_write(
                "events",
                {"stream": "s", "sequence": Decimal(number), "kind": "usual" if number % every else "rare"},
            )
        )


def read(page: Page, **only: Any) -> tuple[list[int], int | None, aws.Item | None]:
    answer = paging.answer(
        "events", "#stream = :stream", page, lambda item: int(item["sequence"]), stream="s", **only
    )
    following = answer.body["next"]
    return answer.body["items"], answer.body["total"], paging._position(following) if following else None


RARE = {"filter_expression": "kind = :kind", "kind": "rare"}


def test_a_filter_that_lets_few_through_gives_full_pages_that_go_on_where_they_ended() -> None:
    store(60, every=10)
    first, total, following = read(Page(2, 0, None), **RARE)
    second, _, following = read(Page(2, 0, following), **RARE)
    third, _, following = read(Page(9, 0, following), **RARE)
    assert (first, second, third) == ([10, 20], [30, 40], [50, 60])
    assert total == 6
    assert following is None


def test_an_offset_counts_what_the_filter_lets_through() -> None:
    store(60, every=10)
    assert read(Page(2, 3, None), **RARE)[0] == [40, 50]


def test_a_filter_looks_at_so_many_and_no_more(monkeypatch, looked_at) -> None:
    monkeypatch.setattr(paging, "LOOKED_AT", 20)
    store(60, every=50)
    found, total, following = read(Page(5, 0, None), **RARE)
    assert (found, total) == ([], None)
    assert sum(looked_at) <= 5 + 20 + 20
    assert following is not None
    pages = 0
    while not found:
        found, _, following = read(Page(5, 0, following), **RARE)
        pages += 1
    assert found == [50]
    assert pages == 1


def test_totals_end_where_counting_them_would_cost(monkeypatch, looked_at) -> None:
    monkeypatch.setattr(request_limits, "COUNTED", 10)
    store(30, every=2)
    assert read(Page(5, 0, None))[1] is None
    assert sum(looked_at) == 5 + 11
    assert read(Page(5, 0, None), **RARE)[1] is None


def test_the_keys_of_cursors_are_the_tables():
    """The keys that a cursor may hold are those of `infra/stack.yaml`."""
    kinds = {"S": str, "N": int}

    def attributes(key):
        return {pair[0]: kinds[pair[1]] for pair in (key.hash, key.range) if pair}

    tables = stack.load().source.tables
    assert {name: attributes(tables[name].key) for name in table_keys.TABLES} == table_keys.TABLES
    indexes = {
        (name, index): attributes(key)
        for name in table_keys.TABLES
        for index, key in tables[name].indexes.items()
    }
    assert indexes == table_keys.INDEXES
