"""What reading costs the more signals, orders and deliveries are stored, up to 100,000: items that DynamoDB has to look at."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.kit import Desk, Figure, Stand, apart, at_most, spread, watched
from chalicelib import aws, config
from chalicelib.events.models import LoggedEvent
from chalicelib.orders import ledger as order_ledger
from chalicelib.webhooks import ledger, store
from chalicelib.webhooks.models import State
from functions import receive_signals, retry_deliveries, serve_api, sweep, track_orders
from tests.support import gateway, pump

BUDGET_S = 200

SIZES = (1_000, 10_000, 100_000)
_LOGARITHMIC = 1.25  # what a logarithm grows by from 10,000 to 100,000; from 1,000 to 10,000 it is more
_OPEN = 5  # orders to follow, deliveries due: the same at every size
_BATCH = 25
_THREADS = 4

Read = tuple[str, Callable[[], None]]
"""What is read, and the reading."""


def run(stand: Stand) -> Iterator[Figure]:
    """Items looked at: a query's are counted by DynamoDB, filtered ones included; a key asked for is one, found or not."""
    logging.disable(logging.WARNING)
    tables = ["signals", "orders", "deliveries", "webhook_logs", "idempotency", "outbox", "following"]
    with apart(stand, tables, ["orders-binance", "deliveries"]), Desk(stand, {"binance": 1}, "demo") as desk:
        archive = _Archive(desk)
        reads = [*_routes(stand, desk, archive), *_scheduled()]
        looked_at: dict[str, list[int]] = {name: [] for name, _ in reads}
        sizes = []
        for size in SIZES:
            if len(sizes) > 1 and time.monotonic() > stand.ends_at - BUDGET_S * 0.8:
                break  # a machine this slow would not store the most of them in time
            archive.grow(size)
            sizes.append(size)
            for name, read in reads:
                with watched() as calls:
                    read()
                looked_at[name].append(sum(_items(call.answer, call.arguments) for call in calls))
    for what, means, chosen in (
        ("growth, lists", "The first page of every list, its total, and lists by a filter that lets nothing through.", _is_list),
        ("growth, records", "Every other read of the admin API.", lambda name: name.startswith("GET") and not _is_list(name)),
        ("growth, each minute", "track_orders, retry_deliveries and sweep, with five open orders and five due deliveries.", _is_function),
    ):
        figures = [counts for name, counts in looked_at.items() if chosen(name)]
        assert figures
        by_size = list(zip(*figures, strict=True))
        few, some, many = by_size[0], by_size[-2], by_size[-1]
        begins = f"with {sizes[0]:,} stored they look at {spread(few).median:,.0f} items ({max(few):,.0f} at most)"
        yield Figure(
            what,
            f"{means} {len(figures)} reads; {begins}.",
            spread(many),
            f"items with {sizes[-1]:,} stored",
            floor=spread(some),
            floor_is=f"with {sizes[-2]:,}",
            ratio=spread((after + 1) / (before + 1) for before, after in zip(some, many, strict=True)),
            limit=at_most(_LOGARITHMIC, worst=True),
            grows="with what is asked for or open, up to a bound; not with what is stored.",
        )


def _is_list(name: str) -> bool:
    return name.startswith("GET") and not name.split(" ")[1].endswith("}")


def _is_function(name: str) -> bool:
    return not name.startswith("GET")


def _items(answer: dict[str, Any], arguments: dict[str, Any]) -> int:
    if "ScannedCount" in answer:
        return int(answer["ScannedCount"])
    if "RequestItems" in arguments and "Responses" in answer:
        return sum(len(asked["Keys"]) for asked in arguments["RequestItems"].values())
    return int("Key" in arguments)


