"""One attempt at one delivery: claim it, send it, record what came of it.

At least once: the queue message is done with only when the outcome is in the ledger; if this process dies
before, the message comes back, the claim has run out by then, and the attempt is made again under the same
`webhook-id`.
"""

import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import ClientError

from chalicelib import aws
from chalicelib.errors import Retryable
from chalicelib.telemetry import log
from chalicelib.users import entitlement
from chalicelib.webhooks import circuit_breaker, delivery_store, endpoint_store, queue, schedule, sign
from chalicelib.webhooks.fan_out import message
from chalicelib.webhooks.models import Delivery, Outcome, State, Status, Webhook, stamp
from chalicelib.webhooks.notices import delivery_dead

CLAIM = timedelta(seconds=75)  # longer than the function may run, shorter than its queue's visibility time
_SOON = timedelta(seconds=1)
_TRIES = 5
_INVALID = (
    "ValidationException",
    "TransactionCanceledException",
)  # what DynamoDB says of an item that it cannot store


class Post(Protocol):
    """Makes one HTTP attempt; `send.Sender.post`."""

    def __call__(self, url: str, headers: dict[str, str], body: str) -> Outcome:
        """What came of it."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a delivery needs of the world."""

    post: Post
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    jitter: Callable[[], float] = field(default=random.random)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A delivery whose attempt nobody else makes now."""

    delivery: Delivery
    webhook: Webhook
    began: datetime


@dataclass(frozen=True, slots=True)
class _Attempted:
    """An attempt that has been made. `headers` are those sent, masked."""

    claimed: Delivery
    webhook: Webhook
    outcome: Outcome
    began: datetime
    headers: dict[str, str]

    def without_answer(self) -> "_Attempted":
        """The same attempt, without the words of the answer."""
        return replace(
            self,
            outcome=self.outcome.model_copy(
                update={"response_headers": {}, "response_body": "", "truncated": True}
            ),
        )

    def results(self) -> dict[str, Any]:
        """What the delivery keeps of it."""
        return {
            "attempted": True,
            "failed": self.outcome.error is not None,
            "response_status": self.outcome.status,
            "duration_ms": self.outcome.duration_ms,
            "error": self.outcome.error,
            "claimed_until": None,
        }

    def record(self, now: datetime) -> aws.Write:
        """What the history keeps of it."""
        outcome = self.outcome.model_dump(mode="json", exclude={"status", "retry_after"})
        sent = {"request_headers": self.headers, "request_body": self.claimed.body(self.webhook.format)}
        item = (
            {"number": self.claimed.attempts, "at": stamp(self.began), "response_status": self.outcome.status}
            | sent
            | outcome
        )
        return delivery_store.attempt_write(self.claimed.delivery_id, self.claimed.attempts, item, now)


class _GroupCommit:
    """Writes outcomes that come in side by side.

    Those that come in while one transaction is under way go into the next together.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[tuple[delivery_store.Change, list[bool]]] = []

    def write(self, change: delivery_store.Change, now: datetime) -> bool:
        """Whether the change was written; if not, it is to be written by itself."""
        written: list[bool] = []
        with self._lock:
            self._waiting.append((change, written))
        with self._writing:
            if not written:
                self._write_waiting(now)
        return written[0]

    def _write_waiting(self, now: datetime) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        done = False
        try:
            done = delivery_store.change_together([change for change, _ in waiting], now)
        finally:
            for _, written in waiting:
                written.append(done)


