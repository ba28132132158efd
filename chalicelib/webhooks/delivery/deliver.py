"""One attempt at one delivery: claim the delivery, send the request, record the outcome.

At least once: the queue message is deleted only after the outcome is stored. If the process crashes before,
SQS redelivers the message after the claim has expired. The next attempt has the same `webhook-id`.
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
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import circuit_breaker, delivery_store, queue, schedule, sign
from chalicelib.webhooks.delivery.fan_out import message
from chalicelib.webhooks.models import Delivery, Outcome, State, Status, Webhook, stamp
from chalicelib.webhooks.notices import delivery_dead

CLAIM = timedelta(seconds=75)  # above the function's timeout, below the queue's visibility timeout
_SOON = timedelta(seconds=1)
_TRIES = 5
_INVALID = (
    "ValidationException",
    "TransactionCanceledException",
)  # DynamoDB's codes for an item that it cannot store


class Post(Protocol):
    """Makes one HTTP attempt; see `http_client.WebhookHttpClient.post`."""

    def __call__(self, url: str, headers: dict[str, str], body: str) -> Outcome:
        """Returns the outcome of one attempt."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What an attempt needs from outside: HTTP client, clock and jitter."""

    post: Post
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    jitter: Callable[[], float] = field(default=random.random)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A delivery that this worker has claimed."""

    delivery: Delivery
    webhook: Webhook
    began: datetime


@dataclass(frozen=True, slots=True)
class _Attempted:
    """A finished attempt. `headers` are the headers sent, masked."""

    claimed: Delivery
    webhook: Webhook
    outcome: Outcome
    began: datetime
    headers: dict[str, str]

    def without_answer(self) -> "_Attempted":
        """Returns the same attempt without the text of the answer."""
        return replace(
            self,
            outcome=self.outcome.model_copy(
                update={"response_headers": {}, "response_body": "", "truncated": True}
            ),
        )

    def results(self) -> dict[str, Any]:
        """Returns the fields of the delivery that the attempt sets."""
        return {
            "attempted": True,
            "failed": self.outcome.error is not None,
            "response_status": self.outcome.status,
            "duration_ms": self.outcome.duration_ms,
            "error": self.outcome.error,
            "claimed_until": None,
        }

    def record(self, now: datetime) -> aws.Write:
        """Returns the write of the attempt's record."""
        outcome = self.outcome.model_dump(mode="json", exclude={"status", "retry_after"})
        sent = {"request_headers": self.headers, "request_body": self.claimed.body(self.webhook.format)}
        item = (
            {"number": self.claimed.attempts, "at": stamp(self.began), "response_status": self.outcome.status}
            | sent
            | outcome
        )
        return delivery_store.attempt_write(self.claimed.delivery_id, self.claimed.attempts, item, now)


class _GroupCommit:
    """Writes concurrent outcomes together.

    Outcomes that arrive during a transaction share the next transaction.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: list[tuple[delivery_store.Change, list[bool]]] = []

    def write(self, change: delivery_store.Change, now: datetime) -> bool:
        """Returns whether the change was written. If not, the caller writes the change alone."""
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
    """Makes the due attempts concurrently, with as few calls to AWS as possible.

    Args:
        wanted: The subscription of each delivery, up to ten.

    Returns:
        By delivery its outcome as a word for the log, or the error for which SQS must redeliver the message.
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
    """Makes the due attempt, if any, and returns the outcome as a word for the log.

    Raises:
        Retryable: The delivery is contended. Nothing is lost: let SQS redeliver the message.
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
            return _claim_or_wait(delivery, webhook, dependencies, now)
        except (delivery_store.Changed, aws.WriteRefused):
            continue  # the delivery or its subscription was modified concurrently: read both again
    raise Retryable("a delivery is contended")


def attempt(delivery: Delivery, webhook: Webhook, dependencies: Dependencies) -> tuple[Delivery, bool]:
    """Makes an attempt, records it, and returns the new delivery and whether it was delivered.

    Raises:
        delivery_store.Changed: Another worker has the delivery. No attempt was made.
    """
    began = dependencies.clock()
    claimed = delivery_store.change(delivery, began, **_claim(delivery, began))
    return _make(_Claimed(claimed, webhook, began), dependencies, _GroupCommit())


def _claim_all(wanted: Mapping[str, int], now: datetime, owners: entitlement.Owners) -> dict[str, _Claimed]:
    """Claims the attempts that can go at once, in one transaction.

    The caller handles every other delivery alone.
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
    """Returns the fields that a claim sets."""
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
    """Returns whether an attempt is due and unclaimed."""
    if delivery.state is not State.PENDING or delivery.blocked:
        return False
    if delivery.claimed_until and delivery.claimed_until > now:
        return False
    return delivery.next_retry_at is None or delivery.next_retry_at <= now + _SOON


