"""What Terraform plans and what the local deployment creates are the same.

Resource by resource, grant by grant.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import stack as stack_file
from infra.local.paths import LocalStackPaths
from infra.local.template import Template
from infra.stack import Function, Resource, Stack
from tests.infra.conftest import OWNERS
from tests.infra.terraform import Plan

Properties = dict[str, Any]

# Resources that only the emulator needs, and resources that only AWS has.
_LOCAL_ACTIONS = {"sqs:SendMessageBatch", "sns:PublishBatch"}
_LOCAL_VARIABLES = {
    "AWS_ENDPOINT_URL",
    "TRADEHOOK_DEFAULT_USER_ID",
    "TRADEHOOK_EXCHANGE_ENDPOINT",
    "TRADEHOOK_TELEGRAM_API",
}
_AWS_VARIABLES = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"}


@pytest.fixture(scope="session")
def stack() -> Stack:
    return stack_file.load()


class Local:
    """The local deployment's template."""

    def __init__(self, resources: dict[str, Properties]) -> None:
        self.resources = resources

    def of(self, kind: str) -> dict[str, Properties]:
        """Properties of the resources of a type, by logical id."""
        return {
            name: resource["Properties"]
            for name, resource in self.resources.items()
            if resource["Type"] == f"AWS::{kind}"
        }

    def name(self, reference: Any) -> str:
        """The full name of what a reference refers to."""
        if isinstance(reference, str):
            return reference.rpartition(":")[2]
        target = reference.get("Ref") or reference["Fn::GetAtt"][0]
        properties = self.resources[target]["Properties"]
        return next(
            (
                properties[key]
                for key in ("QueueName", "TableName", "TopicName", "FunctionName", "Name")
                if key in properties
            ),
            target,
        )


@pytest.fixture(scope="session")
def local(stack: Stack, release: Path) -> Local:
    place = LocalStackPaths(
        directory=release / "state", port=8080, environment={}, stack_yaml=stack_file.STACK_YAML
    )
    routes = json.loads((release / "routes.json").read_text())
    return Local(json.loads(Template(stack, place, routes, ("bucket", "key")).render())["Resources"])


def test_tables(local: Local, local_plan: Plan) -> None:
    """Every table has the same keys, indexes, stream and time to live on both sides. There are no others."""

    def keys(schema: list[Properties]) -> tuple[str | None, ...]:
        names = {key["KeyType"]: key["AttributeName"] for key in schema}
        return names["HASH"], names.get("RANGE")

    expected = {
        table["TableName"]: {
            "key": keys(table["KeySchema"]),
            "attributes": {
                attribute["AttributeName"]: attribute["AttributeType"]
                for attribute in table["AttributeDefinitions"]
            },
            "indexes": {
                index["IndexName"]: keys(index["KeySchema"])
                for index in table.get("GlobalSecondaryIndexes", [])
            },
            "stream": table.get("StreamSpecification", {}).get("StreamViewType"),
            "ttl": table.get("TimeToLiveSpecification", {}).get("AttributeName"),
            "billing": table["BillingMode"],
        }
        for table in local.of("DynamoDB::Table").values()
    }
    actual = {
        table.values["name"]: {
            "key": (table.values["hash_key"], table.values["range_key"]),
            "attributes": {attribute["name"]: attribute["type"] for attribute in table.values["attribute"]},
            "indexes": {
                index["name"]: (index["hash_key"], index["range_key"])
                for index in table.values["global_secondary_index"]
            },
            "stream": table.values.get("stream_view_type") if table.values["stream_enabled"] else None,
            "ttl": next((ttl["attribute_name"] for ttl in table.values["ttl"]), None),
            "billing": table.values["billing_mode"],
        }
        for table in local_plan.all("aws_dynamodb_table").values()
    }

    assert expected == actual


def test_queues(local: Local, local_plan: Plan) -> None:
    """Every queue and dead-letter queue has the same order, times and redrive on both sides.

    AWS adds only its streams' failures.
    """
    expected = {}
    for queue in local.of("SQS::Queue").values():
        redrive = queue.get("RedrivePolicy")
        expected[queue["QueueName"]] = {
            "fifo": bool(queue.get("FifoQueue")),
            "visibility": queue.get("VisibilityTimeout"),
            "delay": queue.get("DelaySeconds"),
            "retention": queue["MessageRetentionPeriod"],
            "redrive": (local.name(redrive["deadLetterTargetArn"]), redrive["maxReceiveCount"])
            if redrive
            else None,
        }
    actual = {}
    for block in ("this", "dead"):
        for queue in local_plan.all("aws_sqs_queue", block).values():
            redrive = (
                json.loads(queue.values["redrive_policy"]) if queue.values.get("redrive_policy") else None
            )
            actual[queue.values["name"]] = {
                "fifo": bool(queue.values["fifo_queue"]),
                "visibility": queue.values.get("visibility_timeout_seconds"),
                "delay": queue.values.get("delay_seconds"),
                "retention": queue.values["message_retention_seconds"],
                "redrive": (redrive["deadLetterTargetArn"].rpartition(":")[2], redrive["maxReceiveCount"])
                if redrive
                else None,
            }

    assert expected == actual


