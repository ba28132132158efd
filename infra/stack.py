"""Reads, expands and checks `infra/stack.yaml`.

`load()` returns the stack with every `for_each: exchanges` expanded, every placeholder filled in, and each
function's grants resolved to environment variables and IAM statements. A reference to a missing resource is a
`StackError` that names its place. The local deployment uses this module. `infra/terraform` does the same in
HCL from the same file, so this module also specifies what Terraform must do.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from infra import stack_schema as schema

ROOT = Path(__file__).resolve().parent.parent
STACK_YAML = ROOT / "infra" / "stack.yaml"

_SERVICES = {"table": "dynamodb", "queue": "sqs", "topic": "sns", "key": "kms", "websocket": "execute-api"}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")

Kind = schema.Kind


class StackError(Exception):
    """`stack.yaml` cannot be deployed."""


@dataclass(frozen=True)
class Resource:
    """A resource that a function may be granted, by kind and short name."""

    kind: Kind
    name: str

    @property
    def variable(self) -> str:
        """Returns the environment variable of its address."""
        return f"{self.kind}_{self.name}".upper().replace("-", "_")


@dataclass(frozen=True)
class Statement:
    """Actions that a function may perform on a resource.

    `part` is the resource itself, its "indexes" or its "stream".
    """

    resource: Resource
    actions: tuple[str, ...]
    part: Literal["itself", "indexes", "stream"] = "itself"


@dataclass(frozen=True)
class Function:
    """One Lambda function, after expansion."""

    name: str
    module: str
    exchange: str | None
    definition: schema.Function
    grants: tuple[tuple[Resource, tuple[str, ...]], ...]
    triggers: tuple[schema.Trigger, ...]

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Returns the granted resources without duplicates, in the order of the file."""
        return tuple(dict.fromkeys(resource for resource, _ in self.grants))


@dataclass(frozen=True)
class Queue:
    """One queue, after expansion. Its dead-letter queue is `{name}-dead`."""

    name: str
    definition: schema.Queue
    visibility_s: int


