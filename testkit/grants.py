"""The grants of `infra/stack.yaml`, enforced on the functions in unit tests, and what each function really
uses of them.

While a function runs, whether by its handler or by the entry point that the handler hands on to, each of its calls to the emulated AWS
must be one it is granted: an ungranted one is denied, as in AWS, and fails the test. So taking out a grant fails the tests that make
its calls, and a grant whose calls no test makes shows at the end of a whole run (`pytest --grants`).
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

# Where a function's work begins below its handler, for tests that begin there: a file under chalicelib, and a
# function in it ("" for all).
_ENTRIES: Mapping[tuple[str, str], str] = {
    ("execution/execute_signal.py", "execute"): "execute_orders",
    ("execution/execute_signal.py", "on_price"): "execute_orders",
    ("reconciliation/reconcile_account.py", "follow"): "execute_orders",
    ("reconciliation/schedule.py", "queue_follow_ups"): "track_orders",
    ("exchanges/refresh.py", "refresh"): "refresh_markets",
    ("prices/fetch.py", "fetch_prices"): "fetch_prices",
    ("events/publish.py", "publish"): "publish_events",
    ("events/publish.py", "sweep"): "sweep",
    ("signals/sweep.py", "requeue"): "sweep",
    ("audit/chain.py", "link"): "sweep",
    ("realtime/connect.py", "open_connection"): "handle_realtime",
    ("realtime/connect.py", "close_connection"): "handle_realtime",
    ("realtime/converse.py", "hear"): "handle_realtime",
    ("realtime/push.py", "push"): "push_realtime",
    ("telegram/notify.py", "notify"): "notify_telegram",
    ("webhooks/worker.py", "minute"): "retry_deliveries",
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
    """The grants, and the uses made of them.

    Attributes:
        used: By grant the first test that used it.
        denied: What the current test was denied.
    """

    def __init__(self) -> None:
        described = stack.load()
        self.granted: set[Use] = set()
        self._resources: dict[str, str] = {}
        for function in described.functions.values():
            base = function.name.removesuffix(f"-{function.exchange}") if function.exchange else function.name
            for resource, actions in function.grants:
                self._resources[resource.variable] = name = _plain(resource.kind, resource.name)
                self.granted |= {(base, name, action) for action in actions}
        self._modules = {function.module.rpartition(".")[2] for function in described.functions.values()}
        self.used: dict[Use, str] = {}
        self.denied: list[str] = []
        self.test = ""

    def install(self) -> None:
        """Stands between the functions and the emulated AWS from now on."""
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
        """The grants that nothing has used."""
        return sorted(self.granted - self.used.keys())

    def check(self, service: str, operation: str, arguments: Mapping[str, Any]) -> None:
        """Raises ClientError if a function is running that is not granted this call.

        Also for fakes, which no client stands before.
        """
        function = self._acting()
        if function is None:
            return
        for address, action in _wanted(service, operation, arguments):
            use = (function, self._name(address), action)
            if use in self.granted:
                self.used.setdefault(use, self.test)
                continue
            self.denied.append(f"{function} has no grant for {action} on {use[1]}")
            raise ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": self.denied[-1]}}, operation
            )

    def _name(self, address: str) -> str:
        """The resource whose address the environment gives so."""
        return next(
            (name for variable, name in self._resources.items() if os.environ.get(variable) == address),
            f"unknown:{address}",
        )

    def _acting(self) -> str | None:
        """The function that is running in this thread.

        The outermost, since functions share what lies below.
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
        """The function that code of this name in this file is the beginning of."""
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
    """The addresses and actions that a call needs."""
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
    """A resource's name; the order queues of all exchanges are one, as a grant has it."""
    return f"{kind}:{'orders-{exchange}' if kind == 'queue' and name.startswith('orders-') else name}"
