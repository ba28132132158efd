"""The routes of all HTTP functions in one Chalice app, for Chalice's tooling.

`chalice local`, `chalice.test.Client`, `chalice package`.

In the cloud each HTTP function has a Chalice app of its own, which is its Lambda handler; `infra/stack.yaml`
says which functions those are, and describes the queues' and streams' functions too. Terraform deploys them,
never Chalice.
"""

from importlib import import_module

from chalice.app import Chalice

from functions.chalice_app import add

# Those that `infra/stack.yaml` marks `http: true`. Chalice packs this file without `infra`, so they stand
# here again; a test compares them.
HTTP_FUNCTIONS = ("receive_signals", "serve_api")

app = Chalice(app_name="tradehook")

# Which function answers a method and path.
OWNERS: dict[tuple[str, str], str] = {}

for function in HTTP_FUNCTIONS:
    served = import_module(f"functions.{function}").SERVED
    for route in served.routes:
        if (route.method, route.path) in OWNERS:
            raise ValueError(
                f"{route.method} {route.path} belongs to {OWNERS[route.method, route.path]} already, not to {function} too"
            )
        OWNERS[route.method, route.path] = function
    add(app, served)
