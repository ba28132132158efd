"""The local template: least privilege, and nothing that the functions need left out."""

import json
from pathlib import Path

import pytest

from infra import stack
from infra.local.paths import LocalStackPaths
from infra.local.template import Template

PLACE = LocalStackPaths(
    Path("/nowhere"), 8123, {"TRADEHOOK_TELEGRAM_API": "http://127.0.0.1:1"}, stack.STACK_YAML
)
ROUTES = {
    "info": {},
    "paths": {
        "/api/webhook": {
            "post": {
                "x-tradehook-function": "receive_signals",
                "x-amazon-apigateway-integration": {"uri": "${receive_signals}"},
            },
        },
    },
}


@pytest.fixture(scope="module")
def description():
    return stack.load()


@pytest.fixture(scope="module")
def template(description):
    return json.loads(Template(description, PLACE, ROUTES, ("bucket", "code.zip")).render())


def statements(template, function):
    [policy] = template["Resources"][f"Function{function}Role"]["Properties"]["Policies"]
    return policy["PolicyDocument"]["Statement"]


def test_every_function_has_a_role_of_its_own(description, template):
    """No two functions share a role."""
    roles = [
        resource["Properties"]["Role"]["Fn::GetAtt"][0]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    assert len(set(roles)) == len(description.functions)


def test_no_role_allows_everything(description, template):
    """No role has every action or every resource."""
    for name in description.functions:
        logical = "".join(part.capitalize() for part in name.replace("_", "-").split("-"))
        for statement in statements(template, logical):
            assert not any(action.endswith(":*") or action == "*" for action in statement["Action"])
            assert statement["Resource"] != "*"


def test_batch_actions_follow_the_plain_ones(template):
    """The emulator asks for batch calls by their own names."""
    sending = [
        statement["Action"]
        for statement in statements(template, "ReceiveSignals")
        if "sqs:SendMessage" in statement["Action"]
    ]
    assert sending
    assert all("sqs:SendMessageBatch" in actions for actions in sending)


def test_the_environment_holds_settings_and_addresses(template):
    """What a function is granted it can find, and it knows the public URL."""
    variables = template["Resources"]["FunctionReceiveSignals"]["Properties"]["Environment"]["Variables"]
    assert variables["TABLE_SIGNALS"] == "tradehook-local-signals"
    assert (
        variables["QUEUE_ORDERS_PAPER"]
        == "http://127.0.0.1:18123/000000000000/tradehook-local-orders-paper.fifo"
    )
    assert variables["TRADEHOOK_PUBLIC_URL"] == "http://127.0.0.1:8123"
    assert variables["TRADEHOOK_TELEGRAM_API"] == "http://127.0.0.1:1"
    assert "TABLE_CONNECTIONS" not in variables


def test_a_change_of_routes_makes_a_new_deployment(description, template):
    """API Gateway shows a change only after a deployment, so its name follows the content."""

    def deployment(content):
        [name] = [
            name
            for name, resource in content["Resources"].items()
            if resource["Type"] == "AWS::ApiGateway::Deployment"
        ]
        return name

    paths = {"/other": ROUTES["paths"]["/api/webhook"]}
    other = json.loads(
        Template(description, PLACE, {**ROUTES, "paths": paths}, ("bucket", "code.zip")).render()
    )
    assert deployment(other) != deployment(template)
    assert other["Outputs"]["Fingerprint"] != template["Outputs"]["Fingerprint"]


def test_the_same_stack_is_the_same_template(description):
    """Nothing to do is recognised by the template's digest."""
    first, second = (Template(description, PLACE, ROUTES, ("bucket", "code.zip")).render() for _ in range(2))
    assert first == second


def test_localstack_gets_all_but_websockets(description):
    """Its free edition has no API Gateway v2.

    The functions find LocalStack's endpoint themselves, and nothing refers to missing resources.
    """
    rendered = Template(description, PLACE, ROUTES, ("bucket", "code.zip"), localstack=True).render()
    resources = json.loads(rendered)["Resources"]
    environments = [
        resource["Properties"]["Environment"]["Variables"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]

    assert "ApiGatewayV2" not in rendered
    assert "${Websocket" not in rendered
    assert len(environments) == len(description.functions)
    assert all("AWS_ENDPOINT_URL" not in environment for environment in environments)


def test_a_cloud_that_runs_elsewhere():
    """`CLOUD` names it; nothing is started, and a place finds itself again by its environment."""
    place = LocalStackPaths.here({"CLOUD": "http://127.0.0.1:4566/", "PORT": "8123"})
    assert place.cloud_url == "http://127.0.0.1:4566"
    assert LocalStackPaths.here(place.environ).cloud_url == place.cloud_url
    assert LocalStackPaths.here({"CLOUD": "", "PORT": "8123"}).cloud_url == "http://127.0.0.1:18123"
