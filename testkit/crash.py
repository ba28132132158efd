"""Kills the process after its n-th call to AWS: the call has its effect, and no code runs after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient


class Killed(BaseException):
    """The process is gone. Not an Exception, so that no handler of ours can catch it."""


@contextmanager
def killed_after(call: int) -> Iterator[list[str]]:
    """Raises Killed when the `call`-th call to AWS has returned. Yields the names of the calls made."""
    made: list[str] = []
    real = BaseClient._make_api_call

    def counted(client: BaseClient, name: str, arguments: Any) -> Any:
        answer = real(client, name, arguments)
        made.append(name)
        if len(made) == call:
            raise Killed
        return answer

    with patch.object(BaseClient, "_make_api_call", counted):
        yield made
