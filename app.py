"""The routes of all HTTP functions in one Chalice app, for Chalice's tooling. No logic, and nothing runs this in the cloud.

Each HTTP function has a Chalice app of its own, which is its Lambda handler; `infra/stack.yaml` says which functions those are.
"""

from importlib import import_module

from chalice.app import Chalice

from infra import stack

app = Chalice(app_name="tradehook")

# Which function answers a method and path.
OWNERS: dict[tuple[str, str], str] = {}

for function in stack.load().http_functions:
    for path, methods in import_module(function.module).app.routes.items():
        for method, view in methods.items():
            if (method, path) in OWNERS:
                raise ValueError(f"{method} {path} belongs to {OWNERS[method, path]} already, {function.name} cannot have it too")
            OWNERS[method, path] = function.name
            app.routes[path][method] = view
