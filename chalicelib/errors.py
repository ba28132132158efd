"""Errors, classed by the reaction they call for.

    TradehookError
    ├── Refused            tell the sender; trying again as it stands will not help
    │   ├── Unauthorized         401  who are you
    │   ├── Forbidden            403  not you, not now
    │   ├── NotFound             404
    │   ├── Conflict             409  same key, different body; somebody else was faster
    │   ├── TooLarge             413
    │   ├── NotDoable            422  understood, but it cannot be done
    │   └── TooMany              429  later
    ├── Retryable          nothing has been done; the queue tries again
    ├── OutcomeUnknown     something may have been done: look it up, never do it again blindly
    └── Misconfigured      the deployment is wrong; somebody must be told

A refusal carries a `code`, which never changes, and the values its message needs. The message itself comes
from the catalogue of the reader's language (`chalicelib/messages`), so nothing here is prose.
"""

from typing import Any


class TradehookError(Exception):
    """The root of every error this package raises on purpose."""


class Refused(TradehookError):
    """The request cannot be carried out as it stands.

    Args:
        code: What is wrong, a stable name such as `missing_field`.
        values: What the message in the catalogue mentions: a field, an amount. Never a credential.
    """

    status = 400

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.values = values

    def __str__(self) -> str:
        return " ".join([self.code, *(f"{name}={value}" for name, value in self.values.items())])


class Unauthorized(Refused):
    """The credential is missing, wrong, expired or revoked."""

    status = 401


class Forbidden(Refused):
    """The sender is known, and may not do this now."""

    status = 403


class NotFound(Refused):
    """What the request names does not exist, or not for this sender."""

    status = 404


class Conflict(Refused):
    """The request contradicts something that was there before it."""

    status = 409


class TooLarge(Refused):
    """The body is larger than a webhook may be."""

    status = 413


class NotDoable(Refused):
    """The request was understood, but cannot be done: no funds, no price, no account."""

    status = 422


class TooMany(Refused):
    """The sender is over a limit.

    Args:
        retry_after: Seconds until it is worth asking again.
    """

    status = 429

    def __init__(self, code: str, *, retry_after: int, **values: Any) -> None:
        super().__init__(code, retry_after=retry_after, **values)
        self.retry_after = retry_after


class Retryable(TradehookError):
    """A passing fault, before anything had an effect: let the queue deliver the message again."""


class OutcomeUnknown(TradehookError):
    """The exchange may or may not have acted. It has to be looked up; sending again could double an order."""


class Misconfigured(TradehookError):
    """The deployment lacks something the code relies on."""
