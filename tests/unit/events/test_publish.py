"""Events get their places in their streams."""

from datetime import UTC, datetime

import pytest

from chalicelib import aws
from chalicelib.events import log, outbox, publish
from chalicelib.events.models import ADMIN_STREAM, Event, user_stream

pytestmark = pytest.mark.usefixtures("emulated")


def test_of_as_many_users_as_there_are_events():
    """A full batch, each event of another user, fits into the hundred writes of a transaction."""
    number = publish.BATCH + 1
    for index in range(number):
        event = Event(
            event_id=f"e{index:03}",
            type="test.happened",
            payload={},
            entity=f"order#{index}",
            user_id=str(index),
            created_at=datetime(2026, 1, 1, 0, 0, index, tzinfo=UTC),
        )
        aws.write(outbox.write(event))
    assert publish.publish([f"e{index:03}" for index in range(number)]) == number
    assert [event.event_id for event in log.after(ADMIN_STREAM, 0, 100)] == [f"e{index:03}" for index in range(number)]
    assert all(log.last(user_stream(str(index))) == 1 for index in range(number))