def deliver_all(
    wanted: Mapping[str, int], dependencies: Dependencies, pool: Executor
) -> dict[str, str | Exception]:
    """Makes the attempts that are due, side by side, with as few calls to AWS as that takes.

    Args:
        wanted: The subscription of each delivery, up to ten.

    Returns:
        By delivery what became of it, in a word for the log, or the fault for which the queue has to bring
        its message again.
    """
    together = _GroupCommit()
    owners = entitlement.Owners()
    claims = _claim_all(wanted, dependencies.clock(), owners) if len(wanted) > 1 else {}

    def one(delivery_id: str) -> str | Exception:
        try:
            if claim := claims.get(delivery_id):
                return _word(_make(claim, dependencies, together))
            return deliver(delivery_id, wanted[delivery_id], dependencies, owners)
        except Exception as fault:  # noqa: BLE001 - one delivery's fault is not the others'
            log.exception("delivery failed", extra={"webhook_id": wanted[delivery_id]})
            return fault

    return dict(zip(wanted, pool.map(one, wanted), strict=True))


def deliver(delivery_id: str, webhook_id: int, dependencies: Dependencies, owners: entitlement.Owners) -> str:
    """Makes the attempt that is due, if one is; returns what became of the delivery, in a word for the log.

    Raises:
        Retryable: The ledger is contended; nothing is lost, let the queue bring the message again.
    """
    for _ in range(_TRIES):
        now = dependencies.clock()
        item, webhook_item = aws.get_many(
            [
                (delivery_store.TABLE, delivery_store.key(delivery_id)),
                ("webhooks", endpoint_store.key(webhook_id)),
            ]
        )
        delivery = delivery_store.from_item(item) if item else None
        if delivery is None or not _is_due(delivery, now):
            return "nothing_due"
        webhook = endpoint_store.from_item(webhook_item) if webhook_item else None
        try:
            if webhook and webhook.is_active and not circuit_breaker.is_permitted(webhook, owners, now):
                webhook = endpoint_store.get(webhook_id)
            return _proceed(delivery, webhook, dependencies, now)
        except (delivery_store.Changed, aws.WriteRefused):
            continue  # somebody changed the delivery or its subscription: look again
    raise Retryable("a delivery is contended")


def attempt(delivery: Delivery, webhook: Webhook, dependencies: Dependencies) -> tuple[Delivery, bool]:
    """Makes an attempt and records it; returns the delivery as it then stands, and whether it was delivered.

    Raises:
        ledger.Changed: Somebody else has the delivery; no attempt was made.
    """
    began = dependencies.clock()
    claimed = delivery_store.change(delivery, began, **_claim(delivery, began))
    return _make(_Claimed(claimed, webhook, began), dependencies, _GroupCommit())


def _claim_all(wanted: Mapping[str, int], now: datetime, owners: entitlement.Owners) -> dict[str, _Claimed]:
    """Claims the attempts that can go at once, in one transaction.

    What is not among the claimed is to be looked at by itself.
    """
    webhook_ids = sorted(set(wanted.values()))
    keys = [(delivery_store.TABLE, delivery_store.key(delivery_id)) for delivery_id in wanted]
    items = aws.get_many(
        [*keys, *(("webhooks", endpoint_store.key(webhook_id)) for webhook_id in webhook_ids)]
    )
    webhooks = {
        id_: endpoint_store.from_item(item)
        for id_, item in zip(webhook_ids, items[len(wanted) :], strict=True)
        if item
    }
    owners.prepare(webhook.owner for webhook in webhooks.values() if webhook.is_active)
    webhooks = {
        id_: webhook for id_, webhook in webhooks.items() if owners.entitled(webhook.owner, webhook.stream)
    }
    claims: dict[str, tuple[delivery_store.Change, Webhook]] = {}
    for item in items[: len(wanted)]:
        delivery = delivery_store.from_item(item) if item else None
        webhook = webhooks.get(delivery.webhook_id) if delivery else None
        if (
            delivery
            and webhook
            and webhook.is_active
            and _is_due(delivery, now)
            and (delivery.slotted or not webhook.rate_limit)
        ):
            claims[delivery.delivery_id] = (
                delivery_store.plan_change(delivery, now, **_claim(delivery, now)),
                webhook,
            )
    if len(claims) > 1 and delivery_store.change_together([change for change, _ in claims.values()], now):
        return {
            delivery_id: _Claimed(change.after, webhook, now)
            for delivery_id, (change, webhook) in claims.items()
        }
    return {}


