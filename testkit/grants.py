"""The grants of `infra/stack.yaml`, enforced in unit tests, and their use by each function.

A function runs from its handler, or from the entry point that its handler calls. Each of its calls to the
emulated AWS must be granted: another call is denied, as in AWS, and fails the test. So the removal of a grant
fails the tests that make its calls, and a grant without a call in any test shows at the end of a whole run
(`pytest --grants`).
"""

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import local
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from infra import stack

Use = tuple[str, str, str]
"""A function, a resource as `kind:name`, an action."""

# A function's entry points below its handler, for tests that start there: a file under chalicelib, and a
# function in it ("" for all).
_ENTRIES: Mapping[tuple[str, str], str] = {
    ("execution/execute_signal.py", "execute_signal"): "execute_orders",
    ("execution/execute_signal.py", "on_price"): "execute_orders",
    ("reconciliation/reconcile_account.py", "reconcile_account"): "execute_orders",
    ("reconciliation/schedule.py", "queue_due_accounts"): "track_orders",
    ("exchanges/refresh.py", "refresh"): "refresh_markets",
    ("prices/fetch.py", "fetch_prices"): "fetch_prices",
    ("events/publish.py", "publish"): "publish_events",
    ("events/publish.py", "sweep"): "sweep",
    ("signals/sweep.py", "requeue"): "sweep",
    ("audit/chain.py", "link"): "sweep",
    ("journal/add_up.py", "sweep"): "sweep",
    ("realtime/connect.py", "open_connection"): "handle_realtime",
    ("realtime/connect.py", "close_connection"): "handle_realtime",
    ("realtime/converse.py", "answer_message"): "handle_realtime",
    ("realtime/push.py", "push"): "push_realtime",
    ("telegram/notify.py", "notify"): "notify_telegram",
    ("webhooks/delivery/worker.py", "run_minute"): "retry_deliveries",
    ("webhooks/routes.py", ""): "serve_api",
}
_HTTP = "whichever Chalice app the view belongs to"
_FUNCTIONS = stack.ROOT / "functions"
_PACKAGE = stack.ROOT / "chalicelib"
_DYNAMODB_WRITES = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_ADDRESSES = {"sqs": "QueueUrl", "sns": "TopicArn", "kms": "KeyId"}

_here = local()


class Grants:
    """The grants, and their uses.

    Attributes:
        used: By grant the first test that used it.
        denied: The calls that the current test was denied.
    """

    def __init__(self) -> None:
        described = stack.load()
        self.granted: set[Use] = set()
        self._triggers: set[tuple[str, str]] = set()
        self._resources: dict[str, str] = {}
        for function in described.functions.values():
            base = function.name.removesuffix(f"-{function.exchange}") if function.exchange else function.name
            self._triggers |= {
                (
                    base,
                    "queue:orders-{exchange}"
                    if trigger.queue.startswith("orders-")
                    else f"queue:{trigger.queue}",
                )
                for trigger in function.triggers
                if trigger.queue
            }
            for resource, actions in function.grants:
                self._resources[resource.variable] = name = _plain(resource.kind, resource.name)
                self.granted |= {(base, name, action) for action in actions}
        self._modules = {function.module.rpartition(".")[2] for function in described.functions.values()}
        self.used: dict[Use, str] = {}
        self.denied: list[str] = []
        self.test = ""

    def install(self) -> None:
        """Checks every call between the functions and the emulated AWS from now on."""
        call, submit = BaseClient._make_api_call, ThreadPoolExecutor.submit

        def checked(client: BaseClient, operation: str, arguments: Any) -> Any:
            self.check(client.meta.service_model.service_name, operation, arguments)
            return call(client, operation, arguments)

        def carrying(pool: ThreadPoolExecutor, task: Any, /, *arguments: Any, **named: Any) -> Any:
            function = self._acting()

            def run(*arguments: Any, **named: Any) -> Any:
                _here.function = function
                return task(*arguments, **named)

            return submit(pool, run, *arguments, **named)

        BaseClient._make_api_call = checked
        ThreadPoolExecutor.submit = carrying

    def unused(self) -> list[Use]:
        """Returns the unused grants."""
        return sorted(self.granted - self.used.keys())

    def check(self, service: str, operation: str, arguments: Mapping[str, Any]) -> None:
        """Raises ClientError if a running function has no grant for this call.

        Fakes call it, too: no client stands before them.
        """
        function = self._acting()
        if function is None:
            return
        for address, action in _wanted(service, operation, arguments):
            use = (function, self._name(address), action)
            if use in self.granted:
                self.used.setdefault(use, self.test)
                continue
            if action == "DeleteMessage" and use[:2] in self._triggers:
                continue  # what a queue's trigger needs, the function's role allows (stack.statements)
            self.denied.append(f"{function} has no grant for {action} on {use[1]}")
            raise ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": self.denied[-1]}}, operation
            )

    def _name(self, address: str) -> str:
        """Returns the resource with this address in the environment."""
        return next(
            (name for variable, name in self._resources.items() if os.environ.get(variable) == address),
            f"unknown:{address}",
        )

    def _acting(self) -> str | None:
        """Returns the function that runs in this thread.

        The outermost one, because functions share lower code.
        """
        found = getattr(_here, "function", None)
        frame: Any = sys._getframe(2)
        while frame is not None:
            begun = self._begun_by(frame.f_code.co_filename, frame.f_code.co_name)
            found = frame.f_locals["app"].app_name if begun == _HTTP else begun or found
            frame = frame.f_back
        return found

    @cache  # noqa: B019 - there is one for the whole run
    def _begun_by(self, file: str, name: str) -> str | None:
        """Returns the function whose entry point is this name in this file. None for other code."""
        path = Path(file)
        if path.parent == _FUNCTIONS and name != "<module>":
            if (path.stem, name) == ("chalice_app", "view"):
                return _HTTP
            return path.stem if path.stem in self._modules else None
        if path.is_relative_to(_PACKAGE):
            inside = path.relative_to(_PACKAGE).as_posix()
            return _ENTRIES.get((inside, name)) or _ENTRIES.get((inside, ""))
        return None


def _wanted(service: str, operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the addresses and actions that a call needs."""
    if service == "dynamodb":
        if operation == "TransactWriteItems":
            for write in arguments["TransactItems"]:
                [(kind, item)] = write.items()
                yield item["TableName"], _DYNAMODB_WRITES[kind]
        elif "RequestItems" in arguments:
            for table in arguments["RequestItems"]:
                yield table, operation
        else:
            yield arguments["TableName"], operation
    elif service in _ADDRESSES:
        yield arguments[_ADDRESSES[service]], operation.removesuffix("Batch")
    elif service == "apigatewaymanagementapi":
        yield os.environ["WEBSOCKET_REALTIME"], "ManageConnections"


def _plain(kind: str, name: str) -> str:
    """Returns a resource's name. The order queues of all exchanges count as one, as in a grant."""
    return f"{kind}:{'orders-{exchange}' if kind == 'queue' and name.startswith('orders-') else name}"
