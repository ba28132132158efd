"""Deploys the stack to the local cloud.

Uploads zip and template to a bucket. CloudFormation does the rest, in place if possible.
"""

import json
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from infra import stack
from infra.build.artifact import BUILD
from infra.local import cloud
from infra.local.naming import logical_id
from infra.local.paths import ACCOUNT, API_STAGE, REGION, STAGE, LocalStackPaths
from infra.local.template import Template

_BUCKET = "tradehook-artifacts"
_FAILED = ("FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_IN_PROGRESS")


class DeployError(Exception):
    """CloudFormation refused the stack, or could not create it."""


def client(place: LocalStackPaths, service: str, endpoint: str | None = None) -> Any:
    """Returns a boto3 client with root's key."""
    return boto3.client(
        service,
        endpoint_url=endpoint or place.cloud_url,
        region_name=REGION,
        aws_access_key_id=place.root_key,
        aws_secret_access_key=place.root_key,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=60
        ),
    )


def deploy(place: LocalStackPaths, manifest: dict[str, Any]) -> bool:
    """Updates the deployed stack and the front door. Returns False without a change.

    Raises:
        StackError: `stack.yaml` is inconsistent.
        DeployError: The cloud refused.
    """
    described = stack.load(place.stack_yaml)
    routes = json.loads((BUILD / "routes.json").read_text())
    key = f"{manifest['sha256']}.zip"
    rendered = Template(
        described, place, routes, (_BUCKET, key), localstack=cloud.has_no_websockets(place)
    ).render()
    cloudformation = client(place, "cloudformation")
    name = f"{described.name}-{STAGE}"
    existing = _describe_stack(cloudformation, name)
    if existing and existing["StackStatus"] in {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}:
        cloudformation.delete_stack(StackName=name)  # a stack whose creation failed cannot be updated
        _wait(cloudformation, name)
        existing = None
    wanted = json.loads(rendered)["Outputs"]["Fingerprint"]["Value"]
    changed = not existing or _outputs(existing).get("Fingerprint") != wanted
    if changed:
        _upload(place, key, rendered)
        apply = cloudformation.update_stack if existing else cloudformation.create_stack
        apply(
            StackName=name,
            TemplateURL=f"{place.cloud_url}/{_BUCKET}/stack.json",
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        existing = _wait(cloudformation, name)
        if not existing or any(existing["StackStatus"].endswith(end) for end in _FAILED):
            raise DeployError(_complaint(cloudformation, name))
        _make_topics_fifo(place, described)
    _write_front_door(place, described, routes, _outputs(existing or {}))
    return changed


def outputs(place: LocalStackPaths) -> dict[str, str]:
    """Returns the deployed stack's outputs. Empty if it is not deployed."""
    return _outputs(
        _describe_stack(client(place, "cloudformation"), f"{stack.load(place.stack_yaml).name}-{STAGE}") or {}
    )


def _make_topics_fifo(place: LocalStackPaths, described: stack.Stack) -> None:
    """Makes topics FIFO: ministack's CloudFormation ignores `FifoTopic`.

    Messages would lose their group on the way to the queues.
    """
    sns = client(place, "sns")
    for name, topic in described.source.topics.items():
        if topic.fifo:
            arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{described.topic_name(STAGE, name)}"
            sns.set_topic_attributes(TopicArn=arn, AttributeName="FifoTopic", AttributeValue="true")


def _upload(place: LocalStackPaths, key: str, rendered: str) -> None:
    s3 = client(place, "s3")
    s3.create_bucket(Bucket=_BUCKET)
    s3.put_object(Bucket=_BUCKET, Key="stack.json", Body=rendered.encode())
    s3.put_object(Bucket=_BUCKET, Key=key, Body=(BUILD / "tradehook.zip").read_bytes())


def _describe_stack(cloudformation: Any, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def _wait(cloudformation: Any, name: str, within_s: float = 120) -> dict[str, Any] | None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found = _describe_stack(cloudformation, name)
        if not found or not found["StackStatus"].endswith("_IN_PROGRESS"):
            return found
        time.sleep(0.05)
    raise DeployError(f"CloudFormation is still busy with {name} after {within_s:.0f} s")


def _outputs(found: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def _complaint(cloudformation: Any, name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '')}"
        for event in events[:50]
        if event["ResourceStatus"].endswith("_FAILED")
    ]
    said = "The local cloud could not make the stack:\n" + "\n".join(reversed(reasons))
    # A table's keys cannot be changed in place, here or in AWS.
    return f"{said}\nRESET=1 deletes the old state and starts over." if "requires replacing" in said else said


def _write_front_door(
    place: LocalStackPaths, described: stack.Stack, routes: dict[str, Any], values: dict[str, str]
) -> None:
    """Replaces the front door's file atomically, if its content changed."""
    api = f"{place.cloud_url}/_aws/execute-api"
    ws_api = api.replace("http", "ws", 1)
    description = {
        "http": f"{api}/{values['RestApi']}/{API_STAGE}",
        "websockets": {
            websocket.path: f"{ws_api}/{values[f'Websocket{logical_id(name)}']}/{API_STAGE}"
            for name, websocket in described.source.websockets.items()
            if f"Websocket{logical_id(name)}" in values
        },
        "routes": [
            [method.upper(), path, operation.get("x-tradehook-function", "")]
            for path, methods in routes["paths"].items()
            for method, operation in methods.items()
        ],
    }
    content = json.dumps(description, indent=1)
    if not place.front_door.exists() or place.front_door.read_text() != content:
        unfinished = place.front_door.with_suffix(".part")
        unfinished.write_text(content)
        unfinished.replace(place.front_door)
