"""The bare script that a figure is measured against makes the calls it was shown, as new ones."""

import json

import pytest
from botocore.client import BaseClient

from bench.harness import script, watched
from chalicelib import aws
from testkit import pump

pytestmark = pytest.mark.usefixtures("emulated")


def recorded():
    with watched() as calls:
        signal = {"signal_id": "s-1", "received_at": "now", "text": "about s-1"}
        aws.transact(
            [
                aws.put_write("signals", signal, "attribute_not_exists(signal_id)"),
                aws.update_write(
                    "counters",
                    {"name": "n"},
                    "SET #last = :one",
                    "attribute_not_exists(#last) OR #last < :most",
                    one=1,
                    most=5,
                ),
            ]
        )
        aws.get_many([("signals", {"signal_id": "s-1"})])
    return calls


def test_calls_are_watched_in_order_and_not_changed():
    before = BaseClient._make_api_call
    assert [(call.service, call.operation) for call in recorded()] == [
        ("dynamodb", "TransactWriteItems"),
        ("dynamodb", "BatchGetItem"),
    ]
    assert BaseClient._make_api_call is before


def test_the_script_makes_them_anew_whatever_is_there(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    bare = script(recorded())
    with watched() as calls:
        for _ in range(7):
            bare()
    assert [call.operation for call in calls] == ["TransactWriteItems", "BatchGetItem"] * 7
    stored = pump.items("signals")
    assert len({item["signal_id"] for item in stored}) == 8
    assert all(item["text"] == f"about {item['signal_id']}" for item in stored)


def test_other_words_are_replaced_too():
    bare = script(recorded(), {"about": "instead"})
    with watched() as calls:
        bare()
    assert "instead" in json.dumps(calls[0].arguments)
    assert "about" not in json.dumps(calls[0].arguments)
