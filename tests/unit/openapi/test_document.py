"""The OpenAPI document covers every route, and its examples are what its schemas say."""

import json

import jsonschema_rs
import pytest

from chalicelib.http import to_json
from chalicelib.openapi import document, subjects
from chalicelib.signals.other_paths import CATCH_ALL
from functions.serve_api import ROUTES
from functions.serve_api import app as serve_api
from testkit import gateway

_SPEC_KEYS = {"operationId", "tags", "summary", "parameters", "responses", "security"}


@pytest.fixture(scope="module")
def spec():
    """The document as it is served."""
    status, body, _ = gateway.call(serve_api, "GET", "/openapi.json")
    assert status == 200
    return body


def operations(spec):
    """Every operation with its name."""
    return {
        f"{method.upper()} {path}": each
        for path, methods in spec["paths"].items()
        for method, each in methods.items()
    }


def test_every_route_is_documented(spec):
    """Each route that Chalice serves stands in the document, and nothing else does.

    What answers all other paths is no route to call.
    """
    import app

    assert operations(spec).keys() == {f"{method} {path}" for method, path in app.OWNERS if path != CATCH_ALL}


def test_every_documentation_has_its_route():
    """No documentation outlives its route."""
    import app

    assert not subjects.docs().keys() - {f"{method} {path}" for method, path in app.OWNERS}


def test_a_route_without_documentation_is_an_error():
    """An undocumented route breaks the document, and so the build."""
    from chalicelib.http import Route

    with pytest.raises(KeyError, match="/undocumented"):
        document.make([*ROUTES, Route("GET", "/undocumented", lambda _: None)])


def test_every_operation_has_a_summary_and_examples(spec):
    """Each operation has a summary, an example of its answer, and of its body if it takes one."""
    for name, operation in operations(spec).items():
        assert operation.keys() >= _SPEC_KEYS, name
        assert {".", "?"} & set(operation["summary"]), name
        success = min(operation["responses"])
        content = next(iter(operation["responses"][success]["content"].values()))
        assert ("example" in content) is (name != "POST /xc"), name
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"], name


def test_operation_ids_are_unique(spec):
    """A client generator finds one name for each operation."""
    ids = [operation["operationId"] for operation in operations(spec).values()]
    assert len(ids) == len(set(ids))


def test_examples_fit_their_schemas(spec):
    """Every example of requests and answers fits its schema."""
    error = spec["components"]["schemas"]["Error"]
    for name, operation in operations(spec).items():
        contents = [
            content for answer in operation["responses"].values() for content in answer["content"].values()
        ]
        contents += operation.get("requestBody", {"content": {}})["content"].values()
        for content in contents:
            schema = error if content["schema"].get("$ref") else content["schema"]
            validator = jsonschema_rs.validator_for(schema)
            examples = (
                [content["example"]]
                if "example" in content
                else [each["value"] for each in content.get("examples", {}).values()]
            )
            for example in examples:
                wrong = [
                    f"{each.message} at {each.instance_path}"
                    for each in validator.iter_errors(json.loads(to_json(example)))
                ]
                assert not wrong, (name, wrong)


def test_the_document_is_no_larger_than_an_answer_may_be(spec):
    """API Gateway and Lambda end an answer at 6 MB; a client wants far less."""
    assert len(json.dumps(spec)) < 1_000_000
