"""Writes through to disk what the emulated cloud keeps in memory.

Ministack writes its state once, at a clean stop. Here every change is noted where it is made, and no answer
leaves the process before the changes noted so far are on disk (`state_store.py`). Reads wait as well, so a
caller never sees a value that a power cut could take back.

- DynamoDB: items, and the tokens of transactions (10 minutes).
- SQS: messages in their order, sequence numbers, deduplication ids (5 minutes). A message in flight becomes
  visible again after a restart.
- SNS: sequence numbers and deduplication ids of FIFO topics.
- Everything else: the state of a service as one row, written when a call that may have changed it changed it.

Records of table streams stay in memory. The sweeper publishes the events whose records are lost.
"""

import copy
import json
import os
import time
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import state_store
from ministack import app as ministack_app
from ministack.core import persistence
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import cloudwatch_logs, dynamodb, lambda_svc, sns, sqs
from state_store import StateError, StateStore

_READS = ("Get", "List", "Describe", "Query", "Scan", "BatchGet", "TransactGet", "Lookup", "Filter", "Search")
_ELSEWHERE = {  # calls whose changes are noted one by one, or that change nothing worth keeping
    "dynamodb": {
        *("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"),
        *("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"),
    },
    "sqs": {
        *("SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch"),
        *("ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "PurgeQueue"),
    },
    "sns": {"Publish", "PublishBatch"},
    "kms": {
        *("Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "Sign", "Verify"),
        *("GenerateMac", "VerifyMac"),
    },
    "sts": {"AssumeRole"},
    "logs": {"PutLogEvents"},
    "monitoring": {"PutMetricData"},
}
_REACH_ALL = ("cloudformation", "cloudcontrol")  # they change other services, in the background
_LOOK_AGAIN_S = 2.0
_TRIES = 20
_DYNAMODB_REST = (
    *("tags", "ttl_settings", "pitr_settings", "kinesis_destinations", "contributor_insights", "backups"),
    *("resource_policies", "exports", "imports"),
)
_LOGS_REST = (
    *("destinations", "resource_policies", "log_group_policies", "metric_filters", "queries", "log_records"),
    *("delivery_sources", "delivery_destinations", "deliveries"),
)
_COUNTS = ("ItemCount", "TableSizeBytes")
_UNSEEN = {"receipt_handle": None, "receive_count": 0, "first_receive_at": None}

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Any]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Any]]


