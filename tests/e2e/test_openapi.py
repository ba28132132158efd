"""The OpenAPI document against the running system.

No server error, and no answer that the document does not know.
"""

import os
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = int(os.environ.get("EXAMPLES", "2"))
"""For each operation and each way of making them: what the document says, and what it does not.

Always the same, so that a change is to
blame for a failure, and not chance; a greater number looks further."""


@pytest.fixture(scope="module")
def document(own_stack: Running) -> dict:
    """The document as it is served."""
    answer = requests.get(f"{own_stack.url}/openapi.json", timeout=30)
    assert answer.status_code == 200
    return answer.json()


def test_the_document_is_valid(document: dict) -> None:
    """It is a valid OpenAPI 3.1 document."""
    schemathesis.openapi.from_dict(document).validate()
    assert document["openapi"] == "3.1.0"


@pytest.mark.timeout(120 * EXAMPLES)
def test_every_operation_answers_as_documented(own_stack: Running, document: dict) -> None:
    """Whatever is sent to any route, with an admin's token: no server error, and an answer as documented."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.base_url = own_stack.url
    headers = {"Authorization": f"Bearer {own_stack.env['TRADEHOOK_ADMIN_TOKEN']}"}
    problems: dict[str, str] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            try:
                press(operation, mode, headers)
            except (BaseExceptionGroup, Exception) as problem:  # noqa: BLE001 - each is reported
                problems[f"{operation.label} {mode.value}"] = (
                    f"{problem} {getattr(problem, 'exceptions', '')}"
                )
    assert not problems, "\n\n".join(f"{label}: {problem}" for label, problem in problems.items())


def press(operation: Any, mode: schemathesis.GenerationMode, headers: dict[str, str]) -> None:
    """Calls an operation a few times, with valid or with invalid input."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def calls(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS, headers=headers, timeout=30)

    with suppress(Unsatisfiable):  # an operation without parameters cannot be called wrongly
        calls()