def _claim_or_wait(
    delivery: Delivery, webhook: Webhook | None, dependencies: Dependencies, now: datetime
) -> str:
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
    """Delays a delivery until its slot under the rate limit."""
    later = put_off(delivery, place, now, slotted=True)
    if place - now <= queue.REACH:
        queue.send([(message(later), place)], now)


def put_off(delivery: Delivery, at: datetime, now: datetime, *also: aws.Write, **sets: Any) -> Delivery:
    """Sets a delivery's next time and returns the changed delivery.

    Up to 15 minutes ahead, the caller queues the delivery. Later ones are left to the sweeper.
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
                return _record_success(made, now, None if again else together)
            return _record_failure(made, now, dependencies.jitter())
        except delivery_store.Changed as changed:
            # Another delivery was chained to this one during the attempt, or the claim expired and another
            # worker took over.
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
            if again:  # the first try shared its transaction with other outcomes
                log.error(
                    "answer not stored, storing the attempt without it",
                    extra={"delivery_id": made.claimed.delivery_id},
                )
                made = made.without_answer()
        except aws.WriteRefused:
            # The endpoint became active while this worker was pausing the delivery.
            made = replace(made, webhook=endpoint_store.get(made.webhook.webhook_id) or made.webhook)
    return made.claimed


def _record_success(made: _Attempted, now: datetime, together: _GroupCommit | None) -> Delivery:
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


def _record_failure(made: _Attempted, now: datetime, jitter: float) -> Delivery:
    claimed, webhook = made.claimed, made.webhook
    if webhook.failing_since is None:
        endpoint_store.set_failing(webhook, made.began)
    decision = _retry_decision(made, now, jitter)
    if decision.switch_off and webhook.is_active:
        # Check before pausing: nothing would release a paused delivery of an active endpoint.
        circuit_breaker.switch_off(webhook, decision.switch_off, now, jitter)
    if not webhook.is_active or decision.next is schedule.Next.PAUSE:
        off = endpoint_store.not_active_write(webhook.webhook_id)
        after = delivery_store.change(
            claimed, now, made.record(now), off, state=State.PAUSED, next_retry_at=None, **made.results()
        )
    elif decision.at is None:
        notice = delivery_dead(webhook, claimed, now, status=made.outcome.status, error=made.outcome.error)
        after = delivery_store.change(
            claimed, now, made.record(now), *notice, state=State.DEAD, next_retry_at=None, **made.results()
        )
    else:
        tries = claimed.tries - decision.postponed
        after = put_off(claimed, decision.at, now, made.record(now), tries=tries, **made.results())
        if decision.at - now <= queue.REACH:
            queue.send([(message(after), decision.at)], now)
    _wake(claimed, now)
    return after


def _retry_decision(made: _Attempted, now: datetime, jitter: float) -> schedule.RetryDecision:
    """Returns what the attempt leads to.

    If the answer cannot be judged, returns a scheduled retry, so that the attempt is still recorded.
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
    """Queues the next delivery that the change of `before` has unblocked.

    If this fails, the sweeper queues it.
    """
    if before.next_delivery_id and not before.attempted:
        queue.send([(message(before.model_copy(update={"delivery_id": before.next_delivery_id})), now)], now)
