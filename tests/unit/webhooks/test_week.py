"""A week of receivers that limit, fail, lie about `Retry-After` and recover.

Nothing lost, nothing too often, and the counters balance.
"""

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

from chalicelib.webhooks.delivery import schedule
from chalicelib.webhooks.models import Outcome

from .conftest import OK, START, World

DUE = list(accumulate(schedule.DELAYS))
LIES = (
    "0",
    "1",
    "-5",
    "soon",
    "Mon, 02 Mar 2020 12:00:00 GMT",
    "Mon, 02 Mar 2026 12:00:00 +99999999999999999999",
    "9" * 30,
    "",
)
Receiver = Callable[[dict[str, Any]], Outcome]


def failing(status: int, retry_after: str | None = None) -> Outcome:
    return Outcome(status=status, error=f"http_{status}", duration_ms=3, retry_after=retry_after)


def limits() -> Receiver:
    """Takes one request in two seconds; the others must come back after eight."""
    free = [START]

    def answer(sent: dict[str, Any]) -> Outcome:
        if sent["at"] < free[0]:
            return failing(429, "8")
        free[0] = sent["at"] + timedelta(seconds=2)
        return OK

    return answer


def is_down_for_two_days(sent: dict[str, Any]) -> Outcome:
    return failing(503, "3600") if timedelta(days=1) <= sent["at"] - START < timedelta(days=3) else OK


def lies(dice: random.Random) -> Receiver:
    """Fails half of the time in the first three days, with a useless `Retry-After`."""

    def answer(sent: dict[str, Any]) -> Outcome:
        if sent["at"] - START < timedelta(days=3) and dice.random() < 0.5:
            return failing(dice.choice([429, 503]), dice.choice(LIES))
        return OK

    return answer


def dislikes_some(sent: dict[str, Any]) -> Outcome:
    return failing(400) if '"bad"' in sent["body"] else OK


def test_a_week(world: World) -> None:
    """Every event that a receiver accepts at some time arrives.

    An event that it never accepts is given up by time, and its owner is notified.
    """
    dice = random.Random(7)
    world.jitter = dice.random
    receivers = {
        "limits": limits(),
        "down": is_down_for_two_days,
        "lies": lies(dice),
        "dislikes": dislikes_some,
        "fine": lambda _: OK,
    }
    ids = {
        name: str(world.subscribe(url=f"https://example.com/{name}", name=name)["id"]) for name in receivers
    }
    made: dict[str, list[tuple[datetime, Outcome]]] = defaultdict(list)

    def answer(sent: dict[str, Any]) -> Outcome:
        outcome = receivers[sent["url"].rpartition("/")[2]](sent)
        made[sent["id"]].append((sent["at"], outcome))
        return outcome

    world.answer = answer
    events = 0
    for day in range(7):
        for hour in (0, 13):
            world.until(START + timedelta(days=day, hours=hour))
            burst = 10 if (day, hour) == (0, 13) else 1
            kinds = ["bad" if (day, hour) == (1, 0) else "good"] * burst
            world.publish(
                *(
                    world.event(entity=f"order#{events + number}", kind=kind)
                    for number, kind in enumerate(kinds)
                )
            )
            events += burst
    world.until(START + timedelta(days=9))

    for name, webhook_id in ids.items():
        dead = 1 if name == "dislikes" else 0
        counters = world.counters(int(webhook_id))
        assert counters == {
            "matched": events,
            "delivered": events - dead,
            "dead": dead,
            "pending": 0,
            "paused": 0,
            "failing": dead,
        }, name
        assert world.webhook(int(webhook_id)).is_active
    notices = [row["payload"] for row in world.rows("outbox") if row["type"] == "webhook.delivery_dead"]
    assert [(notice["name"], notice["event_type"]) for notice in notices] == [("dislikes", "order.filled")]
    [given_up] = [delivery for delivery in world.deliveries() if delivery.state == "dead"]
    times = [at for at, _ in made[given_up.delivery_id]]
    assert times[-1] - times[0] >= schedule.LENGTH
    for attempts in made.values():
        check_pace(attempts)
    assert len(world.attempts()) == len(world.sent)


def check_pace(attempts: list[tuple[datetime, Outcome]]) -> None:
    """Each wait is the schedule's own, or the longer one the receiver asked for.

    The latter grows with the schedule as well.
    """
    tries = 0
    for (at, outcome), (following, _) in pairwise(attempts):
        own = schedule.DELAYS[min(tries, len(schedule.DELAYS) - 1)]
        asked = schedule.parse_retry_after(outcome.retry_after, at)
        if asked is not None and asked > 1.2 * own:
            passed = bisect_right(DUE, at - attempts[0][0])
            assert following - at >= max(asked, 0.8 * schedule.DELAYS[max(passed - 1, 0)])
        else:
            assert following - at >= 0.8 * own
            tries += 1
