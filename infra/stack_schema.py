"""The form of `infra/stack.yaml`, section by section: allowed keys and their types.

An unknown key is an error, because an ignored setting looks like a working one. Only exchanges and the file's
top level may hold further keys: limits and settings that the code reads, or placeholders for `for_each`.
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
    """An exchange. Its further keys are placeholders under `for_each: exchanges`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    ccxt: list[str] = []


class Grant(_Section):
    """Actions on one resource, of exactly one kind."""

    table: str | None = None
    queue: str | None = None
    topic: str | None = None
    key: str | None = None
    websocket: str | None = None
    actions: list[str] = Field(min_length=1)

    @property
    def resource(self) -> tuple[Kind, str]:
        """Returns the kind and name of the granted resource."""
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

    `filter` is by message attribute, or by body if `filter_body` is true.
    """

    queue: str
    filter: dict[str, Any] | None = None
    filter_body: bool = False


class Topic(_Section):
    """An SNS topic."""

    fifo: bool = False
    subscriptions: list[Subscription] = []


class Websocket(_Section):
    """A WebSocket API. `path` is its path in the public URL."""

    path: str


class Keys(_Section):
    """The primary key of a table or index."""

    hash: Attribute
    range: Attribute | None = None


class Index(Keys):
    """An index of a table: its key, and whether it holds only the keys or all attributes (the default).

    `busy`: its items come and go with signals, events or deliveries, at few values. It has its own alarm.
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
    """A KMS key. `context` names the encryption context that every use must give: whose secret it is."""

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
