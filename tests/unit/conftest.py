"""What unit tests share."""

from collections.abc import Iterator
from functools import cache
from unittest.mock import patch

import jsonschema_rs
import pytest

from chalicelib import aws
from chalicelib.events import event_types, outbox
from chalicelib.events.models import Event
from chalicelib.users.create import create_user
from chalicelib.users.models import Role
from testkit import cloud
from testkit.api import Api
from testkit.records import add_user, bearer


@pytest.fixture
def emulated() -> Iterator[None]:
    """The stack's tables, queues and topics in this process, empty."""
    with cloud.emulated():
        yield


@pytest.fixture
def api(emulated: None) -> Api:
    """The API with an admin (1) and two users (7, 8), all signed in."""
    create_user(by="test", user_id=1, role=Role.ADMIN)
    create_user(by="test", user_id=7)
    create_user(by="test", user_id=8)
    api = Api()
    for user_id in ("1", "7", "8"):
        api.sign_in(user_id)
    return api


@pytest.fixture
def admin(emulated: None) -> dict[str, str]:
    """Headers of an administrator, user 1."""
    add_user("1", role="admin")
    return bearer("1")


@pytest.fixture
def user(emulated: None) -> dict[str, str]:
    """Headers of user 2."""
    add_user("2")
    return bearer("2")


@pytest.fixture(autouse=True)
def _catalogued() -> Iterator[None]:
    """Every event that a test makes the product write has a known type and fits its schema."""
    write = outbox.event_write

    def checked(event: Event) -> aws.Write:
        if event.type != "t" and not event.type.startswith("test."):
            _validator(event.type).validate(outbox._strings(event.payload))
        return write(event)

    with patch.object(outbox, "event_write", checked):
        yield


@cache
def _validator(type_: str) -> jsonschema_rs.Draft202012Validator:
    found = event_types.find(type_)
    assert found, f"{type_} is not in the catalogue of events"
    return jsonschema_rs.Draft202012Validator(found.json_schema)
