"""Ends order messages that fail every time, so that one of them does not hold up its account until the queue gives up."""

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
"""Receives of a message after which a fault in the code ends it."""

INTERNAL = RefusedLeg(leg="0", code="internal", status=500)
_PASSING = (Retryable, OutcomeUnknown, BotoCoreError, ClientError)


def guard(record: SQSRecord, handle: Callable[[], None]) -> None:
    """Handles a message. One that has failed often enough is ended, and its signal is settled as refused.

    Raises:
        Exception: Whatever `handle` raised, as long as the message may be tried again.
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
    """Logs the exception that is being handled, and counts it for the alarm."""
    log.exception(what, extra={"account_id": account_id, "signal_id": signal_id})
    measure(Metric.EXECUTIONS_GIVEN_UP)


def _settle(body: str) -> None:
    """Settles the message's signal on its account as refused.

    Orders that it has placed stay in the order store and are followed.
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
    told = [events.refusal_event(instruction, execution)]
    try:
        store.record_result(execution, single_account=instruction.single_account, effects=[], events=told)
    except aws.WriteRefused:
        if not store.is_settled(instruction.signal_id, instruction.account_id):
            raise