class _Archive:
    """A user's past: one signal, its order and its delivery, made by the product, and copies of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._size = 0
        answer = receive_signals.app(gateway.request("POST", "/api/webhook", json.dumps(desk.signal("binance"))), gateway.CONTEXT)
        assert answer["statusCode"] in {200, 202}, answer
        pump.execute("orders-binance")
        aws.delete_many("outbox", [{"event_id": item["event_id"]} for item in pump.items("outbox")])  # as publishing them would
        stored = next(desk.signals())
        self.signal_id = stored["signal_id"]
        self.signal = aws.to_dynamodb({name: value for name, value in stored.items() if name != "unqueued"})
        settled = aws.query_all("orders", "signal_id = :id", id=self.signal_id)
        [self.order] = [aws.to_dynamodb(item) for item in settled if "#" in item["leg"]]
        self.webhook_id = self._subscribe()
        now = datetime.now(UTC)
        self.delivery_id = self._deliver(now, State.DELIVERED)
        self.delivery = aws.to_dynamodb(aws.get(ledger.TABLE, ledger.key(self.delivery_id)) or {})

    def grow(self, size: int) -> None:
        """Has so many of each stored, and as many as ever open."""
        wanted = range(self._size, size)
        self._size = size
        batches = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._store, batches))
        since = datetime.now(UTC) - timedelta(hours=1)
        for number in range(_OPEN):
            self._deliver(since, State.PENDING)
            _follow(self._desk.accounts[0].account_id, f"open-{number}", since)

    def _store(self, numbers: range) -> None:
        """One batch for each table: the copies differ by their keys and their time."""
        copies: dict[str, list[aws.Item]] = {"signals": [], "orders": [], "deliveries": []}
        now = datetime.now(UTC)
        for number in numbers:
            at, signal_id = (now - timedelta(minutes=number + 1)).isoformat(), f"{number:032x}"
            order_id = f"{signal_id}-{self.order['account_id']['S']}-0"
            copies["signals"].append(self.signal | _text(signal_id=signal_id, received_at=at))
            copies["orders"].append(self.order | _text(signal_id=signal_id, order_id=order_id, created_at=at))
            copies["deliveries"].append(self.delivery | _text(id=f"msg_{signal_id}", placed=f"{at}#{number:012d}"))
        for table, items in copies.items():
            requests = [{"PutRequest": {"Item": item}} for item in items]
            left = aws.client("dynamodb").batch_write_item(RequestItems={config.table(table): requests})["UnprocessedItems"]
            assert not left, left

    def _subscribe(self) -> int:
        body = {"name": "bench", "url": "http://127.0.0.1:9/", "event_types": ["order.*"]}
        headers = {"Authorization": f"Bearer {self._desk.api_token}"}
        status, answer, _ = gateway.call(serve_api.app, "POST", "/webhooks", body, headers=headers)
        assert status == 201, answer
        return int(answer["id"])

    def _deliver(self, at: datetime, state: State) -> str:
        event = LoggedEvent(
            stream=f"user#{self._desk.user_id}",
            sequence=1,
            event_id=uuid.uuid4().hex,
            type="order.filled",
            payload={"order_id": "1"},
            entity=f"order#{uuid.uuid4().hex}",
            user_id=self._desk.user_id,
            timestamp=at,
        )
        webhook = store.get(self.webhook_id)
        assert webhook
        delivery = ledger.place(event, webhook, at)
        assert delivery
        if state is not State.PENDING:
            ledger.change(delivery, at, state=state, attempted=True)
        return delivery.delivery_id


def _text(**attributes: str) -> aws.Item:
    return {name: {"S": value} for name, value in attributes.items()}


def _follow(account_id: str, order_id: str, at: datetime) -> None:
    """An order to be followed, due since then; as the ledger writes it."""
    key = {"account_id": account_id, "order_id": order_id}
    item = {"exchange": "binance", "shard": str(int(account_id) % order_ledger.SHARDS), "due_at": at.isoformat(), "at": {}}
    aws.write(aws.put("following", key | item))


def _routes(stand: Stand, desk: Desk, archive: _Archive) -> Iterator[Read]:
    """Every GET route, by the user and by an admin; those with filters also by one that nothing passes."""
    tokens = {"user": desk.api_token, "admin": stand.env["TRADEHOOK_ADMIN_TOKEN"]}
    signal_id, account_id = archive.signal_id, desk.accounts[0].account_id
    known = {
        "user_id": desk.user_id,
        "account_id": account_id,
        "signal_id": signal_id,
        "order_id": f"{signal_id}-{account_id}-0",
        "webhook_id": str(archive.webhook_id),
        "delivery_id": archive.delivery_id,
        "file": "app.js",
        "folder": "vendor",
    }
    filters = {
        "/signals": [{"symbol": "XRPUSDT"}],
        "/orders": [{"status": "open"}],
        "/webhooks/{webhook_id}/deliveries": [{"status": "failed"}],
    }
    for route, methods in serve_api.app.routes.items():
        if "GET" not in methods:
            continue
        path = {name: known.get(name, "1") for name in methods["GET"].view_args}
        for query in [None, *filters.get(route, [])]:
            for who, token in tokens.items() if query is None else [("user", desk.api_token)]:
                narrowed = f" by {', '.join(query)}" if query else ""
                yield f"GET {route}{narrowed} as {who}", _reading(route, path, query, token)


def _reading(route: str, path: dict[str, str], query: dict[str, str] | None, token: str) -> Callable[[], None]:
    def read() -> None:
        request = gateway.request(
            "GET",
            route.format(**path),
            route=route,
            path_parameters=path or None,
            query=query,
            headers={"Authorization": f"Bearer {token}"},
        )
        answer = serve_api.app(request, gateway.CONTEXT)
        assert answer["statusCode"] < 500, (route, answer)

    return read


def _scheduled() -> Iterator[Read]:
    for function in (track_orders, retry_deliveries, sweep):
        yield function.__name__.rpartition(".")[2], lambda function=function: function.handler({}, gateway.CONTEXT)