def _claim(delivery: Delivery, began: datetime) -> dict[str, Any]:
    """What a claim sets."""
    return {
        "claimed_until": began + CLAIM,
        "attempts": delivery.attempts + 1,
        "tries": delivery.tries + 1,
        "first_attempt_at": delivery.first_attempt_at or began,
        "slotted": False,
        "look_at": began + delivery_store.GRACE,
    }


def _make(claim: _Claimed, dependencies: Dependencies, together: _GroupCommit) -> tuple[Delivery, bool]:
    claimed, webhook = claim.delivery, claim.webhook
    body = claimed.body(webhook.format)
    headers = sign.headers(
        webhook,
        event_type=claimed.type,
        event_id=claimed.event_id,
        message_id=claimed.delivery_id,
        sequence=claimed.sequence,
        body=body,
        now=claim.began,
    )
    outcome = dependencies.post(webhook.url, headers, body)
    log.info(
        "delivery attempted",
        extra={
            "signal_id": claimed.signal_id,
            "event_id": claimed.event_id,
            "delivery_id": claimed.delivery_id,
            "webhook_id": webhook.webhook_id,
            "status": outcome.status,
            "error": outcome.error,
            "duration_ms": outcome.duration_ms,
        },
    )
    made = _Attempted(claimed, webhook, outcome, claim.began, sign.mask_headers(headers, webhook))
    return _record(made, dependencies, together), outcome.error is None


def _word(made: tuple[Delivery, bool]) -> str:
    after, delivered = made
    return "delivered" if delivered else str(after.state)


def _is_due(delivery: Delivery, now: datetime) -> bool:
    """Whether an attempt is due, and nobody is making it."""
    if delivery.state is not State.PENDING or delivery.blocked:
        return False
    if delivery.claimed_until and delivery.claimed_until > now:
        return False
    return delivery.next_retry_at is None or delivery.next_retry_at <= now + _SOON


def _proceed(delivery: Delivery, webhook: Webhook | None, dependencies: Dependencies, now: datetime) -> str:
    if webhook is None or webhook.status is Status.DELETED:
        gone = delivery_store.change(
            delivery, now, state=State.DEAD, error="webhook_deleted", next_retry_at=None, claimed_until=None
        )
        _wake(gone, now)
        return "dead"
    if not webhook.is_active:
        off = endpoint_store.not_active_write(webhook.webhook_id)
        delivery_store.change(delivery, now, off, state=State.PAUSED, next_retry_at=None, claimed_until=None)
        return "paused"
    if webhook.rate_limit and not delivery.slotted:
        place = endpoint_store.slot_at(webhook, now)
        if place > now + _SOON:
            _wait_for(delivery, place, now)
            return "rate_limited"
    return _word(attempt(delivery, webhook, dependencies))


def _wait_for(delivery: Delivery, place: datetime, now: datetime) -> None:
    """Puts a delivery off to its place under the rate limit."""
    later = put_off(delivery, place, now, slotted=True)
    if place - now <= queue.REACH:
        queue.send([(message(later), place)], now)


def put_off(delivery: Delivery, at: datetime, now: datetime, *also: aws.Write, **sets: Any) -> Delivery:
    """Sets a delivery's time. Up to a quarter of an hour off its caller queues it.

    What is later the sweep finds when it is due.
    """
    look_at = at + delivery_store.GRACE if at - now <= queue.REACH else at
    return delivery_store.change(
        delivery, now, *also, look_at=look_at, **{"next_retry_at": at, "claimed_until": None} | sets
    )


