"""`python -m infra.lint.api_document`: finds what a reader of the OpenAPI document would miss."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST_SUMMARY = 120


def findings(document: Mapping[str, Any]) -> list[str]:
    """Returns every finding: the place, and what is missing there."""
    operations = {
        f"{method.upper()} {path}": each
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    }
    declared = {tag["name"] for tag in document.get("tags", ()) if tag.get("description")}
    ids = Counter(each.get("operationId") for each in operations.values())
    used = {tag for each in operations.values() for tag in each.get("tags", ())}
    found = [
        f"info: no {name}" for name in ("description", "license", "contact") if not document["info"].get(name)
    ]
    found += [f"tag {name}: no operation has it" for name in sorted(declared - used)]
    for name, operation in operations.items():
        checks = (_texts(operation, declared), _answers(name, operation), _requests(operation))
        found += [f"{name}: {words}" for check in checks for words in check]
        if ids[operation.get("operationId")] > 1:
            found.append(f"{name}: another operation has the same operationId")
    return found


def _texts(operation: Mapping[str, Any], declared: set[str]) -> Iterator[str]:
    for field in ("operationId", "summary", "description", "tags"):
        if not operation.get(field):
            yield f"no {field}"
    summary = operation.get("summary", "")
    if "`" in summary or len(summary) > _LONGEST_SUMMARY:
        yield "the summary is longer than a line, or has marks of code"
    if missing := set(operation.get("tags", ())) - declared:
        yield f"the document does not describe the tag {missing}"


def _answers(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    statuses = set(operation.get("responses", ()))
    if not any(status.startswith(("2", "3")) for status in statuses):
        yield "no success"
    if "500" not in statuses or ("{" in name and "404" not in statuses and operation.get("security")):
        yield "an error answer is missing"
    for status, answer in operation.get("responses", {}).items():
        if not answer.get("description"):
            yield f"{status} has no description"


def _requests(operation: Mapping[str, Any]) -> Iterator[str]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if not content.get("examples") and "example" not in content:
            yield "the body has no example"
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and "example" not in parameter:
            yield f"{parameter['name']} has no example"
        if not parameter.get("schema"):
            yield f"{parameter['name']} has no schema"


def main() -> int:
    """Prints every finding. Returns 1 if there is one."""
    from chalicelib.openapi import document  # noqa: PLC0415 - the tests need only `findings`
    from chalicelib.signals.other_paths import CATCH_ALL  # noqa: PLC0415
    from functions import receive_signals, serve_api  # noqa: PLC0415

    served = [*serve_api.SERVED.routes, *receive_signals.SERVED.routes]
    found = findings(document.make([route for route in served if route.path != CATCH_ALL]))
    print("\n".join(found) or "OpenAPI document: nothing to change")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
