"""The route document: Chalice's swagger, with each method's function marked.

`x-tradehook-function` names the function. The integration's `uri` is its placeholder `${name}`, as
Terraform's `templatefile` wants it. The local deployment fills the placeholder in itself.
"""

import json
import re
import sys
from typing import Any

from chalice.deploy.swagger import SwaggerGenerator

from infra.build import import_rules
from infra.build.zipping import BuildError

_GREEDY = re.compile(r"\{(\w+)\+\}")


class _Generator(SwaggerGenerator):
    """Chalice's generator, with the function's placeholder for its single handler."""

    def __init__(self, owners: dict[tuple[str, str], str]) -> None:
        super().__init__("", {})
        self._owners = owners
        self._function = ""

    def _generate_route_method(self, view: Any) -> Any:
        self._function = self._owners[view.method, view.uri_pattern]
        operation = {**super()._generate_route_method(view), "x-tradehook-function": self._function}
        # Chalice has no greedy parameters, and API Gateway's documents declare them by the name without the
        # plus:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-set-up-simple-proxy.html
        greedy = [
            {"name": name, "in": "path", "required": True, "type": "string"}
            for name in _GREEDY.findall(view.uri_pattern)
        ]
        return operation | ({"parameters": [*operation.get("parameters", []), *greedy]} if greedy else {})

    def _uri(self, lambda_arn: str | None = None) -> str:  # noqa: ARG002 - the signature is Chalice's
        return f"${{{self._function}}}"


def document() -> dict[str, Any]:
    """Returns the route document of the root `app.py`. Raises BuildError if API Gateway would refuse it."""
    import app  # noqa: PLC0415 - it imports the product, which a build that has nothing to do must not

    swagger: dict[str, Any] = _Generator(app.OWNERS).generate_swagger(app.app)
    swagger["paths"] = dict(sorted(swagger["paths"].items()))
    if refused := import_rules.problems(swagger):
        raise BuildError("API Gateway would refuse the routes:\n" + "\n".join(refused))
    return swagger


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