class DurableState:
    """Notes changes, keeps answers back until they are on disk, and restores the state at the start.

    Args:
        store: Where the state is kept.
        waiting: Whether answers wait for the disk.
    """

    def __init__(self, store: StateStore, *, waiting: bool = True) -> None:
        self._store = store
        self._waiting = waiting
        self._restoring = False
        self._looked = 0.0
        self._deploying = False  # CloudFormation may be changing other services, in the background
        self._stale: set[str] = set()  # services whose row may be out of date
        self._rows: dict[str, str] = {}  # what their rows say

    def install(self) -> None:
        """Puts itself between ministack and its stores. Nothing may have been restored yet."""
        self._watch(dynamodb._tables, "dynamodb", _Table)
        self._watch(sqs._queues, "sqs", _Queue)
        self._watch(sns._topics, "sns", _Topic)
        dynamodb._set_item = self._noting_set(dynamodb._set_item)
        dynamodb._remove_item = self._noting_removal(dynamodb._remove_item)
        dynamodb._items_replaced = self._noting_replacement(dynamodb._items_replaced)
        dynamodb._txn_token_store = self._noting_token(dynamodb._txn_token_store)
        atomic = self._store.atomic
        for name in ("_transact_write_items", "_execute_transaction"):
            setattr(dynamodb, name, atomic(getattr(dynamodb, name)))
        for action in ("SendMessage", "SendMessageBatch", "DeleteMessageBatch", "PurgeQueue"):
            sqs._HANDLERS[action] = atomic(sqs._HANDLERS[action])
        sqs._dlq_sweep = atomic(sqs._dlq_sweep)
        for name in ("publish_internal", "_publish", "_publish_batch"):
            setattr(sns, name, atomic(getattr(sns, name)))
        lambda_svc._write_code_blob = _kept_blob
        self._prune_blobs, lambda_svc._prune_orphan_code_blobs = (
            lambda_svc._prune_orphan_code_blobs,
            lambda _: None,  # a blob may be dropped only once no row on disk names it
        )
        ministack_app.load_state = self._load
        ministack_app.save_all = self._close
        for name, handler in ministack_app.SERVICE_HANDLERS.items():
            ministack_app.SERVICE_HANDLERS[name] = self._marking(name, handler)

    def before(self, app: App) -> App:
        """Returns the application whose answers wait until what they say is on disk."""

        async def serving(scope: Message, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or not self._waiting:
                await app(scope, receive, send)
                return

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    if scope["path"].startswith("/_ministack/reset"):
                        self._stale |= set(ministack_app._build_persistence_save_dict())
                    self._write_rows()
                    await self._store.commit()
                await send(message)

            await app(scope, receive, sending)

        return serving

    def note(self, statement: str, *values: Any) -> None:
        """Notes a change, unless it comes from the disk."""
        if not self._restoring:
            self._store.note(statement, *values)

    # Calls that may change a service's own state

    def _marking(self, service: str, handler: Handler) -> Handler:
        config = ministack_app.SERVICE_REGISTRY[service]
        names = {config.get("state_key", config["module"]), *config.get("sub_modules", ())}

        async def handling(
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
        ) -> Any:
            answer = None
            try:
                answer = await handler(method, path, headers, body, query)
                return answer
            finally:
                if _may_change(service, method, path, headers, body, query):
                    self._deploying = self._deploying or service in _REACH_ALL
                    self._stale |= names
                elif service in _REACH_ALL and self._deploying and not _in_progress(answer):
                    self._deploying = False
                    self._stale |= set(ministack_app._build_persistence_save_dict())

        return handling

    def _write_rows(self) -> None:
        if self._deploying and time.monotonic() > self._looked + _LOOK_AGAIN_S:
            self._looked = time.monotonic()
            self._stale |= set(ministack_app._build_persistence_save_dict())
        while self._stale:
            name = self._stale.pop()
            get = ministack_app._build_persistence_save_dict().get(name)
            if get is not None:
                self._write_row(name, get)

    def _write_row(self, name: str, get: Callable[[], Any]) -> None:
        state = _unchanging(_STATES.get(name, get))
        if state is None:
            return
        version = persistence._state_format_version(name)
        row = json.dumps({"format": version, "state": state}, default=persistence._json_default)
        if self._rows.get(name) != row:
            self._rows[name] = row
            self.note(state_store.SET_SERVICE, name, row)

    # The start and the end

    def _load(self, name: str) -> Any:
        """Restores one service. Stands in place of ministack's `load_state`, which leaves that to its caller.

        The caller would go on without a service that cannot be restored, and the next change would overwrite
        its row.
        """
        if self._store.fresh:
            return persistence.load_state(name)  # what an earlier version wrote at its clean stop
        row = self._store.service(name)
        if row is None:
            return None
        self._restoring = True
        try:
            self._restore(name, row)
        except Exception as error:
            raise StateError(
                f"{name} cannot be restored, and its state is left as it is: {error!r}"
            ) from error
        finally:
            self._restoring = False
        return None

    def _restore(self, name: str, row: str) -> None:
        self._rows[name] = row
        content = json.loads(row, object_hook=persistence._json_object_hook)
        if content["format"] > persistence._state_format_version(name):
            raise StateError("a newer version of the emulator wrote it")
        state = content["state"]
        if name == "lambda":
            state.pop("dynamodb_stream_positions", None)  # their records are gone
        with_rows = {"dynamodb": self._with_items, "sqs": self._with_messages, "sns": self._with_tokens}
        if name in with_rows:
            with_rows[name](state)
        ministack_app._get_module(ministack_app._state_map[name]).load_persisted_state(state)

    def _with_items(self, state: dict[str, Any]) -> None:
        tables = {table["TableArn"]: table for table in state["tables"].all_values()}
        for table in tables.values():
            table["items"] = defaultdict(dict)
        for owner, hash_key, sort_key, item in self._store.items():
            if owner in tables:
                tables[owner]["items"][hash_key][sort_key] = item
        for table in tables.values():
            dynamodb._update_counts(table)
        for owner, token, entry in self._store.tokens():
            account, _, region = owner.partition(" ")
            if region:
                dynamodb._txn_idempotency.set_scoped(account, region, token, entry)

    def _with_messages(self, state: dict[str, Any]) -> None:
        queues = {queue["attributes"]["QueueArn"]: queue for queue in state["queues"].all_values()}
        for queue in queues.values():
            queue["messages"] = []
        for owner, message in self._store.queued():
            if owner in queues:
                queues[owner]["messages"].append(message | _UNSEEN)
        self._restore_sequences(queues)

    def _with_tokens(self, state: dict[str, Any]) -> None:
        self._restore_sequences({topic["arn"]: topic for topic in state["topics"].all_values()})

    def _restore_sequences(self, owners: dict[str, dict[str, Any]]) -> None:
        sequences = self._store.sequences()
        for arn, owner in owners.items():
            owner["fifo_seq"], owner["dedup_cache"] = sequences.get(arn, 0), {}
        for arn, token, entry in self._store.tokens():
            if arn in owners:
                owners[arn]["dedup_cache"][token] = entry

    def adopt(self) -> None:
        """Keeps what was restored from files of an earlier version, and drops these files."""
        if not self._store.fresh:
            return
        self._save(ministack_app._build_persistence_save_dict())
        self._store.adopted()
        for old in Path(persistence.STATE_DIR).glob("*.json"):
            old.unlink()

    def _save(self, services: dict[str, Callable[[], Any]]) -> None:
        for name, get in services.items():
            self._write_row(name, get)
        self._store.flush()

    def _close(self, services: dict[str, Callable[[], Any]]) -> None:
        """Writes what is not written yet. Stands in place of ministack's `save_all`."""
        self._save(services)
        lambda_svc._prune_orphan_code_blobs = self._prune_blobs
        lambda_svc.get_state()
        self._store.close()

    # Stores

    def _watch(self, scoped: AccountRegionScopedDict, service: str, kind: "type[_Record]") -> None:
        scoped._data = _Records(self, service, kind)

    def changed(self, service: str) -> None:
        """Marks a service whose row is out of date, wherever the change comes from."""
        if not self._restoring:
            self._stale.add(service)

    def _noting_set(self, set_item: Callable[..., Any]) -> Callable[..., Any]:
        def setting(table: dict[str, Any], hash_key: Any, sort_key: Any, item: dict[str, Any]) -> Any:
            old = set_item(table, hash_key, sort_key, item)
            self.note(state_store.SET_ITEM, *_item_key(table, hash_key, sort_key), item)
            return old

        return setting

    def _noting_removal(self, remove_item: Callable[..., Any]) -> Callable[..., Any]:
        def removing(table: dict[str, Any], hash_key: Any, sort_key: Any) -> Any:
            old = remove_item(table, hash_key, sort_key)
            if old is not None:
                self.note(state_store.DROP_ITEM, *_item_key(table, hash_key, sort_key))
            return old

        return removing

    def _noting_replacement(self, items_replaced: Callable[..., Any]) -> Callable[..., Any]:
        def replacing(table: dict[str, Any]) -> None:
            items_replaced(table)
            self.note_table(table)

        together: Callable[..., Any] = self._store.atomic(replacing)
        return together

    def note_table(self, table: dict[str, Any]) -> None:
        """Notes all items of a table."""
        self.note(state_store.DROP_TABLE, table["TableArn"])
        for hash_key, sorted_items in table["items"].items():
            for sort_key, item in sorted_items.items():
                self.note(state_store.SET_ITEM, *_item_key(table, hash_key, sort_key), item)

    def _noting_token(self, store_token: Callable[..., Any]) -> Callable[..., Any]:
        def storing(token: str, entry: dict[str, Any]) -> None:
            store_token(token, entry)
            owner = f"{dynamodb.get_account_id()} {dynamodb.get_region()}"
            expires = entry["completed_at"] + dynamodb._TXN_TOKEN_TTL
            self.note(state_store.SET_TOKEN, owner, state_store.key(token), expires, entry)

        return storing


class _Records(dict[Any, Any]):
    """The tables, queues or topics of all accounts: each is wrapped when it is stored."""

    def __init__(self, state: DurableState, service: str, kind: "type[_Record]") -> None:
        super().__init__()
        self._state, self._service, self._kind = state, service, kind

    def __deepcopy__(self, memo: Any) -> dict[Any, Any]:
        return {name: copy.deepcopy(value, memo) for name, value in list(self.items())}

    def __setitem__(self, name: Any, value: Any) -> None:
        super().__setitem__(name, self._kind(self._state, value))
        self._state.changed(self._service)

    def update(self, other: Any) -> None:  # type: ignore[override]  # ministack gives nothing but a dict
        for name, value in other.items():
            self[name] = value

    def pop(self, name: Any, *default: Any) -> Any:
        value = super().pop(name, *default)
        if isinstance(value, _Record):
            value.gone()
            self._state.changed(self._service)
        return value

    def __delitem__(self, name: Any) -> None:
        self.pop(name)

    def clear(self) -> None:
        for name in list(self):
            self.pop(name)


class _Record(dict[str, Any]):
    """A table, queue or topic."""

    def __init__(self, state: DurableState, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.state = state
        self.begin()

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        return {name: copy.deepcopy(value, memo) for name, value in self.items()}

    def begin(self) -> None:
        """Notes what is there at the creation."""

    def gone(self) -> None:
        """Notes the deletion."""


class _Table(_Record):
    def begin(self) -> None:
        if self.get("items"):
            self.state.note_table(self)

    def gone(self) -> None:
        self.state.note(state_store.DROP_TABLE, self["TableArn"])


class _Ordered(_Record):
    """What FIFO queues and topics have in common: numbers and deduplication ids."""

    def arn(self) -> str:
        raise NotImplementedError

    def begin(self) -> None:
        self["dedup_cache"] = self.get("dedup_cache", {})
        if self.get("fifo_seq"):
            self["fifo_seq"] = self["fifo_seq"]

    def gone(self) -> None:
        self.state.note(state_store.DROP_SEQUENCE, self.arn())
        self.state.note(state_store.DROP_TOKENS, self.arn())

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "fifo_seq":
            self.state.note(state_store.SET_SEQUENCE, self.arn(), value)
        elif name == "dedup_cache" and not isinstance(value, _Tokens):
            value = _Tokens(self, value)
        super().__setitem__(name, value)


class _Topic(_Ordered):
    def arn(self) -> str:
        return str(self["arn"])


class _Queue(_Ordered):
    def arn(self) -> str:
        return str(self["attributes"]["QueueArn"])

    def begin(self) -> None:
        super().begin()
        self["messages"] = self.get("messages", [])

    def gone(self) -> None:
        super().gone()
        self.state.note(state_store.DROP_MESSAGES, self.arn())

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "messages":
            before = self.get("messages", ())
            if isinstance(before, _Messages):
                before.replaced_by(value)
                value = _Messages(self, value, noted=True)
            else:
                value = _Messages(self, value, noted=False)
        super().__setitem__(name, value)


class _Tokens(dict[str, Any]):
    """Deduplication ids. Expired ones are dropped on disk by their time."""

    def __init__(self, owner: _Ordered, content: dict[str, Any]) -> None:
        super().__init__()
        self._owner = owner
        for token, entry in content.items():
            self[token] = entry

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        return copy.deepcopy(dict(self), memo)

    def __setitem__(self, token: str, entry: Any) -> None:
        super().__setitem__(token, entry)
        self._owner.state.note(
            state_store.SET_TOKEN, self._owner.arn(), state_store.key(token), entry["expire"], dict(entry)
        )


class _Messages(list[dict[str, Any]]):
    """A queue's messages."""

    def __init__(self, queue: _Queue, content: Iterable[dict[str, Any]], *, noted: bool) -> None:
        super().__init__(content)
        self._queue = queue
        if not noted:
            self._note(self)

    def __deepcopy__(self, memo: Any) -> list[dict[str, Any]]:
        return copy.deepcopy(list(self), memo)

    def _note(self, added: Iterable[dict[str, Any]]) -> None:
        for message in added:
            self._queue.state.note(
                state_store.SET_MESSAGE, self._queue.arn(), message["id"], message | _UNSEEN
            )

    def _note_removal(self, removed: Iterable[str]) -> None:
        for name in removed:
            self._queue.state.note(state_store.DROP_MESSAGE, self._queue.arn(), name)

    def replaced_by(self, others: list[dict[str, Any]]) -> None:
        """Notes the difference. The others are some of these, in their order, as ministack replaces them."""
        if len(others) != len(self):
            kept = {message["id"] for message in others}
            self._note_removal([message["id"] for message in self if message["id"] not in kept])

    def append(self, message: dict[str, Any]) -> None:
        super().append(message)
        self._note([message])

    def remove(self, message: dict[str, Any]) -> None:
        super().remove(message)
        self._note_removal([message["id"]])

    def clear(self) -> None:
        self._note_removal([message["id"] for message in self])
        super().clear()


def _item_key(table: dict[str, Any], hash_key: Any, sort_key: Any) -> tuple[str, str, str]:
    return table["TableArn"], state_store.key(hash_key), state_store.key(sort_key)


def _may_change(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
) -> bool:
    """Whether a call may have changed its service's row."""
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    if not action and service in ("sqs", "sns", "iam", "sts", "monitoring", "cloudformation"):
        given = query.get("Action") or parse_qs(body.decode("utf-8", "replace")).get("Action") or [""]
        action = given if isinstance(given, str) else given[0]
    if action:
        return not action.startswith(_READS) and action not in _ELSEWHERE.get(service, ())
    if service == "lambda" and path.endswith("/invocations"):
        return False
    return method not in ("GET", "HEAD")


def _in_progress(answer: Any) -> bool:
    body = answer[2] if isinstance(answer, tuple) else b""
    return b"IN_PROGRESS" in (body.encode() if isinstance(body, str) else bytes(body or b""))


def _unchanging(get: Callable[[], Any]) -> Any:
    """Returns the state, although a background thread may be changing it."""
    for _ in range(_TRIES):
        try:
            return get()
        except RuntimeError:  # "changed size during iteration"
            continue
    return get()


def _without(scoped: AccountRegionScopedDict, *names: str) -> AccountRegionScopedDict:
    copied = AccountRegionScopedDict()
    for scope, record in scoped.all_items():
        copied._data[scope] = {name: value for name, value in list(record.items()) if name not in names}
    return copied


def _dynamodb_state() -> dict[str, Any]:
    state = {name: getattr(dynamodb, f"_{name}") for name in _DYNAMODB_REST}
    return state | {"tables": _without(dynamodb._tables, "items", dynamodb._INDEX_MEMBERS, *_COUNTS)}


def _sqs_state() -> dict[str, Any]:
    queues = _without(sqs._queues, "messages", "dedup_cache", "fifo_seq")
    for queue in queues.all_values():
        queue["attributes"] = {
            name: value
            for name, value in queue["attributes"].items()
            if not name.startswith("ApproximateNumberOfMessages")
        }
    return {"queues": queues, "queue_name_to_url": sqs._queue_name_to_url}


def _sns_state() -> dict[str, Any]:
    state: dict[str, Any] = sns.get_state()
    return state | {"topics": _without(sns._topics, "dedup_cache", "fifo_seq")}


def _logs_state() -> dict[str, Any]:
    """Log groups without their lines: no caller relies on them after a restart, and they never end."""
    state = {name: getattr(cloudwatch_logs, f"_{name}") for name in _LOGS_REST}
    groups = _without(cloudwatch_logs._log_groups, "streams")
    for group in groups.all_values():
        group["streams"] = {}
    return state | {"log_groups": groups}


_STATES: dict[str, Callable[[], Any]] = {
    "cloudwatch_logs": _logs_state,
    "dynamodb": _dynamodb_state,
    "sqs": _sqs_state,
    "sns": _sns_state,
}


_write_blob = lambda_svc._write_code_blob


@lru_cache(maxsize=4)
def _synced_blob(code: bytes) -> str:
    name = str(_write_blob(code))
    for path in (_blob(name), _blob(name).parent):
        opened = os.open(path, os.O_RDONLY)
        os.fsync(opened)
        os.close(opened)
    return name


def _kept_blob(code: bytes) -> str:
    """Writes a function's code, once. Its row on disk names it, so it is there first."""
    name = _synced_blob(code)
    if not _blob(name).exists():
        _synced_blob.cache_clear()
        name = _synced_blob(code)
    return name


def _blob(name: str) -> Path:
    return Path(lambda_svc.CODE_BLOB_DIR, f"{name}.zip")


def install(app: App) -> App:
    """Opens the state and returns the application whose answers wait for it.

    Raises:
        SystemExit: A newer version wrote the state.
    """
    address = f"{os.environ['MINISTACK_HOST']}:{os.environ['GATEWAY_PORT']}"
    try:
        store = StateStore(Path(persistence.STATE_DIR, state_store.FILE), address)
    except StateError as error:
        raise SystemExit(f"{state_store.MARK}{error}") from None
    for message in store.messages:
        print(f"{state_store.MARK}{message}", flush=True)
    state = DurableState(store, waiting=os.environ.get(state_store.SWITCH) != "0")
    state.install()
    restore = ministack_app._load_persisted_state

    def restoring() -> None:
        try:
            restore()
            state.adopt()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the process must not go on
            traceback.print_exc()
            print(f"{state_store.MARK}{error}", flush=True)
            os._exit(1)  # the server would go on without the state

    ministack_app._load_persisted_state = restoring
    return state.before(app)