def test_topics(local: Local, local_plan: Plan) -> None:
    """Every topic, subscription and filter is the same on both sides, and SNS may write to the subscribed
    queues only.
    """
    topics = {topic["TopicName"]: bool(topic.get("FifoTopic")) for topic in local.of("SNS::Topic").values()}
    subscriptions = {
        (
            local.name(subscription["TopicArn"]),
            local.name(subscription["Endpoint"]),
            subscription["RawMessageDelivery"],
            json.dumps(subscription.get("FilterPolicy"), sort_keys=True),
            subscription.get("FilterPolicyScope"),
        )
        for subscription in local.of("SNS::Subscription").values()
    }
    writers = {
        (local.name(queue), topic)
        for policy in local.of("SQS::QueuePolicy").values()
        for queue in policy["Queues"]
        for statement in policy["PolicyDocument"]["Statement"]
        for topic in _list(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
    }
    queue_of = {key: queue.values["name"] for key, queue in local_plan.all("aws_sqs_queue", "this").items()}
    topic_of = {key: topic.values["name"] for key, topic in local_plan.all("aws_sns_topic", "this").items()}

    assert topics == {
        topic.values["name"]: topic.values["fifo_topic"]
        for topic in local_plan.all("aws_sns_topic", "this").values()
    }
    assert subscriptions == {
        (
            topic_of[str(key).partition("/")[0]],
            subscription.values["endpoint"].rpartition(":")[2],
            subscription.values["raw_message_delivery"],
            json.dumps(json.loads(subscription.values["filter_policy"] or "null"), sort_keys=True),
            subscription.values.get("filter_policy_scope"),
        )
        for key, subscription in local_plan.all("aws_sns_topic_subscription", "this").items()
    }
    assert writers == {
        (queue_of[key], statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        for key, policy in local_plan.all("aws_sqs_queue_policy", "this").items()
        for statement in json.loads(policy.values["policy"])["Statement"]
        if statement["Effect"] == "Allow"
    }


def test_functions(local: Local, local_plan: Plan) -> None:
    """Every function has the same handler, memory, time and environment on both sides."""

    def described(handler: str, memory: int, timeout: int, variables: Any) -> Properties:
        known = set(variables) - _LOCAL_VARIABLES - _AWS_VARIABLES
        tables = {name: value for name, value in variables.items() if name.startswith(("TABLE_", "TOPIC_"))}
        return {
            "handler": handler,
            "memory": memory,
            "timeout": timeout,
            "variables": known,
            "addresses": tables,
        }

    expected = {
        function["FunctionName"]: described(
            function["Handler"],
            function["MemorySize"],
            function["Timeout"],
            function["Environment"]["Variables"],
        )
        for function in local.of("Lambda::Function").values()
    }
    actual = {}
    for function in local_plan.all("aws_lambda_function").values():
        values = function.values
        variables = dict(values["environment"][0]["variables"])
        for unknown in function.unknown["environment"][0]["variables"]:
            variables.setdefault(unknown, None)
        actual[values["function_name"]] = described(
            values["handler"], values["memory_size"], values["timeout"], variables
        )

    assert expected == actual


def test_grants(local: Local, local_plan: Plan) -> None:
    """Every role allows the same actions on the same resources on both sides, and nothing more."""
    expected: dict[str, set[tuple[str, str]]] = {}
    for role in local.of("IAM::Role").values():
        [policy] = role["Policies"]
        expected[role["RoleName"]] = {
            (action, _resource(statement["Resource"]))
            for statement in policy["PolicyDocument"]["Statement"]
            for action in _list(statement["Action"])
            if action not in _LOCAL_ACTIONS
        }
    # An API's and a key's ARN are known after they are made, and until then the policy's text is not: but one
    # expression makes the
    # policies of all the grants, so what holds for the others' text holds for theirs, and their address says
    # function and resource.
    actual: dict[str, set[tuple[str, str]]] = defaultdict(set)
    later: set[tuple[str, str]] = set()
    names = {key: role.values["name"] for key, role in local_plan.all("aws_iam_role", "function").items()}
    for resource in local_plan.role_policies:
        if resource.name in ("traces", "network", "schedule"):
            continue
        function, _, rest = str(resource.key).partition("/")
        if resource.values.get("policy") is None:
            later.add((names[function], rest.partition("/")[0]))
            continue
        for statement in json.loads(resource.values["policy"])["Statement"]:
            actual[names[function]] |= {
                (action, target)
                for action in statement["Action"]
                for target in {_resource(arn) for arn in statement["Resource"]}
                if not target.endswith("-failed")
                and not (target.endswith("/index") and action != "dynamodb:Query")
            }
    expected_later = {
        (role, resource)
        for role, allowed in expected.items()
        for _, resource in allowed
        if resource in ("key", "websocket")
    }

    assert {
        role: {pair for pair in allowed if pair[1] not in ("key", "websocket")}
        for role, allowed in expected.items()
    } == actual
    assert expected_later == later


def _resource(arn: Any) -> str:
    """What a statement is about, written alike for both sides.

    The account's number and the kind of wildcard do not matter.
    """
    if isinstance(arn, dict):
        return "websocket" if "Fn::Sub" in arn else "key"
    text = re.sub(r"/index/.*", "/index", arn)
    return re.sub(r"(:log-stream)?:\*$", ":*", text) if ":logs:" in text else text


def test_grants_in_stack_are_grants_in_the_plan(stack: Stack, local_plan: Plan) -> None:
    """Each grant of stack.yaml on a table is a statement of the plan, each other one a policy of its own,
    under the resource's name.
    """
    tables = {
        (function.name, _sid(resource.name))
        for function, resource in _granted(stack)
        if resource.kind == "table"
    }
    others = {
        f"{function.name}/{resource.kind}/{resource.name}"
        for function, resource in _granted(stack)
        if resource.kind != "table"
    }

    assert tables == set(_table_statements(local_plan))
    assert others == set(local_plan.all("aws_iam_role_policy", "grant"))


def test_table_policies_are_attached(local_plan: Plan) -> None:
    """Every policy on tables is attached to the role of the function that it is for."""
    roles = {key: role.values["name"] for key, role in local_plan.all("aws_iam_role", "function").items()}
    attached = local_plan.all("aws_iam_role_policy_attachment", "tables")

    assert set(attached) == set(local_plan.all("aws_iam_policy", "tables"))
    assert all(
        attachment.values["role"] == roles[str(key).partition("/")[0]] for key, attachment in attached.items()
    )


def _granted(stack: Stack) -> Iterator[tuple[Function, Resource]]:
    return ((function, resource) for function in stack.functions.values() for resource in function.resources)


def _sid(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))


def _table_statements(plan: Plan) -> dict[tuple[str, str], Properties]:
    """The statements on tables, by function and Sid."""
    return {
        (str(key).partition("/")[0], statement["Sid"]): statement
        for key, policy in plan.all("aws_iam_policy", "tables").items()
        for statement in json.loads(policy.values["policy"])["Statement"]
    }


def test_indexes_are_reached_by_query_alone(stack: Stack, local_plan: Plan) -> None:
    """A role reaches the indexes of a table if it is granted Query there, and then exactly those that the
    table has.
    """
    for function in stack.functions.values():
        for resource, actions in function.grants:
            if resource.kind != "table":
                continue
            statement = _table_statements(local_plan)[function.name, _sid(resource.name)]
            reached = {arn.rpartition("/")[2] for arn in statement["Resource"] if "/index/" in arn}

            assert reached == (
                set(stack.source.tables[resource.name].indexes) if "Query" in actions else set()
            ), statement


def test_triggers(stack: Stack, local: Local, local_plan: Plan) -> None:
    """Every function is started by the same queues, streams and schedules on both sides."""
    expected = {
        (
            local.name(mapping["FunctionName"]),
            local.name(mapping["EventSourceArn"]),
            json.dumps(mapping.get("FilterCriteria", {}).get("Filters")),
        )
        for mapping in local.of("Lambda::EventSourceMapping").values()
    }
    sources = {
        "queue": {
            key: queue.values["name"] for key, queue in local_plan.all("aws_sqs_queue", "this").items()
        },
        "stream": {key: table.values["name"] for key, table in local_plan.all("aws_dynamodb_table").items()},
    }
    actual = set()
    for block in ("queue", "stream"):
        for key, mapping in local_plan.all("aws_lambda_event_source_mapping", block).items():
            patterns = [
                {"Pattern": json.dumps(json.loads(criterion["pattern"]))}
                for filters in mapping.values["filter_criteria"]
                for criterion in filters["filter"]
            ]
            source = sources[block][str(key).partition("/")[2]]
            actual.add((mapping.values["function_name"], source, json.dumps(patterns or None)))
            assert mapping.values["function_response_types"] == ["ReportBatchItemFailures"]
    schedules = {
        (schedule["Name"], schedule["ScheduleExpression"], local.name(schedule["Target"]["Arn"]))
        for schedule in local.of("Scheduler::Schedule").values()
    }
    functions = {
        key: function.values["function_name"]
        for key, function in local_plan.all("aws_lambda_function").items()
    }

    assert expected == actual
    assert schedules == {
        (
            schedule.values["name"],
            schedule.values["schedule_expression"],
            functions[str(key).rpartition("-")[0]],
        )
        for key, schedule in local_plan.all("aws_scheduler_schedule").items()
    }
    assert sum(len(function.triggers) for function in stack.functions.values()) == len(actual) + len(
        schedules
    )


def test_limits_of_triggers(stack: Stack, local_plan: Plan) -> None:
    """Batch size, window, concurrency, tries and age of each trigger are those of stack.yaml, placeholders
    filled in.
    """
    for function in stack.functions.values():
        for trigger in function.triggers:
            if trigger.schedule:
                continue
            block, source = ("queue", trigger.queue) if trigger.queue else ("stream", trigger.stream)
            values = local_plan.all("aws_lambda_event_source_mapping", block)[
                f"{function.name}/{source}"
            ].values
            scaling = values["scaling_config"][0]["maximum_concurrency"] if values["scaling_config"] else None

            assert trigger.batch_size == values["batch_size"]
            assert (trigger.window_s or None) == values["maximum_batching_window_in_seconds"]
            assert (
                None if trigger.maximum_concurrency is None else int(trigger.maximum_concurrency)
            ) == scaling
            if trigger.stream:
                assert (10 if trigger.retries is None else trigger.retries) == values[
                    "maximum_retry_attempts"
                ]
                assert (trigger.maximum_age_s or 3600) == values["maximum_record_age_in_seconds"]
                assert values["destination_config"][0]["on_failure"][0]["destination_arn"].endswith("-failed")


def test_keys(stack: Stack, local_plan: Plan) -> None:
    """Every key is there and rotates as stack.yaml says."""
    expected = {name: key.rotation for name, key in stack.source.keys.items()}

    assert expected == {
        name: key.values["enable_key_rotation"] for name, key in local_plan.all("aws_kms_key").items()
    }


def test_routes(local: Local, local_plan: Plan) -> None:
    """Every path and method goes to the function that the route document names, and what API Gateway answers
    by itself is the same.
    """
    [api] = local_plan.all("aws_api_gateway_rest_api").values()
    document = json.loads(api.values["body"])
    owner = re.compile(r"function:tradehook-local-([\w-]+)/invocations$")
    actual = {
        (method.upper(), path): owner.search(operation["x-amazon-apigateway-integration"]["uri"])[1]  # type: ignore[index]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["x-amazon-apigateway-integration"]["type"] == "aws_proxy"
    }
    answers = {
        kind: (answer.get("statusCode"), json.loads(answer["responseTemplates"]["application/json"]))
        for kind, answer in document["x-amazon-apigateway-gateway-responses"].items()
    }
    expected_answers = {
        answer["ResponseType"]: (
            answer.get("StatusCode"),
            json.loads(answer["ResponseTemplates"]["application/json"]),
        )
        for answer in local.of("ApiGateway::GatewayResponse").values()
    }

    assert actual == OWNERS
    assert "x-tradehook-function" not in api.values["body"]
    assert {kind: answers.get(kind) for kind in expected_answers} == expected_answers


def test_websockets(stack: Stack, local: Local, local_plan: Plan) -> None:
    """Every WebSocket API has the three routes, and all of them go to its function."""
    expected = {
        (api, route) for api in stack.source.websockets for route in ("$connect", "$disconnect", "$default")
    }
    permitted = {
        key: permission.values["function_name"]
        for key, permission in local_plan.all("aws_lambda_permission", "websocket").items()
    }
    owners = {
        function.definition.websocket: stack.full_name("local", function.name)
        for function in stack.functions.values()
        if function.definition.websocket
    }

    assert expected == {tuple(str(key).split("/")) for key in local_plan.all("aws_apigatewayv2_route")}
    assert {route["RouteKey"] for route in local.of("ApiGatewayV2::Route").values()} == {
        route for _, route in expected
    }
    assert owners == permitted


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
