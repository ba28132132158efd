"""Accepting a signal: read it, check it, store it, queue it. The sender is answered only after it is stored.

For one account that is three calls to AWS: one read of everything that permits the signal, one transaction
that stores it with its idempotency keys, its event and its log entry, one message to the order queue. If the
process dies after the second, the minute sweep sends the message; if it dies before, nothing was acknowledged
and the sender tries again.
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
from chalicelib.signals import expected_signals, masking, presented, refusal_limit, refusals, store, variants
from chalicelib.signals import fields as bodies
from chalicelib.signals import plan as plans
from chalicelib.signals.fields import Fields
from chalicelib.signals.models import Signal
from chalicelib.signals.source import SignalSource, identify
from chalicelib.signals.staleness import check_age, is_closing
from chalicelib.telemetry import Metric, log, measure
from chalicelib.trading import Variant
from chalicelib.users.signal_quota import Usage

_LOGGED_BODY_CHARACTERS = 4096
_SAVE_FOR_S = 2.0  # TradingView waits for 3
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.16
_OURS = frozenset({"x-webhook-event", "x-webhook-id", "x-webhook-signature"})
"""Headers of our own outgoing webhooks.

A delivery to a webhook of ours would make orders of orders, without end.
"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender gets to know at once.

    Attributes:
        accounts: How many accounts take part; `strategy_accounts` how many the strategy has.
        replayed: The signal repeats an earlier one, and traded nothing.
    """

    signal_id: str
    user_id: str
    signal: Signal
    accounts: int
    strategy_accounts: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """A way in.

    Who a request's sender is (the body is None if it could not be read), and what the body asks for.
    """

    sender: Callable[[Request, Fields | None], SignalSource]
    signal: Callable[[Fields, SignalSource], Signal]


def inbound_route(variant_of: Callable[[Fields], Variant]) -> InboundRoute:
    """The door of a webhook: a token or code says who it is."""

    def sender(request: Request, fields: Fields | None) -> SignalSource:
        claimed = request.path.get("user_id") or config.setting("DEFAULT_USER_ID") or None
        return identify(request, fields, claimed, datetime.now(UTC))

    return InboundRoute(sender, lambda fields, _: variants.read_signal(variant_of(fields), fields))


def accept(request: Request, door: InboundRoute) -> Receipt:
    """Accepts a signal, or refuses it. Either way the attempt is in the webhook log.

    Raises:
        Refused: Nothing was stored but the log entry, and nothing is traded.
        Retryable: AWS did not take it; nothing was acknowledged.
    """
    attempt = _Attempt(request)
    try:
        return attempt.accept(door)
    except Refused as refused:
        attempt.record(refused)
        raise


def refuse(request: Request, refused: Refused) -> None:
    """Logs a request that no webhook takes, under its sender if a credential proves who that is, and tells the sender."""
    attempt = _Attempt(request)
    with suppress(Refused):
        attempt.fields = bodies.read(request.body)
    if presented.of(request, attempt.fields).checked:
        with suppress(Refused):
            attempt.sender = identify(request, attempt.fields, None, datetime.now(UTC))
    attempt.record(refused)


class _Attempt:
    """One request on its way to acceptance; what is known of it so far goes into the log if it is refused."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.signal_id = uuid.uuid4().hex
        self.fields: Fields | None = None
        self.sender: SignalSource | None = None

    @property
    def owner(self) -> str | None:
        """Whose signal it is; None while nothing proves it."""
        return self.sender.user_id if self.sender and self.sender.is_known else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credentials it presents, to be masked everywhere."""
        return presented.of(self.request, self.fields).secrets

    def accept(self, door: InboundRoute) -> Receipt:
        request = self.request
        broken: Refused | None = None
        try:
            self.fields = bodies.read(request.body)
        except Refused as unreadable:
            broken = unreadable  # who sent it still matters: a wrong token is told first
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
            store.mark_queued(self.signal_id)  # a single message says so itself, when it is settled
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
        """The earlier signal's receipt. Should its messages never have been sent, they are now."""
        if not earlier.same_body:
            raise Conflict("idempotency_key_reused")
        item = store.get(earlier.signal_id)
        if item is None:
            raise Retryable("the earlier signal is not to be read")
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
        """Logs a refusal and tells the owner. What the sender reads of it holds no credential then.

        Raises:
            TooMany: Enough refusals of this user or address are recorded for now.
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
        """The request as the log keeps it.

        The body with its credentials masked, as far as it could be read.
        """
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
    """What makes a repeat recognisable. Its scope names the strategy or account.

    Two that send in turn hide no repeat of each other's.
    """
    where = signal.group_name or "".join(target.account_id for target in plan.targets)
    # A cancel of every symbol repeats none: orders of any symbol may have come between, and cancelling twice
    # does no harm.
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
    """Stores the signal, and returns it as it was stored.

    Alerts for one symbol that arrive in the same instant take turns.
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
