"""The linter of the OpenAPI document finds what it is there for."""

import copy
import json

import pytest

from chalicelib.http import to_json
from functions.serve_api import app as serve_api
from infra.lint.api_document import findings
from testkit import gateway


@pytest.fixture(scope="module")
def spec():
    """The document as it is served."""
    return json.loads(to_json(gateway.call(serve_api, "GET", "/openapi.json")[1]))


def test_the_served_document_has_no_finding(spec):
    """No warning is left."""
    assert findings(spec) == []


@pytest.mark.parametrize(
    ("place", "value", "finding"),
    [
        ("summary", "", "no summary"),
        ("summary", "With `code`.", "marks of code"),
        ("description", "", "no description"),
        ("operationId", "get_accounts", "the same operationId"),
        ("tags", [], "no tags"),
        ("tags", ["unknown"], "does not describe the tag"),
        ("responses", {"500": {"description": "x"}}, "no success"),
        ("responses", {"200": {"description": "x"}}, "an error answer is missing"),
        ("responses", {"201": {}, "500": {}}, "has no description"),
        ("requestBody", {"content": {"application/json": {}}}, "the body has no example"),
        ("parameters", [{"name": "x", "in": "path", "schema": {"type": "string"}}], "x has no example"),
        ("parameters", [{"name": "x", "in": "query"}], "x has no schema"),
    ],
)
def test_each_rule(spec, place, value, finding):
    """An operation without one thing is found, with its name."""
    broken = copy.deepcopy(spec)
    broken["paths"]["/accounts"]["post"][place] = value
    assert any(each.startswith("POST /accounts") and finding in each for each in findings(broken))


def test_the_document_itself(spec):
    """The document needs a licence, and each of its groups an operation."""
    broken = {**spec, "info": {"title": "x"}, "tags": [*spec["tags"], {"name": "empty", "description": "x"}]}
    assert {"info: no license", "tag empty: no operation has it"} <= set(findings(broken))