class Stack:
    """The stack that `stack.yaml` describes.

    Attributes:
        source: The file as read, with only its form checked.
        functions: Every function by name, those of `for_each` once per exchange.
        queues: Every queue by name, likewise, without the dead-letter queues.
    """

    def __init__(self, source: schema.Source) -> None:
        self.source = source
        self.functions = {function.name: function for function in self._functions()}
        self.queues = {queue.name: queue for queue in self._queues()}
        self._check()

    @property
    def name(self) -> str:
        """Returns the product's name, the first part of every resource's full name."""
        return self.source.name

    @cached_property
    def http_functions(self) -> tuple[Function, ...]:
        """Returns the functions that answer HTTP requests."""
        return tuple(function for function in self.functions.values() if function.definition.http)

    @cached_property
    def ccxt_modules(self) -> tuple[str, ...]:
        """Returns every ccxt module that an exchange needs."""
        return tuple(
            sorted({module for exchange in self.source.exchanges.values() for module in exchange.ccxt})
        )

    @cached_property
    def traded(self) -> tuple[str, ...]:
        """Returns the exchanges with orders, by name. Every function gets this list."""
        return tuple(sorted(name for name, exchange in self.source.exchanges.items() if exchange.ccxt))

    def full_name(self, stage: str, name: str) -> str:
        """Returns a resource's name in a deployment. FIFO queues and topics end in `.fifo`."""
        return f"{self.name}-{stage}-{name}"

    def queue_name(self, stage: str, name: str) -> str:
        """Returns a queue's full name. `name` may be a dead-letter queue's."""
        suffix = ".fifo" if self.queues[name.removesuffix("-dead")].definition.fifo else ""
        return self.full_name(stage, name) + suffix

    def topic_name(self, stage: str, name: str) -> str:
        """Returns a topic's full name."""
        return self.full_name(stage, name) + (".fifo" if self.source.topics[name].fifo else "")

    def statements(self, function: Function) -> Iterator[Statement]:
        """Yields the statements of the function's role: its grants, and the needs of its triggers.

        Writing logs is not included.
        """
        for resource, actions in function.grants:
            yield Statement(resource, tuple(f"{_SERVICES[resource.kind]}:{action}" for action in actions))
            if resource.kind == "table" and "Query" in actions and self.source.tables[resource.name].indexes:
                yield Statement(resource, ("dynamodb:Query",), "indexes")
        for trigger in function.triggers:
            if trigger.queue:
                actions = (
                    "sqs:ReceiveMessage",
                    "sqs:DeleteMessage",
                    "sqs:ChangeMessageVisibility",
                    "sqs:GetQueueAttributes",
                )
                yield Statement(Resource("queue", trigger.queue), actions)
            if trigger.stream:
                actions = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
                yield Statement(Resource("table", trigger.stream), actions, "stream")

    def _functions(self) -> Iterator[Function]:
        for name, definition in self.source.functions.items():
            where = f"function {name}"
            for exchange in self._each(definition.for_each):
                values = self._values(exchange)
                triggers = tuple(
                    schema.Trigger.model_validate(
                        {key: _fill(value, values, where) for key, value in trigger.model_dump().items()}
                    )
                    for trigger in definition.triggers
                )
                yield Function(
                    name=f"{name}-{exchange}" if exchange else name,
                    module=definition.handler.rpartition(".")[0],
                    exchange=exchange,
                    definition=definition,
                    grants=tuple(self._grants(definition, exchange, where)),
                    triggers=triggers,
                )

    def _grants(
        self, definition: schema.Function, exchange: str | None, where: str
    ) -> Iterator[tuple[Resource, tuple[str, ...]]]:
        """Yields the grants. Outside `for_each`, a grant with `{exchange}` stands for every exchange."""
        for grant in definition.grants:
            kind, name = grant.resource
            exchanges = (
                list(self.source.exchanges) if "{exchange}" in name and exchange is None else [exchange]
            )
            for each in exchanges:
                yield Resource(kind, _fill(name, self._values(each), where)), tuple(grant.actions)

    def _queues(self) -> Iterator[Queue]:
        for name, definition in self.source.queues.items():
            for exchange in self._each(definition.for_each):
                full = f"{name}-{exchange}" if exchange else name
                timeouts = [
                    function.definition.timeout_s
                    for function in self.functions.values()
                    if any(trigger.queue == full for trigger in function.triggers)
                ]
                yield Queue(full, definition, max(timeouts, default=0) + definition.visibility_margin_s)

    def _each(self, for_each: str | None) -> list[str] | list[None]:
        return list(self.source.exchanges) if for_each else [None]

    def _values(self, exchange: str | None) -> Mapping[str, Any]:
        return {"exchange": exchange, **self.source.exchanges[exchange].model_dump()} if exchange else {}

    def _check(self) -> None:
        """Raises StackError for the first reference to a missing resource."""
        for function in self.functions.values():
            for resource in function.resources:
                self._must_know(resource, f"function {function.name}, grants")
            if name := function.definition.websocket:
                self._must_know(Resource("websocket", name), f"function {function.name}, websocket")
            for trigger in function.triggers:
                self._check_trigger(trigger, f"function {function.name}, triggers")
        for name, topic in self.source.topics.items():
            for subscription in topic.subscriptions:
                self._must_know(Resource("queue", subscription.queue), f"topic {name}, subscriptions")
        for name in self.source.websockets:
            if sum(function.definition.websocket == name for function in self.functions.values()) != 1:
                raise StackError(f"websocket {name}: exactly one function must have `websocket: {name}`")

    def _check_trigger(self, trigger: schema.Trigger, where: str) -> None:
        if trigger.queue:
            self._must_know(Resource("queue", trigger.queue), where)
        if trigger.stream:
            self._must_know(Resource("table", trigger.stream), where)
            if not self.source.tables[trigger.stream].stream:
                raise StackError(f"{where}: table {trigger.stream!r} has no stream")

    def _must_know(self, resource: Resource, where: str) -> None:
        by_kind: Mapping[Kind, Mapping[str, Any]] = {
            "table": self.source.tables,
            "queue": self.queues,
            "topic": self.source.topics,
            "key": self.source.keys,
            "websocket": self.source.websockets,
        }
        known = by_kind[resource.kind]
        if resource.name not in known:
            listed = ", ".join(sorted(known)) or "none at all"
            raise StackError(f"{where}: there is no {resource.kind} {resource.name!r}, only {listed}")


def load(path: Path = STACK_YAML) -> Stack:
    """Returns the stack that the file describes. Raises StackError if it is inconsistent."""
    try:
        return Stack(schema.Source.model_validate(yaml.safe_load(path.read_text())))
    except ValidationError as error:
        first = error.errors()[0]
        raise StackError(f"{path.name}, {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except yaml.YAMLError as error:
        raise StackError(f"{path.name} is not YAML: {error}") from error


def _fill(value: Any, values: Mapping[str, Any], where: str) -> Any:
    """Returns the value with its `{placeholders}` filled in.

    A value that is one placeholder keeps the type of its replacement.
    """
    if not isinstance(value, str):
        return value

    def known(name: str) -> Any:
        if name not in values:
            raise StackError(
                f"{where}: {value!r} names {{{name}}}, which is known only under `for_each: exchanges`"
            )
        return values[name]

    whole = _PLACEHOLDER.fullmatch(value)
    return known(whole[1]) if whole else _PLACEHOLDER.sub(lambda match: str(known(match[1])), value)
