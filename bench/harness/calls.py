"""Records the calls to AWS of a piece of work, as botocore gets them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient


@dataclass(frozen=True)
class Call:
    """One call and its answer."""

    service: str
    operation: str
    arguments: dict[str, Any]
    answer: dict[str, Any]


@contextmanager
def watched(**always: Any) -> Iterator[list[Call]]:
    """Yields the calls of this process, in order, while they are made.

    Args:
        always: Arguments added to each DynamoDB call, such as `ReturnConsumedCapacity`.
    """
    made: list[Call] = []
    real = BaseClient._make_api_call  # noqa: SLF001 - the one place through which all of them go

    def noted(client: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        more = always if service == "dynamodb" else {}
        answer = real(client, operation, {**arguments, **more})
        made.append(Call(service, operation, arguments, answer))
        return answer

    with patch.object(BaseClient, "_make_api_call", noted):
        yield made
