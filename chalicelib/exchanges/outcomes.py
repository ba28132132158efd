"""The meaning of an exchange's error for the order: not placed, already there, or outcome unknown.

A well-formed answer below HTTP 500 with the exchange's own code is a refusal. `codes.py` lists the
exceptions. Without such a code, a call that changes something ends in `OutcomeUnknown`. ccxt's exception
classes are not used, because several of them mean both.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from requests.exceptions import ConnectTimeout
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from chalicelib.errors import NotDoable, OutcomeUnknown, Retryable, TradehookError
from chalicelib.exchanges.protocol import RateLimited

_NEVER_SENT = (ConnectTimeout, ConnectTimeoutError, NewConnectionError, NameResolutionError)
_SERVER_ERROR = 500
_LIMIT_STATUSES = (418, 429)
_OWN_CODE = re.compile(r"-?[0-9]{1,12}")  # format of the codes of exchanges with a table


class Kind(Enum):
    """The meaning of a code."""

    REFUSED = auto()  # refused for good
    PASSING = auto()  # refused for now: nothing was done, a retry may help
    LIMITED = auto()  # too many requests: nothing was done
    DUPLICATE = auto()  # an order with this client order id exists or existed
    ABSENT = auto()  # the order does not exist or no longer exists
    ALREADY = auto()  # the setting already has the requested value
    UNKNOWN = auto()  # the exchange itself does not know: it may have acted


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of an exchange's table of codes.

    Attributes:
        code: The exchange's code, or `http 403`.
        kind: The meaning.
        ours: Our error code of the refusal.
        message: The row applies only if the exchange's message contains this text, in any case.
        seconds: For limits, see `RateLimited`.
        scope: For limits, see `RateLimited`.
        certain: Whether the code also counts in an answer of HTTP 500 or above.
    """

    code: str
    kind: Kind
    ours: str = "exchange_refused"
    message: str = ""
    seconds: float = 1.0
    scope: str = "account"
    certain: bool = False


class ErrorReply(TradehookError):
    """An exchange's answer that is an error only if the caller does not expect it.

    Does not leave this package.

    Args:
        code: The exchange's code. None if the answer has none.
        reason: The exchange's message. Empty if the answer has none.
    """

    def __init__(self, exchange: str, code: str | None = None, reason: str = "") -> None:
        super().__init__(exchange)
        self.exchange, self.code, self.reason = exchange, code, reason


class Duplicate(ErrorReply):
    """The client order id is taken: the order must be looked up."""


class Absent(ErrorReply):
    """The exchange knows no such order."""


class Already(ErrorReply):
    """The setting already has the requested value."""


_SAID: dict[Kind, type[ErrorReply]] = {Kind.DUPLICATE: Duplicate, Kind.ABSENT: Absent, Kind.ALREADY: Already}


@dataclass(frozen=True, slots=True)
class Failure:
    """A call without a usable answer.

    Attributes:
        sent: Whether a request was sent at all.
        status: HTTP status. None without an answer.
        code: The exchange's own code. None if the answer has none.
        reason: The exchange's own message, free of credentials.
        retry_after: Seconds, from the header `Retry-After`.
    """

    exchange: str
    error: BaseException | None
    sent: bool
    status: int | None = None
    code: str | None = None
    reason: str = ""
    retry_after: float | None = None


def reaction(failure: Failure, error_rules: Sequence[Meaning], *, changes: bool) -> TradehookError:
    """Returns the error class for a failed call.

    Args:
        changes: Whether the call changes something, so that an unknown outcome is OutcomeUnknown. For a call
            that only reads, it is Retryable.
    """
    if any(isinstance(cause, _NEVER_SENT) for cause in _causes(failure.error)):
        return Retryable(f"{failure.exchange}: no connection, the request was not sent")
    if not failure.sent:
        # ccxt itself refused the call and would refuse it again.
        return NotDoable(
            "exchange_refused",
            exchange=failure.exchange,
            exchange_code=None,
            reason=type(failure.error).__name__,
        )
    meaning = _meaning(failure, error_rules)
    if meaning is None and _well_formed(failure):
        meaning = Meaning(failure.code or "", Kind.REFUSED)
    if meaning is not None and meaning.kind is not Kind.UNKNOWN:
        return _error(meaning, failure)
    status, code = failure.status or "-", failure.code or "-"
    reason = f"{failure.exchange}: http {status}, code {code}, {type(failure.error).__name__}"
    return OutcomeUnknown(reason) if changes else Retryable(reason)


def is_unlisted(failure: Failure, error_rules: Sequence[Meaning]) -> bool:
    """Returns whether an answer has a code that the exchange's table does not contain."""
    return _well_formed(failure) and not any(meaning.code == failure.code for meaning in error_rules)


def _meaning(failure: Failure, error_rules: Sequence[Meaning]) -> Meaning | None:
    """Returns the first row that applies. None if the table has none."""
    return next((meaning for meaning in error_rules if _applies(meaning, failure)), None)


def _well_formed(failure: Failure) -> bool:
    """Returns whether the exchange itself has answered: below HTTP 500 and with its own code."""
    answered = failure.status is None or failure.status < _SERVER_ERROR
    return (
        failure.sent
        and answered
        and failure.code is not None
        and _OWN_CODE.fullmatch(failure.code) is not None
    )


def _applies(meaning: Meaning, failure: Failure) -> bool:
    # A gateway's 5xx may have any body. The order may still have reached the exchange.
    if (
        failure.status is not None
        and failure.status >= _SERVER_ERROR
        and meaning.kind is not Kind.DUPLICATE
        and not meaning.certain
    ):
        return False
    if meaning.code == f"http {failure.status}":
        # A gateway's status counts if the exchange gives no code. Limits always count.
        return failure.status in _LIMIT_STATUSES or not failure.code
    return meaning.code == failure.code and meaning.message.lower() in failure.reason.lower()


def _error(meaning: Meaning, failure: Failure) -> TradehookError:
    match meaning.kind:
        case Kind.REFUSED:
            return NotDoable(
                meaning.ours, exchange=failure.exchange, exchange_code=failure.code, reason=failure.reason
            )
        case Kind.PASSING:
            return Retryable(f"{failure.exchange}: code {failure.code}")
        case Kind.LIMITED:
            return RateLimited(failure.retry_after or meaning.seconds, meaning.scope)
        case _:
            return _SAID[meaning.kind](failure.exchange, failure.code, failure.reason)


def _causes(error: Any) -> Iterator[BaseException]:
    """Yields an error and all its causes.

    Requests stores urllib3's error in `args`, urllib3 its own cause in `reason`.
    """
    found: list[Any] = [error]
    for cause in found:
        if isinstance(cause, BaseException):
            yield cause
            for more in (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args):
                if isinstance(more, BaseException) and all(more is not known for known in found):
                    found.append(more)
