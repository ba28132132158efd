"""Ends order messages that fail on every receive, so that they do not block their account."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.errors import OutcomeUnknown, Retryable
from chalicelib.orders import events, store
from chalicelib.orders.models import AccountResult, Instruction, RefusedLeg
from chalicelib.telemetry import Metric, log, measure

RECEIVES = 3
"""Number of receives after which a message that fails with a code error is ended."""

INTERNAL = RefusedLeg(leg="0", code="internal", status=500)
_PASSING = (Retryable, OutcomeUnknown, BotoCoreError, ClientError)


def guard(record: SQSRecord, handle: Callable[[], None]) -> None:
    """Handles a message. After `RECEIVES` failures, ends it and settles its signal as refused.

    Raises:
        Exception: The exception of `handle`, while the message may be retried.
    """
    try:
        handle()
    except _PASSING:
        raise
    except Exception:
        if int(record.attributes.approximate_receive_count) < RECEIVES:
            raise
        message = json.loads(record.body)
        alarm("order message given up", message.get("account_id"), signal_id=message.get("signal_id"))
        if "signal_id" in message:
            _settle(record.body)


def alarm(what: str, account_id: str | None, *, signal_id: str | None) -> None:
    """Logs the current exception and counts it for the alarm."""
    log.exception(what, extra={"account_id": account_id, "signal_id": signal_id})
    measure(Metric.EXECUTIONS_GIVEN_UP)


def _settle(body: str) -> None:
    """Settles the message's signal on its account as refused.

    Orders that were already placed stay in the order store and are reconciled.
    """
    instruction = Instruction.model_validate_json(body)
    execution = AccountResult(
        signal_id=instruction.signal_id,
        account_id=instruction.account_id,
        account_name=instruction.account_id,
        exchange=instruction.exchange,
        refused=(INTERNAL,),
        settled_at=datetime.now(UTC),
    )
    refusal_events = [events.refusal_event(instruction, execution)]
    try:
        store.record_result(
            execution, single_account=instruction.single_account, effects=[], events=refusal_events
        )
    except aws.WriteRefused:
        if not store.is_settled(instruction.signal_id, instruction.account_id):
            raise
