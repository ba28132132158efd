"""What unit tests share."""

from collections.abc import Iterator

import pytest

from tests.support import cloud


@pytest.fixture
def emulated() -> Iterator[None]:
    """The stack's tables, queues and topics in this process, empty."""
    with cloud.emulated():
        yield
