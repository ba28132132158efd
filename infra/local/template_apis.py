"""The two APIs of the template.

REST from Chalice's route document, WebSocket with its three routes to one function.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.local.naming import logical_id
from infra.local.paths import API_STAGE, REGION

Properties = dict[str, Any]

# API Gateway's own answers, in the format of all other answers. Its default for an unknown route is 403.
_ANSWERS = {
    "MISSING_AUTHENTICATION_TOKEN": ("404", '{"error": "There is no such route", "code": "unknown_route"}'),
    "RESOURCE_NOT_FOUND": ("404", '{"error": "There is no such route", "code": "unknown_route"}'),
    "REQUEST_TOO_LARGE": ("413", '{"error": "The body is too large", "code": "too_large"}'),
    "THROTTLED": ("503", '{"error": "Try again in a moment", "code": "unavailable"}'),
    "UNSUPPORTED_MEDIA_TYPE": (
        "415",
        '{"error": "This content type is not understood", "code": "unsupported_media_type"}',
    ),
    "INTEGRATION_TIMEOUT": ("503", '{"error": "Try again in a moment", "code": "unavailable"}'),
    "DEFAULT_5XX": (None, '{"error": "Something went wrong on our side", "code": "internal"}'),
}


def rest_api(
    name: str, routes: Mapping[str, Any], functions: Mapping[str, str]
) -> Iterator[tuple[str, Properties]]:
    """Yields the REST API, its own answers, its deployment and stage.

    Args:
        name: Its full name.
        routes: Chalice's route document.
        functions: Each function's logical id.
    """
    body = copy.deepcopy(dict(routes))
    binary = body.pop("x-amazon-apigateway-binary-media-types", [])
    body["info"]["title"] = name
    for methods in body["paths"].values():
        for method in methods.values():
            if owner := method.pop("x-tradehook-function", None):
                method["x-amazon-apigateway-integration"]["uri"] = _invocation(functions[owner])
    properties = {
        "Name": name,
        "Body": body,
        "BinaryMediaTypes": binary,
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
    }
    yield "RestApi", _resource("ApiGateway::RestApi", properties)
    for kind, (status, template) in _ANSWERS.items():
        answer: Properties = {
            "RestApiId": {"Ref": "RestApi"},
            "ResponseType": kind,
            "ResponseTemplates": {"application/json": template},
        }
        yield (
            f"RestApi{logical_id(kind)}",
            _resource("ApiGateway::GatewayResponse", answer | ({"StatusCode": status} if status else {})),
        )
    # A deployment is a snapshot of the API: a change needs a new one, hence the digest in its name.
    digest = hashlib.sha256(json.dumps([properties, _ANSWERS], sort_keys=True).encode()).hexdigest()
    deployed = f"RestApiDeployment{digest[:12]}"
    deployment = _resource("ApiGateway::Deployment", {"RestApiId": {"Ref": "RestApi"}})
    yield deployed, deployment | {"DependsOn": [f"RestApi{logical_id(kind)}" for kind in _ANSWERS]}
    stage = {"RestApiId": {"Ref": "RestApi"}, "DeploymentId": {"Ref": deployed}, "StageName": API_STAGE}
    yield "RestApiStage", _resource("ApiGateway::Stage", stage)


def websocket_api(identity: str, name: str, function: str) -> Iterator[tuple[str, Properties]]:
    """Yields a WebSocket API whose routes all go to one function. `identity` is its logical id."""
    api = {"Ref": identity}
    properties = {
        "Name": name,
        "ProtocolType": "WEBSOCKET",
        "RouteSelectionExpression": "$request.body.action",
    }
    yield identity, _resource("ApiGatewayV2::Api", properties)
    integration = {"ApiId": api, "IntegrationType": "AWS_PROXY", "IntegrationUri": _invocation(function)}
    yield f"{identity}Integration", _resource("ApiGatewayV2::Integration", integration)
    for route in ("connect", "disconnect", "default"):
        routed = {
            "ApiId": api,
            "RouteKey": f"${route}",
            "Target": {"Fn::Sub": f"integrations/${{{identity}Integration}}"},
        }
        yield f"{identity}Route{route.capitalize()}", _resource("ApiGatewayV2::Route", routed)
    yield (
        f"{identity}Stage",
        _resource("ApiGatewayV2::Stage", {"ApiId": api, "StageName": API_STAGE, "AutoDeploy": True}),
    )


def _invocation(function: str) -> Properties:
    path = f"path/2015-03-31/functions/${{{function}.Arn}}/invocations"
    return {"Fn::Sub": f"arn:aws:apigateway:{REGION}:lambda:{path}"}


def _resource(kind: str, properties: Properties) -> Properties:
    return {"Type": f"AWS::{kind}", "Properties": properties}
