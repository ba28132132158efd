"""Chalice's own configuration, derived from `stack.yaml`.

`python -m infra.build.chalice_config` writes it into `.chalice/`.

- Stage `local` is for `chalice local` and `chalice.test.Client`, beside the emulated cloud of `make run`. The
  key of that cloud is a secret: export `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` from `.local/root.key`
  before `chalice local`.
- Stage `prod` is for `chalice package`: one function with the limits and grants of the HTTP functions. Merge
  in the addresses of Terraform's resources (`chalice package --stage prod --merge-template`): URLs of queues
  and ARNs of keys hold the account's number.
"""

import json
from typing import Any

from infra import stack
from infra.local import naming
from infra.local.paths import ACCOUNT, REGION, LocalStackPaths
from infra.stack import ROOT, Resource, Stack, Statement

FOLDER = ROOT / ".chalice"


def config(described: Stack) -> dict[str, Any]:
    """Returns `config.json`."""
    functions = [function.definition for function in described.http_functions]
    limits = {
        "lambda_memory_size": max(function.memory_mb for function in functions),
        "lambda_timeout": max(function.timeout_s for function in functions),
        "autogen_policy": False,
        "iam_policy_file": "policy.json",
    }
    return {
        "version": "2.0",
        "app_name": described.name,
        "lambda_architecture": "arm64",
        "automatic_layer": False,
        "stages": {
            "local": limits | {"api_gateway_stage": "v1", "environment_variables": _local(described)},
            "prod": limits
            | {"api_gateway_stage": "prod", "environment_variables": {"TRADEHOOK_STAGE": "prod"}},
        },
    }


def policy(described: Stack) -> dict[str, Any]:
    """Returns `policy.json`.

    It holds the grants of the HTTP functions, on the resources of any stage in the deployment's account.
    """
    granted: dict[str, set[str]] = {}
    for function in described.http_functions:
        for statement in described.statements(function):
            granted.setdefault(_arn(described, statement), set()).update(statement.actions)
    logs = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
    statements = [*sorted(granted.items()), ("arn:*:logs:*:*:*", logs)]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": sorted(actions), "Resource": [resource]}
            for resource, actions in statements
        ],
    }


def _local(described: Stack) -> dict[str, str]:
    place = LocalStackPaths.here({})
    resources = dict.fromkeys(
        resource for function in described.http_functions for resource in function.resources
    )
    return {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": place.cloud_url,
        "POWERTOOLS_SERVICE_NAME": described.name,
        "TRADEHOOK_STAGE": "local",
        "TRADEHOOK_EXCHANGES": " ".join(described.traded),
        **place.environment,
        **{resource.variable: _address(described, place, resource) for resource in resources},
    }


def _address(described: Stack, place: LocalStackPaths, resource: Resource) -> str:
    match resource.kind:
        case "table":
            return described.full_name("local", resource.name)
        case "queue":
            return naming.queue_url(place, described, resource.name)
        case "topic":
            return f"arn:aws:sns:{REGION}:{ACCOUNT}:{described.topic_name('local', resource.name)}"
        case "key":
            return f"alias/{described.full_name('local', resource.name)}"
        case "websocket":
            return f"{place.cloud_url}/no-websockets-here"


def _arn(described: Stack, statement: Statement) -> str:
    resource = statement.resource
    part = {"itself": "", "indexes": "/index/*", "stream": "/stream/*"}[statement.part]
    match resource.kind:
        case "table":
            return f"arn:*:dynamodb:*:*:table/{described.full_name('*', resource.name)}{part}"
        case "queue":
            return f"arn:*:sqs:*:*:{described.queue_name('*', resource.name)}"
        case "topic":
            return f"arn:*:sns:*:*:{described.topic_name('*', resource.name)}"
        case "key":
            return "arn:*:kms:*:*:key/*"  # a key's id is random; the key's own policy says who may use it
        case "websocket":
            return "arn:*:execute-api:*:*:*/*/*/@connections/*"


def files(described: Stack) -> dict[str, str]:
    """Returns the expected files of `.chalice/` by name."""
    return {
        name: json.dumps(content, indent=2) + "\n"
        for name, content in (("config.json", config(described)), ("policy.json", policy(described)))
    }


if __name__ == "__main__":
    for name, text in files(stack.load()).items():
        (FOLDER / name).write_text(text)
