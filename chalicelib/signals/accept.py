"""Accepts a signal: reads, checks, stores and queues it. The sender gets an answer only after the store.

A signal for one account needs three calls to AWS. One read fetches everything that permits the signal. One
transaction stores the signal with its idempotency keys, its event and its log entry. One message goes to the
order queue.

After a crash behind the transaction, the one-minute sweeper sends the message. After a crash before it, the
sender has no answer and retries.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import uniform
from time import monotonic, sleep
from typing import Any

from chalicelib import aws, config
from chalicelib.errors import Conflict, Refused, Retryable, TooMany
from chalicelib.http import Request
from chalicelib.orders import queue
from chalicelib.signals import expected_signals, refusal_limit, refusals, store
from chalicelib.signals import plan as plans
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import fields as bodies
from chalicelib.signals.reading import masking, presented, variants
from chalicelib.signals.reading.fields import Fields
from chalicelib.signals.source import SignalSource, identify
from chalicelib.signals.staleness import check_age, is_closing
from chalicelib.telemetry import Metric, log, measure
from chalicelib.trading import Variant
from chalicelib.users.signal_quota import Usage

_LOGGED_BODY_CHARACTERS = 4096
_SAVE_FOR_S = 2.0  # TradingView's timeout is 3 s
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.16
_OURS = frozenset({"x-webhook-event", "x-webhook-id", "x-webhook-signature"})
"""Headers of our own outgoing webhooks.

A delivery to one of our own webhooks would create orders from orders without end.
"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The immediate result of an accepted signal.

    Attributes:
        accounts: The number of accounts that take part. `strategy_accounts` is the number on the strategy.
        replayed: The signal is a duplicate and traded nothing.
    """

    signal_id: str
    user_id: str
    signal: Signal
    accounts: int
    strategy_accounts: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """The entry point of one webhook variant.

    Attributes:
        sender: Authenticates a request. The fields are None if the body is unreadable.
        signal: Parses the fields of an authenticated request.
    """

    sender: Callable[[Request, Fields | None], SignalSource]
    signal: Callable[[Fields, SignalSource], Signal]


def inbound_route(variant_of: Callable[[Fields], Variant]) -> InboundRoute:
    """Returns the inbound route of a webhook, which authenticates by token or code."""

    def sender(request: Request, fields: Fields | None) -> SignalSource:
        claimed = request.path.get("user_id") or config.setting("DEFAULT_USER_ID") or None
        return identify(request, fields, claimed, datetime.now(UTC))

    return InboundRoute(sender, lambda fields, _: variants.read_signal(variant_of(fields), fields))


def accept(request: Request, door: InboundRoute) -> Receipt:
    """Accepts or refuses a signal. Both outcomes are in the webhook log.

    Raises:
        Refused: Only the log entry was stored. Nothing is traded.
        Retryable: AWS did not store the signal. Nothing was acknowledged.
    """
    attempt = _Attempt(request)
    try:
        return attempt.accept(door)
    except Refused as refused:
        attempt.record(refused)
        raise


def refuse(request: Request, refused: Refused) -> None:
    """Logs a request to an unknown path and notifies its user.

    The log entry belongs to the user that a credential authenticates, or to `unknown`.
    """
    attempt = _Attempt(request)
    with suppress(Refused):
        attempt.fields = bodies.read(request.body)
    if presented.of(request, attempt.fields).checked:
        with suppress(Refused):
            attempt.sender = identify(request, attempt.fields, None, datetime.now(UTC))
    attempt.record(refused)


class _Attempt:
    """One request during acceptance. A refusal is logged with what is known of the request by then."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.signal_id = uuid.uuid4().hex
        self.fields: Fields | None = None
        self.sender: SignalSource | None = None

    @property
    def owner(self) -> str | None:
        """The user of the signal. None until a credential proves the user."""
        return self.sender.user_id if self.sender and self.sender.is_known else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credentials of the request, to be masked in every record."""
        return presented.of(self.request, self.fields).secrets

    def accept(self, door: InboundRoute) -> Receipt:
        request = self.request
        broken: Refused | None = None
        try:
            self.fields = bodies.read(request.body)
        except Refused as unreadable:
            broken = unreadable  # authentication comes first: a wrong token is refused before a broken body
        self.sender = door.sender(request, self.fields)
        self.sender.check(request.source_ip)
        if _OURS.intersection(request.headers):
            raise Refused(refusals.LOOP)
        if broken or self.fields is None:
            raise broken or Refused("no_data")
        signal = door.signal(self.fields, self.sender)
        plan = plans.make_plan(signal, self.sender, request.received_at)
        closing = is_closing(signal, self.fields)
        check_age(signal, plan, request.received_at, self.sender, closes=closing)
        accepted = self._accepted(signal, self.sender, plan)
        earlier, accepted = _save(
            accepted, _guard(request, signal, self.sender, plan, closing=closing), self.sender.usage
        )
        if earlier:
            return self._replay(earlier, signal)
        queue.send_messages(accepted.instructions)
        if len(plan.targets) > 1:
            store.mark_queued(self.signal_id)  # with a single account, settling its message marks the signal
        expected_signals.note_signal(self.sender.strategy, request.received_at)
        measure(Metric.SIGNALS_ACCEPTED)
        log.info(
            "signal accepted",
            extra={"signal_id": self.signal_id, "user_id": accepted.user_id, "variant": signal.variant.value},
        )
        return Receipt(
            self.signal_id, accepted.user_id, signal, len(plan.targets), plan.accounts, replayed=False
        )

    def _accepted(self, signal: Signal, sender: SignalSource, plan: plans.Plan) -> store.Accepted:
        received_at = self.request.received_at
        return store.Accepted(
            signal_id=self.signal_id,
            user_id=sender.user_id,
            signal=signal,
            settings=sender.owner.settings,
            instructions=plans.instructions(self.signal_id, signal, sender, plan, received_at),
            accounts=plan.accounts,
            received_at=received_at,
            log_entry=self._log_entry("accepted", signal_id=self.signal_id),
            closes=plans.only_closes(signal, plan.market_type),
            secrets=self.secrets,
        )

    def _replay(self, earlier: store.Earlier, signal: Signal) -> Receipt:
        """Returns the receipt of the earlier signal. Sends its messages if they may never have been sent."""
        if not earlier.same_body:
            raise Conflict("idempotency_key_reused")
        item = store.get(earlier.signal_id)
        if item is None:
            raise Retryable("original signal not readable yet")
        if "unqueued" in item:
            queue.send_messages(store.instructions_of(item))
        entry = self._log_entry("replayed", signal_id=earlier.signal_id)
        if earlier.late:
            refusals.record_repeat(self._attempt(entry), earlier.signal_id, earlier.received_at)
        else:
            aws.write(store.log_write(item["user_id"], self.request.received_at, self.signal_id, entry))
        log.info("signal repeated", extra={"signal_id": earlier.signal_id, "user_id": item["user_id"]})
        return Receipt(
            earlier.signal_id,
            item["user_id"],
            signal,
            len(item["targets"]),
            int(item["accounts"]),
            replayed=True,
        )

    def record(self, refused: Refused) -> None:
        """Logs a refusal and publishes it for the user. Masks credentials in the refusal's values.

        Raises:
            TooMany: The limit of recorded refusals of this user or address is reached.
        """
        measure(Metric.SIGNALS_REFUSED)
        received_at = self.request.received_at
        if refusal_limit.is_full(self.owner or self.request.source_ip, received_at):
            raise TooMany("too_many_requests", retry_after=60 - received_at.second)
        refused.values = masking.mask_values(refused.values, self.secrets)
        refusals.record(
            self._attempt(self._log_entry("refused", code=refused.code, status=refused.status)), refused
        )
        route = masking.mask_values(self.request.route, self.secrets)
        log.info(
            "signal refused", extra={"code": refused.code, "user_id": self.owner or "unknown", "route": route}
        )

    def _attempt(self, log_entry: dict[str, Any]) -> refusals.Attempt:
        symbol, action = (self.fields.text(name) if self.fields else None for name in ("symbol", "side"))
        return refusals.Attempt(
            request_id=self.signal_id,
            owner=self.owner,
            webhook=masking.mask_values(self.request.route, self.secrets),
            received_at=self.request.received_at,
            log_entry=log_entry,
            symbol=masking.mask_values(symbol, self.secrets),
            action=masking.mask_values(action, self.secrets),
        )

    def _log_entry(self, outcome: str, **more: Any) -> dict[str, Any]:
        """Returns the request's log entry, with its body as far as it is readable and credentials masked."""
        limit = _LOGGED_BODY_CHARACTERS
        secrets = self.secrets
        body = (
            self.fields.masked(secrets)[:limit]
            if self.fields
            else masking.mask_text(self.request.body, limit, secrets)
        )
        route = masking.mask_values(self.request.route, secrets)
        return {"outcome": outcome, "route": route, "source_ip": self.request.source_ip, "body": body, **more}


