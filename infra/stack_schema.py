"""The form of `infra/stack.yaml`, section by section: which keys there are, and of what type.

An unknown key is an error, because a setting that nothing reads looks like one that works. Only exchanges,
and the file's top
level, may hold more than is named here: limits and settings that the code reads, or that are placeholders for
`for_each`.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["table", "queue", "topic", "key", "websocket"]
Attribute = tuple[str, Literal["S", "N", "B"]]
ForEach = Literal["exchanges"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    does: str = ""


class Exchange(_Section):
    """An exchange. Whatever else it holds is a placeholder under `for_each: exchanges`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    ccxt: list[str] = []


class Grant(_Section):
    """Actions on one resource; exactly one of the kinds is given."""

    table: str | None = None
    queue: str | None = None
    topic: str | None = None
    key: str | None = None
    websocket: str | None = None
    actions: list[str] = Field(min_length=1)

    @property
    def resource(self) -> tuple[Kind, str]:
        """The kind and name of what is granted."""
        kinds: tuple[Kind, ...] = ("table", "queue", "topic", "key", "websocket")
        [(kind, name)] = [(kind, name) for kind in kinds if (name := getattr(self, kind))]
        return kind, name

    @model_validator(mode="after")
    def _names_one(self) -> "Grant":
        if sum(bool(name) for name in (self.table, self.queue, self.topic, self.key, self.websocket)) != 1:
            raise ValueError("a grant names exactly one table, queue, topic, key or websocket")
        return self


class Trigger(_Section):
    """What starts a function: a queue, a table's stream or a schedule."""

    queue: str | None = None
    stream: str | None = None
    schedule: str | None = None
    batch_size: int = 10
    local_batch_size: int | None = None
    window_s: int = 0
    maximum_concurrency: int | str | None = None
    retries: int | None = None
    maximum_age_s: int | None = None
    filter: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Trigger":
        if sum(bool(source) for source in (self.queue, self.stream, self.schedule)) != 1:
            raise ValueError("a trigger is exactly one queue, stream or schedule")
        return self


class Function(_Section):
    """A Lambda function."""

    for_each: ForEach | None = None
    handler: str
    memory_mb: int = 512
    timeout_s: int = 30
    reserved_concurrency: int | None = None
    http: bool = False
    webhooks: bool = False
    websocket: str | None = None
    environment: dict[str, str] = {}
    triggers: list[Trigger] = []
    grants: list[Grant] = []


class Queue(_Section):
    """An SQS queue and its dead-letter queue."""

    for_each: ForEach | None = None
    fifo: bool = False
    delay_s: int = 0
    visibility_margin_s: int = 30
    receive_limit: int = 5
    retention_days: int = 4


class Subscription(_Section):
    """A queue that gets a topic's messages, raw.

    `filter` is by message attribute, or by body where `filter_body` is true.
    """

    queue: str
    filter: dict[str, Any] | None = None
    filter_body: bool = False


class Topic(_Section):
    """An SNS topic."""

    fifo: bool = False
    subscriptions: list[Subscription] = []


class Websocket(_Section):
    """A WebSocket API; `path` is where the public URL has it."""

    path: str


class Keys(_Section):
    """The primary key of a table or index."""

    hash: Attribute
    range: Attribute | None = None


class Index(Keys):
    """An index of a table: its key, and whether it holds the keys alone or, by default, all attributes.

    `busy`: its items come and go with signals, events or deliveries, at few values; it has an alarm of its
    own.
    """

    keys_only: bool = False
    busy: bool = False


class Table(_Section):
    """A DynamoDB table."""

    key: Keys
    indexes: dict[str, Index] = {}
    stream: Literal["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"] | None = None
    ttl: str | None = None


class Key(_Section):
    """A KMS key; `context` names what every use of it has to say whose secret it is about."""

    rotation: bool = True
    context: list[str] = []


class Setting(_Section):
    """A setting that a deployment may give the functions."""

    secret: bool = False


class Logs(_Section):
    """How long logs are kept."""

    retention_days: int = 30


class Source(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    exchanges: dict[str, Exchange]
    functions: dict[str, Function]
    queues: dict[str, Queue] = {}
    topics: dict[str, Topic] = {}
    websockets: dict[str, Websocket] = {}
    tables: dict[str, Table] = {}
    keys: dict[str, Key] = {}
    logs: Logs = Logs()
    settings: dict[str, Setting] = {}
    environment: dict[str, str] = {}