def _record(made: _Attempted, dependencies: Dependencies, together: _GroupCommit) -> Delivery:
    for again in range(_TRIES):
        now = dependencies.clock()
        try:
            if made.outcome.error is None:
                return _delivered(made, now, None if again else together)
            return _failed(made, now, dependencies.jitter())
        except delivery_store.Changed as changed:
            # A next delivery has been chained to it meanwhile, or the claim ran out and somebody else took
            # over.
            current, claimed = changed.now, made.claimed
            if (
                current is None
                or current.attempts != claimed.attempts
                or current.claimed_until != claimed.claimed_until
            ):
                return claimed
            made = replace(made, claimed=current)
        except ClientError as fault:
            if again == _TRIES - 1 or fault.response["Error"]["Code"] not in _INVALID:
                raise
            if again:  # the first time others' outcomes were in the same transaction
                log.error(
                    "answer not stored, storing the attempt without it",
                    extra={"delivery_id": made.claimed.delivery_id},
                )
                made = made.without_answer()
        except aws.WriteRefused:
            # Switched on again while the delivery was to be paused.
            made = replace(made, webhook=endpoint_store.get(made.webhook.webhook_id) or made.webhook)
    return made.claimed


def _delivered(made: _Attempted, now: datetime, together: _GroupCommit | None) -> Delivery:
    change = delivery_store.plan_change(
        made.claimed,
        now,
        made.record(now),
        state=State.DELIVERED,
        delivered_at=now,
        next_retry_at=None,
        **made.results(),
    )
    if together is None or not together.write(change, now):
        delivery_store.write(change, now)
    if made.webhook.failing_since:
        endpoint_store.set_failing(made.webhook, None)
    _wake(made.claimed, now)
    return change.after


def _failed(made: _Attempted, now: datetime, jitter: float) -> Delivery:
    claimed, webhook = made.claimed, made.webhook
    if webhook.failing_since is None:
        endpoint_store.set_failing(webhook, made.began)
    verdict = _verdict(made, now, jitter)
    if verdict.switch_off and webhook.is_active:
        # Before the delivery is paused: paused deliveries of an active endpoint would wait for nobody.
        circuit_breaker.switch_off(webhook, verdict.switch_off, now, jitter)
    if not webhook.is_active or verdict.next is schedule.Next.HOLD:
        off = endpoint_store.not_active_write(webhook.webhook_id)
        after = delivery_store.change(
            claimed, now, made.record(now), off, state=State.PAUSED, next_retry_at=None, **made.results()
        )
    elif verdict.at is None:
        notice = delivery_dead(webhook, claimed, now, status=made.outcome.status, error=made.outcome.error)
        after = delivery_store.change(
            claimed, now, made.record(now), *notice, state=State.DEAD, next_retry_at=None, **made.results()
        )
    else:
        tries = claimed.tries - verdict.postponed
        after = put_off(claimed, verdict.at, now, made.record(now), tries=tries, **made.results())
        if verdict.at - now <= queue.REACH:
            queue.send([(message(after), verdict.at)], now)
    _wake(claimed, now)
    return after


def _verdict(made: _Attempted, now: datetime, jitter: float) -> schedule.Verdict:
    """What the attempt leads to.

    An answer that cannot be judged leads to a retry of the schedule, so that it is recorded all the same.
    """
    try:
        return schedule.after_failure(
            tries=made.claimed.tries,
            status=made.outcome.status,
            retry_after=made.outcome.retry_after,
            first_attempt_at=made.claimed.first_attempt_at or made.began,
            failing_since=made.webhook.failing_since or made.began,
            now=now,
            jitter=jitter,
            postponed=made.claimed.attempts - made.claimed.tries,
        )
    except Exception:  # noqa: BLE001 - a fault in judging must not keep the attempt from being recorded
        log.exception(
            "answer not judged, retrying by the schedule", extra={"delivery_id": made.claimed.delivery_id}
        )
        return schedule.own_retry(made.claimed.tries, now, jitter)


def _wake(before: Delivery, now: datetime) -> None:
    """Queues the next delivery that the change of `before` has let go.

    Should this fail, the sweep finds it.
    """
    if before.next_delivery_id and not before.attempted:
        queue.send([(message(before.model_copy(update={"delivery_id": before.next_delivery_id})), now)], now)
