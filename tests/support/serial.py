"""Threads that call the emulated cloud in turn: moto's transactions are not atomic between threads, DynamoDB's are."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient


@contextmanager
def one_call_at_a_time() -> Iterator[None]:
    """Lets one call to AWS through at a time; what happens between calls still interleaves."""
    lock = Lock()
    real = BaseClient._make_api_call

    def locked(client: BaseClient, name: str, arguments: Any) -> Any:
        with lock:
            return real(client, name, arguments)

    with patch.object(BaseClient, "_make_api_call", locked):
        yield
