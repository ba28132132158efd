"""Events get their places in their streams."""

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.events import log, publish
from chalicelib.events import outbox as checked_outbox
from chalicelib.events.models import ADMIN_STREAM, Event, user_stream
from chalicelib.events.outbox import event_write as write_unchecked  # payloads here are versions only
from chalicelib.realtime import resume
from functions import publish_events
from testkit import pump
from testkit.gateway import CONTEXT, stream_event

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
        aws.write(checked_outbox.event_write(event))
    assert publish.publish([(user_stream(str(index)), f"e{index:03}") for index in range(number)]) == number
    assert [event.event_id for event in log.after(ADMIN_STREAM, 0, 100)] == [
        f"e{index:03}" for index in range(number)
    ]
    assert all(log.last(user_stream(str(index))) == 1 for index in range(number))


def _event(entity, version, user="1", at=0, type_="order.filled"):
    return Event(
        event_id=f"{entity.replace('#', '')}v{version}",
        type=type_,
        payload={"version": version},
        entity=entity,
        user_id=user,
        created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at),
    )


def _put(event):
    aws.write(write_unchecked(event))
    return (event.owner, event.event_id)


def _counter(stream=ADMIN_STREAM):
    return aws.get("events", {"stream": stream, "sequence": 0})


def test_versions_of_an_entity_are_told_in_their_order():
    """Whatever the clocks and the stream's records say.

    The events of one transaction may stand there in any order.
    """
    keys = [
        _put(_event("order#a", 2, at=1)),
        _put(_event("order#b", 1, at=2)),
        _put(_event("order#a", 1, at=3)),
    ]
    assert publish.publish(keys[:1]) == 3
    told = [(event.entity, event.payload["version"]) for event in log.after(user_stream("1"), 0, 10)]
    assert told == [("order#a", 1), ("order#b", 1), ("order#a", 2)]


def test_an_owner_with_very_many_events():
    """Beyond the read limit of an owner, the requested events are still published, and no event twice."""
    keys = [_put(_event(f"order#{index:03}", 1, at=index)) for index in range(130)]
    for some in (
        keys[100:124],
        keys,
    ):  # the newest first: none of them is among the hundred that are read
        records = [{"owner": owner, "event_id": event_id} for owner, event_id in some]
        publish_events.handler(stream_event(records), CONTEXT)
    assert pump.items("outbox") == []
    assert [event.sequence for event in log.after(ADMIN_STREAM, 0, 500)] == list(range(1, 131))
    assert {event.event_id for event in log.after(ADMIN_STREAM, 0, 500)} == {event_id for _, event_id in keys}


def test_counters_keep_no_notes():
    """A counter notes numbers only while their events are being published."""
    publish.publish([_put(_event("order#a", 1)), _put(_event("order#b", 1, user="2"))])
    assert _counter() == {"stream": ADMIN_STREAM, "sequence": 0, "last": 2}


def test_numbers_of_a_crashed_publisher_are_kept(monkeypatch):
    """A numbered but unlogged event gets the same number from the next publisher, next to a new event."""
    first = _put(_event("order#a", 1))
    monkeypatch.setattr(aws, "put_many", lambda *_: (_ for _ in ()).throw(Retryable("crash")))
    with pytest.raises(Retryable):
        publish.publish([first])
    monkeypatch.undo()
    second = _put(_event("order#b", 1, user="2", at=5))
    assert publish.publish([second]) == 1
    assert publish.publish([first]) == 1
    assert [(event.entity, event.sequence) for event in log.after(ADMIN_STREAM, 0, 10)] == [
        ("order#a", 1),
        ("order#b", 2),
    ]
    assert _counter() == {"stream": ADMIN_STREAM, "sequence": 0, "last": 2}


def test_a_replay_waits_for_a_number_that_is_being_logged(monkeypatch):
    """Between number and log entry a reader waits, and the event does not count as lost.

    After a while the reader goes on without it.
    """
    publish.publish([_put(_event("order#a", 1))])
    monkeypatch.setattr(resume, "_WAIT_S", 0)
    publish._number(ADMIN_STREAM, ["slow"])
    publish.publish([_put(_event("order#b", 1, at=5))])
    found = resume.missed_events(ADMIN_STREAM, 0)
    assert (found.recovered, found.last, [event.sequence for event in found.events]) == (True, 1, [1])
    monkeypatch.setattr(resume.time, "sleep", lambda _: aws.put_many("events", [_log_entry("slow", 2)]))
    found = resume.missed_events(ADMIN_STREAM, 0)
    assert (found.recovered, [event.sequence for event in found.events]) == (True, [1, 2, 3])


def test_what_the_log_has_forgotten_is_not_recovered():
    """A gap that no publisher is at is one of age."""
    publish.publish([_put(_event(f"order#{index}", 1, at=index)) for index in range(3)])
    aws.delete_many("events", [{"stream": ADMIN_STREAM, "sequence": 1}])
    assert not resume.missed_events(ADMIN_STREAM, 0).recovered


def _log_entry(event_id, sequence):
    entry = publish._entry(
        _event("order#slow", 1).model_copy(update={"event_id": event_id}), ADMIN_STREAM, sequence
    )
    return publish._log_item(entry)


def _shard(key, shards):
    """The shard of a partition key: by its hash, as DynamoDB places it."""
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest()[:4]) % shards


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("shards", [1, 4])
def test_several_shards_in_random_phase(shards, seed, monkeypatch):
    """Four shards publish concurrently.

    None fails, no number is missing or given twice, and each entity's events are in order.
    """
    chance = random.Random(f"{shards}-{seed}")
    pauses = random.Random(seed)
    write = aws.write
    monkeypatch.setattr(
        aws, "write", lambda *given, **more: (time.sleep(pauses.uniform(0, 0.003)), write(*given, **more))[1]
    )
    told = []
    announcing = threading.Lock()

    def announce(events):
        with announcing:
            told.extend(events)

    monkeypatch.setattr(publish.topic, "publish_to_topic", announce)
    queues = [[] for _ in range(shards)]
    at = 0
    for version in range(1, 4):
        for entity in range(20):
            at += 1
            key = _put(_event(f"order#{entity}", version, user=str(entity % 7), at=at))
            queues[_shard(key[0], shards)].append(key)

    def read(queue):
        while queue:
            time.sleep(chance.uniform(0, 0.01))
            batch = queue[: chance.randint(1, 8)]
            chance.shuffle(batch)
            publish.publish(batch)
            del queue[: len(batch)]
        return True

    with ThreadPoolExecutor(shards) as pool:
        assert all(pool.map(read, queues))
    everything = list(log.after(ADMIN_STREAM, 0, 500))
    assert [event.sequence for event in everything] == list(range(1, 61))
    assert len({event.event_id for event in everything}) == 60
    for stream in (ADMIN_STREAM, *(user_stream(str(user)) for user in range(7))):
        for entity in {event.entity for event in told if event.stream == stream}:
            versions = [
                event.payload["version"] for event in told if (event.stream, event.entity) == (stream, entity)
            ]
            assert versions == [1, 2, 3], (stream, entity)


def test_the_sweep_leaves_new_events_to_their_publisher():
    """Only overdue events are swept, not the owner's newer ones."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    _put(_event("order#old", 1))
    _put(_event("order#new", 1, at=60_000))
    assert publish.sweep(timedelta(seconds=30), now + timedelta(seconds=61)) == 1
    assert [event.entity for event in log.after(ADMIN_STREAM, 0, 10)] == ["order#old"]
