"""Errors, classed by how the caller must react.

    TradehookError
    ├── Refused            answer the sender; a retry of the same request will not help
    │   ├── Unauthorized         401  credential missing or wrong
    │   ├── Forbidden            403  not permitted now
    │   ├── NotFound             404
    │   ├── MethodNotAllowed     405  the path is known, this method is not
    │   ├── Conflict             409  same key with another body; concurrent change
    │   ├── TooLarge             413
    │   ├── NotDoable            422  understood, but impossible
    │   └── TooMany              429  retry later
    ├── Retryable          no effect so far; the queue redelivers
    ├── OutcomeUnknown     perhaps an effect: look it up, never repeat it blindly
    └── Misconfigured      the deployment is wrong; raise an alarm

A refusal carries a `code`, which never changes, and the values of its message. The message itself comes
from `messages`, in the reader's language.
"""

from collections.abc import Sequence
from typing import Any


class TradehookError(Exception):
    """The base class of every error that this package raises deliberately."""


class Refused(TradehookError):
    """The request cannot be carried out as it stands.

    Args:
        code: What is wrong, a stable name such as `missing_field`.
        values: What the message mentions: a field, an amount. Never a credential.
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
    """The sender is known but not permitted to do this now."""

    status = 403


class NotFound(Refused):
    """What the request names does not exist for this sender."""

    status = 404


class MethodNotAllowed(Refused):
    """The path exists and takes other methods.

    Args:
        allowed: The methods that the path takes.
    """

    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__("method_not_allowed", method=method, allowed=", ".join(allowed))


class Conflict(Refused):
    """The request contradicts an earlier request or the stored state."""

    status = 409


class TooLarge(Refused):
    """The body is larger than a webhook may be."""

    status = 413


class NotDoable(Refused):
    """The request is valid but impossible: no funds, no price, no account."""

    status = 422


class TooMany(Refused):
    """The sender exceeds a limit.

    Args:
        retry_after: Seconds until a retry can succeed.
    """

    status = 429

    def __init__(self, code: str, *, retry_after: int, **values: Any) -> None:
        super().__init__(code, retry_after=retry_after, **values)
        self.retry_after = retry_after


class Retryable(TradehookError):
    """A temporary fault before any effect. The queue redelivers the message."""


class OutcomeUnknown(TradehookError):
    """The exchange may have acted. The order is looked up: sending it again could double it."""


class Misconfigured(TradehookError):
    """The deployment lacks something that the code relies on."""
