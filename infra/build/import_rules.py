"""Route documents that API Gateway refuses to import.

Neither Terraform nor the local cloud notices before a deployment.

Quotas and rules:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
and https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html (REST APIs).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

_RESOURCES = 300  # of one REST API, the root included
_DOCUMENT_BYTES = 6 * 1024 * 1024
_METHODS = frozenset(
    {"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"}
)
_PART = re.compile(r"[A-Za-z0-9._\-:]+|\{[A-Za-z0-9._\-:]+\+?\}")
_VARIABLE = re.compile(r"\{([^}+]+)\+?\}")


def problems(document: Mapping[str, Any]) -> list[str]:
    """Returns the reasons for which API Gateway would refuse the document, one sentence each."""
    return [*_paths(document["paths"]), *_methods(document["paths"]), *_size(document)]


def _paths(paths: Mapping[str, Any]) -> Iterator[str]:
    children: dict[str, set[str]] = defaultdict(set)
    resources = {"/"}
    for path in paths:
        if not path.startswith("/") or "//" in path or (path != "/" and path.endswith("/")):
            yield f"{path}: a path begins with a slash, and no part of it is empty"
        parts = [part for part in path.split("/") if part]
        names = _VARIABLE.findall(path)
        if len(set(names)) < len(names):
            yield f"{path}: a variable name occurs twice"
        for depth, part in enumerate(parts):
            parent = "/" + "/".join(parts[:depth])
            children[parent].add(part)
            resources.add("/" + "/".join(parts[: depth + 1]))
            if not _PART.fullmatch(part):
                yield f"{path}: {part!r} has characters that a part of a path cannot have"
            if part.endswith("+}") and depth + 1 < len(parts):
                yield f"{path}: {part!r} takes the rest of the path, so it is the last part"
    for parent, parts_below in sorted(children.items()):
        variables = sorted(part for part in parts_below if part.startswith("{"))
        if len(variables) > 1:
            yield f"{parent}: one variable per level, not {', '.join(variables)}"
    if len(resources) > _RESOURCES:
        yield f"{len(resources)} resources, of {_RESOURCES} that a REST API may have"


def _methods(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, item in paths.items():
        names = set(_VARIABLE.findall(path))
        for method, operation in item.items():
            if method not in _METHODS:
                yield f"{method} {path}: not a method that API Gateway knows"
                continue
            declared = {one["name"] for one in operation.get("parameters", ()) if one.get("in") == "path"}
            if declared - names:
                extra = ", ".join(sorted(declared - names))
                yield f"{method} {path}: declares {extra}, which the path does not have"


def _size(document: Mapping[str, Any]) -> Iterator[str]:
    size = len(json.dumps(document).encode())
    if size > _DOCUMENT_BYTES:
        yield f"{size} bytes, of {_DOCUMENT_BYTES} that an import may have"