def _guard(
    request: Request, signal: Signal, sender: SignalSource, plan: plans.Plan, *, closing: bool
) -> store.IdempotencyKeys:
    """Returns the keys that identify a duplicate. The scope contains the strategy or the account.

    The scope separates strategies, so that alternating alerts of two strategies do not hide duplicates.
    """
    where = signal.group_name or "".join(target.account_id for target in plan.targets)
    # A cancel of all symbols is never a duplicate. New orders of any symbol may have been placed since, and
    # cancelling is idempotent.
    window = sender.owner.settings.repeat_window_s if signal.symbol else 0
    return store.IdempotencyKeys(
        key=request.headers.get("idempotency-key") or signal.idempotency_key,
        scope="#".join(
            (sender.user_id, signal.variant.value, where, signal.symbol.name if signal.symbol else "")
        ),
        credential=sender.credential,
        fingerprint=store.fingerprint(request.body, sender.credential),
        window=timedelta(seconds=window) if window else None,
        closing=closing,
    )


def _save(
    accepted: store.Accepted, guard: store.IdempotencyKeys, usage: Usage | None
) -> tuple[store.Earlier | None, store.Accepted]:
    """Stores the signal and returns its stored form, with the earlier signal if this one is a duplicate.

    Retries while concurrent alerts for the same symbol hold the same items.
    """
    until, pause = monotonic() + _SAVE_FOR_S, _SHORTEST_PAUSE_S
    while True:
        try:
            return store.save(accepted, guard, usage), accepted
        except Retryable as fault:
            if monotonic() > until:
                raise
            if isinstance(fault, store.Overtaken):
                accepted = replace(
                    accepted,
                    missed=fault.missed,
                    instructions=plans.overtaken(accepted.instructions, fault.missed),
                )
                continue
            sleep(uniform(pause / 4, pause))  # noqa: S311 - jitter, not a secret
            pause = min(2 * pause, _LONGEST_PAUSE_S)
