"""The stack as a CloudFormation template for the local cloud.

It holds only resources that the emulator knows, without settings that the emulator does not enforce (Lambda
permissions, reserved concurrency). Names are written out, so that a function's environment holds plain text
where possible.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from infra.local.naming import logical_id, queue_url
from infra.local.paths import ACCOUNT, API_STAGE, REGION, STAGE, LocalStackPaths
from infra.local.template_apis import rest_api, websocket_api
from infra.stack import Function, Resource, Stack, Statement

Properties = dict[str, Any]

# AWS has no actions for these batch calls. The emulator asks for them by their own names.
_BATCH_ACTIONS = {"sqs:SendMessage": "sqs:SendMessageBatch", "sns:Publish": "sns:PublishBatch"}


class Template:
    """The CloudFormation template of a local stack.

    Args:
        stack: The stack to deploy.
        place: Its paths, with the URLs and the settings.
        routes: Chalice's route document.
        code: Bucket and key of the deployment zip.
        localstack: For LocalStack: no WebSocket APIs, and LocalStack sets the functions' endpoint.
    """

    def __init__(
        self,
        stack: Stack,
        place: LocalStackPaths,
        routes: Mapping[str, Any],
        code: tuple[str, str],
        *,
        localstack: bool = False,
    ) -> None:
        self._stack = stack
        self._place = place
        self._routes = routes
        self._code = code
        self._localstack = localstack
        self._websockets = {} if localstack else stack.source.websockets

    def render(self) -> str:
        """Returns the template as JSON. Its output `Fingerprint` is a digest of the rest."""
        resources = dict(self._resources())
        outputs: Properties = {"RestApi": {"Value": {"Ref": "RestApi"}}}
        for identity in (f"Websocket{logical_id(name)}" for name in self._websockets):
            outputs[identity] = {"Value": {"Ref": identity}}
        for identity in (f"Key{logical_id(name)}" for name in self._stack.source.keys):
            outputs[identity] = {"Value": {"Fn::GetAtt": [identity, "Arn"]}}
        content: Properties = {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": resources,
            "Outputs": outputs,
        }
        outputs["Fingerprint"] = {
            "Value": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        }
        return json.dumps(content)

    def environment(self, function: Function) -> Properties:
        """Returns the function's environment variables: settings, then addresses of granted resources."""
        settings = {
            **self._stack.source.environment,
            **function.definition.environment,
            **self._place.environment,
        }
        settings |= {
            "POWERTOOLS_METRICS_NAMESPACE": f"{self._stack.name}-{STAGE}",
            "TRADEHOOK_EXCHANGES": " ".join(self._stack.traded),
            "TRADEHOOK_STAGE": STAGE,
            "TRADEHOOK_PUBLIC_URL": self._place.shown_url,
            "TRADEHOOK_WS_URL": self._place.shown_ws_url,
        }
        if (
            not self._localstack
        ):  # the functions run beside the cloud, not in containers that know it by another name
            settings["AWS_ENDPOINT_URL"] = self._place.cloud_url
        return {**settings, **{resource.variable: self._address(resource) for resource in function.resources}}

    def _resources(self) -> Iterator[tuple[str, Properties]]:
        source = self._stack.source
        for name, table in source.tables.items():
            yield f"Table{logical_id(name)}", _resource("DynamoDB::Table", _table(self._full(name), table))
        for name, key in source.keys.items():
            root = {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
            properties = {
                "EnableKeyRotation": key.rotation,
                "KeyPolicy": _policy([root]),
                "Description": key.does,
            }
            yield f"Key{logical_id(name)}", _resource("KMS::Key", properties)
        yield from self._queues()
        yield from self._topics()
        for function in self._stack.functions.values():
            yield from self._function(function)
        yield from rest_api(
            self._full("api"),
            self._routes,
            {name: f"Function{logical_id(name)}" for name in self._stack.functions},
        )
        for name in self._websockets:
            [owner] = [
                function.name
                for function in self._stack.functions.values()
                if function.definition.websocket == name
            ]
            yield from websocket_api(
                f"Websocket{logical_id(name)}", self._full(name), f"Function{logical_id(owner)}"
            )

    def _queues(self) -> Iterator[tuple[str, Properties]]:
        for name, queue in self._stack.queues.items():
            common: Properties = {"FifoQueue": True} if queue.definition.fifo else {}
            dead = {
                "QueueName": self._stack.queue_name(STAGE, f"{name}-dead"),
                "MessageRetentionPeriod": 14 * 86_400,
            }
            yield f"Queue{logical_id(name)}Dead", _resource("SQS::Queue", common | dead)
            properties = {
                "QueueName": self._stack.queue_name(STAGE, name),
                "VisibilityTimeout": queue.visibility_s,
                "DelaySeconds": queue.definition.delay_s,
                "MessageRetentionPeriod": queue.definition.retention_days * 86_400,
                "RedrivePolicy": {
                    "deadLetterTargetArn": {"Fn::GetAtt": [f"Queue{logical_id(name)}Dead", "Arn"]},
                    "maxReceiveCount": queue.definition.receive_limit,
                },
            }
            yield f"Queue{logical_id(name)}", _resource("SQS::Queue", common | properties)

    def _topics(self) -> Iterator[tuple[str, Properties]]:
        subscribed: dict[str, list[str]] = {}
        for name, topic in self._stack.source.topics.items():
            arn = self._arn(Resource("topic", name))
            named: Properties = {"TopicName": self._stack.topic_name(STAGE, name)}
            yield (
                f"Topic{logical_id(name)}",
                _resource("SNS::Topic", named | ({"FifoTopic": True} if topic.fifo else {})),
            )
            # Without a policy, the emulator lets everybody publish. This one leaves it to the callers' roles.
            allowed = {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "sns:*",
                "Resource": arn,
            }
            policy = {"Topics": [{"Ref": f"Topic{logical_id(name)}"}], "PolicyDocument": _policy([allowed])}
            yield f"Topic{logical_id(name)}Policy", _resource("SNS::TopicPolicy", policy)
            for subscription in topic.subscriptions:
                subscribed.setdefault(subscription.queue, []).append(arn)
                properties: Properties = {
                    "TopicArn": {"Ref": f"Topic{logical_id(name)}"},
                    "Protocol": "sqs",
                    "Endpoint": {"Fn::GetAtt": [f"Queue{logical_id(subscription.queue)}", "Arn"]},
                    "RawMessageDelivery": True,
                }
                if subscription.filter:
                    properties["FilterPolicy"] = subscription.filter
                    properties["FilterPolicyScope"] = (
                        "MessageBody" if subscription.filter_body else "MessageAttributes"
                    )
                yield (
                    f"Topic{logical_id(name)}To{logical_id(subscription.queue)}",
                    _resource("SNS::Subscription", properties),
                )
        for queue, topics in subscribed.items():
            sending = {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": self._arn(Resource("queue", queue)),
                "Condition": {"ArnEquals": {"aws:SourceArn": topics}},
            }
            properties = {
                "Queues": [{"Ref": f"Queue{logical_id(queue)}"}],
                "PolicyDocument": _policy([sending]),
            }
            yield f"Queue{logical_id(queue)}Policy", _resource("SQS::QueuePolicy", properties)

    def _function(self, function: Function) -> Iterator[tuple[str, Properties]]:
        name = f"Function{logical_id(function.name)}"
        bucket, key = self._code
        yield f"{name}Role", _resource("IAM::Role", self._role(function))
        properties = {
            "FunctionName": self._full(function.name),
            "Handler": function.definition.handler,
            "Runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "MemorySize": function.definition.memory_mb,
            "Timeout": function.definition.timeout_s,
            "Role": {"Fn::GetAtt": [f"{name}Role", "Arn"]},
            "Code": {"S3Bucket": bucket, "S3Key": key},
            "Environment": {"Variables": self.environment(function)},
        }
        yield name, _resource("Lambda::Function", properties)
        arn = {"Fn::GetAtt": [name, "Arn"]}
        for number, trigger in enumerate(function.triggers):
            if trigger.schedule:
                target = {"Arn": arn, "RoleArn": {"Fn::GetAtt": [f"{name}Role", "Arn"]}}
                schedule = {
                    "Name": f"{self._full(function.name)}-{number}",
                    "ScheduleExpression": trigger.schedule,
                    "Target": target,
                }
                yield (
                    f"{name}Schedule{number}",
                    _resource("Scheduler::Schedule", schedule | {"FlexibleTimeWindow": {"Mode": "OFF"}}),
                )
                continue
            mapping: Properties = {
                "FunctionName": {"Ref": name},
                "BatchSize": trigger.local_batch_size or trigger.batch_size,
                "MaximumBatchingWindowInSeconds": trigger.window_s,
            }
            if trigger.filter:
                mapping["FilterCriteria"] = {"Filters": [{"Pattern": json.dumps(trigger.filter)}]}
            if trigger.queue:
                mapping["EventSourceArn"] = {"Fn::GetAtt": [f"Queue{logical_id(trigger.queue)}", "Arn"]}
                mapping["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
            if trigger.stream:
                mapping["EventSourceArn"] = {
                    "Fn::GetAtt": [f"Table{logical_id(trigger.stream)}", "StreamArn"]
                }
                # From the oldest record: records between the creation of table and mapping must not be lost.
                mapping["StartingPosition"] = "TRIM_HORIZON"
            yield f"{name}Source{number}", _resource("Lambda::EventSourceMapping", mapping)

    def _role(self, function: Function) -> Properties:
        logs = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{self._full(function.name)}:*"
        statements: list[Properties] = [
            {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": logs}
        ]
        for statement in self._stack.statements(function):
            if statement.resource.kind == "websocket" and not self._websockets:
                continue
            actions = [
                *statement.actions,
                *(_BATCH_ACTIONS[action] for action in statement.actions if action in _BATCH_ACTIONS),
            ]
            statements.append(
                {"Effect": "Allow", "Action": actions, "Resource": self._resource_arn(statement)}
            )
        services = ["lambda.amazonaws.com", "scheduler.amazonaws.com"]
        assume = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
        policy = {"PolicyName": "grants", "PolicyDocument": _policy(statements)}
        return {
            "RoleName": self._full(function.name),
            "AssumeRolePolicyDocument": _policy([assume]),
            "Policies": [policy],
        }

    def _resource_arn(self, statement: Statement) -> Any:
        """Returns the ARN of a statement's resource."""
        resource = statement.resource
        if resource.kind == "key":
            return {"Fn::GetAtt": [f"Key{logical_id(resource.name)}", "Arn"]}
        if resource.kind == "websocket":
            api = f"${{Websocket{logical_id(resource.name)}}}"
            return {"Fn::Sub": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/{API_STAGE}/*/@connections/*"}
        return (
            self._arn(resource) + {"itself": "", "indexes": "/index/*", "stream": "/stream/*"}[statement.part]
        )

    def _arn(self, resource: Resource) -> str:
        """Returns the ARN of the table, queue or topic."""
        if resource.kind == "table":
            return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self._full(resource.name)}"
        if resource.kind == "queue":
            return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self._stack.queue_name(STAGE, resource.name)}"
        return f"arn:aws:sns:{REGION}:{ACCOUNT}:{self._stack.topic_name(STAGE, resource.name)}"

    def _address(self, resource: Resource) -> Any:
        """Returns the address by which the code reaches the resource."""
        match resource.kind:
            case "table":
                return self._full(resource.name)
            case "queue":
                return queue_url(self._place, self._stack, resource.name)
            case "topic":
                return self._arn(resource)
            case "key":
                return {"Fn::GetAtt": [f"Key{logical_id(resource.name)}", "Arn"]}
            case "websocket" if not self._websockets:
                return f"{self._place.cloud_url}/no-websockets-here"
            case "websocket":
                api = f"${{Websocket{logical_id(resource.name)}}}"
                return {"Fn::Sub": f"{self._place.cloud_url}/_aws/execute-api/{api}/{API_STAGE}"}

    def _full(self, name: str) -> str:
        return self._stack.full_name(STAGE, name)


def _table(full_name: str, table: Any) -> Properties:
    keys = [table.key, *table.indexes.values()]
    attributes = {
        attribute[0]: attribute[1] for key in keys for attribute in (key.hash, key.range) if attribute
    }
    properties: Properties = {
        "TableName": full_name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in sorted(attributes.items())
        ],
        "KeySchema": _key_schema(table.key),
    }
    if table.indexes:
        properties["GlobalSecondaryIndexes"] = [
            {
                "IndexName": name,
                "KeySchema": _key_schema(key),
                "Projection": {"ProjectionType": "KEYS_ONLY" if key.keys_only else "ALL"},
            }
            for name, key in table.indexes.items()
        ]
    if table.stream:
        properties["StreamSpecification"] = {"StreamViewType": table.stream}
    if table.ttl:
        properties["TimeToLiveSpecification"] = {"AttributeName": table.ttl, "Enabled": True}
    return properties


def _key_schema(key: Any) -> list[dict[str, str]]:
    schema = [{"AttributeName": key.hash[0], "KeyType": "HASH"}]
    return schema + ([{"AttributeName": key.range[0], "KeyType": "RANGE"}] if key.range else [])


def _resource(kind: str, properties: Properties) -> Properties:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def _policy(statements: list[Any]) -> Properties:
    return {"Version": "2012-10-17", "Statement": statements}
