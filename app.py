"""The routes of all HTTP functions in one Chalice app, for Chalice's tooling.

The tools are `chalice local`, `chalice.test.Client` and `chalice package`. In the cloud each HTTP function
has its own Chalice app, which is its Lambda handler. `infra/stack.yaml` lists all functions. Terraform
deploys them, never Chalice.
"""

from importlib import import_module

from chalice.app import Chalice

from functions.chalice_app import add

# The functions that `infra/stack.yaml` marks `http: true`. Chalice packs this file without `infra`, so the
# list is repeated here. A test compares the two.
HTTP_FUNCTIONS = ("receive_signals", "serve_api")

# Chalice would set the level of the logger of this name, which is the product's own.
app = Chalice(app_name="tradehook", configure_logs=False)

# The function that answers a method and path.
OWNERS: dict[tuple[str, str], str] = {}

for function in HTTP_FUNCTIONS:
    served = import_module(f"functions.{function}").SERVED
    for route in served.routes:
        if (route.method, route.path) in OWNERS:
            raise ValueError(
                f"{route.method} {route.path} is in {OWNERS[route.method, route.path]} and {function}"
            )
        OWNERS[route.method, route.path] = function
    add(app, served)
