"""What unit tests share."""

from collections.abc import Iterator
from functools import cache
from unittest.mock import patch

import jsonschema_rs
import pytest

from chalicelib import aws
from chalicelib.events import outbox
from chalicelib.events.models import Event
from chalicelib.webhooks import catalogue
from tests.support import cloud


@pytest.fixture
def emulated() -> Iterator[None]:
    """The stack's tables, queues and topics in this process, empty."""
    with cloud.emulated():
        yield


@pytest.fixture(autouse=True)
def _catalogued() -> Iterator[None]:
    """Every event that any test has the product write is of a type in the catalogue, and as its schema says."""
    write = outbox.write

    def checked(event: Event) -> aws.Write:
        if event.type != "t" and not event.type.startswith("test."):
            _validator(event.type).validate(outbox._strings(event.payload))
        return write(event)

    with patch.object(outbox, "write", checked):
        yield


@cache
def _validator(type_: str) -> jsonschema_rs.Draft202012Validator:
    found = catalogue.find(type_)
    assert found, f"{type_} is not in the catalogue of events"
    return jsonschema_rs.Draft202012Validator(found.json_schema)
