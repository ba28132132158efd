"""The cost of reads as signals, orders, trades and deliveries grow to 100,000.

Measured in items that DynamoDB must read.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import Any
from unittest.mock import patch

from bench.harness import BenchEnvironment, BenchUser, Figure, at_most, isolated_tables, spread, watched
from chalicelib import aws, config
from chalicelib.events.models import LoggedEvent
from chalicelib.journal import add_up, store
from chalicelib.journal.figures import totals_of
from chalicelib.journal.models import Trade
from chalicelib.orders import in_flight
from chalicelib.trading import MarketType
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import delivery_store, worker
from chalicelib.webhooks.delivery.create_deliveries import create_deliveries
from chalicelib.webhooks.models import State
from functions import receive_signals, retry_deliveries, serve_api, sweep, track_orders
from testkit import gateway, pump

BUDGET_S = 160

SIZES = (1_000, 10_000, 100_000)
_LOGARITHMIC = 1.25  # the growth of a logarithm from 10,000 to 100,000; from 1,000 to 10,000 it is more
_OPEN = 5  # in-flight orders and due deliveries: the same at every size
_DAYS = 90  # with totals of trades
_BATCH = 25
_THREADS = 4
_TYPES = {"S", "N", "B", "BOOL", "NULL", "M", "L"}

Read = tuple[str, Callable[[], None]]
"""The name of a read, and the read."""


@dataclass(frozen=True)
class _Cost:
    """The cost of a read: items read, calls to AWS, and milliseconds of our process and in all."""

    items: int
    calls: int
    own_ms: float
    all_ms: float


def run(bench_environment: BenchEnvironment) -> Iterator[Figure]:
    """Measures items read: DynamoDB counts a query's, filtered ones included.

    A read by key counts as one item, found or not.
    """
    logging.disable(logging.WARNING)
    tables = ["signals", "orders", "deliveries", "webhook_logs", "idempotency", "outbox", "in_flight_orders"]
    tables += ["trades", "performance"]
    with isolated_tables(bench_environment, tables, ["orders-binance", "deliveries"]), _one_minute():
        bench_user = BenchUser(bench_environment, {"binance": 1}, "demo")
        archive = _Archive(bench_user)
        reads = [*_routes(bench_environment, bench_user, archive), *_scheduled()]
        for _, read in reads:
            read()  # cached values are not part of the measurement
        costs: dict[str, list[_Cost]] = {name: [] for name, _ in reads}
        sizes: list[int] = []
        for size in SIZES:
            if len(sizes) > 1 and time.monotonic() > bench_environment.ends_at - BUDGET_S * 0.7:
                break  # a machine this slow would not store the largest size in time
            archive.grow(size)
            sizes.append(size)
            for name, read in reads:
                costs[name].append(_cost(read))
    for what, means, chosen in (
        (
            "growth, reads",
            (
                "Every GET of the admin API, by a user and an admin; "
                "lists with totals, and by a filter that nothing passes."
            ),
            True,
        ),
        (
            "growth, each minute",
            "track_orders, retry_deliveries and sweep, with five open orders and five due deliveries.",
            False,
        ),
    ):
        counts = {
            name: [cost.items for cost in by_size]
            for name, by_size in costs.items()
            if name.startswith("GET") is chosen
        }
        few, some, many = (sum(by_size[index] for by_size in counts.values()) for index in (0, -2, -1))
        most = max(by_size[-1] for by_size in counts.values())
        ratios = {name: (by_size[-1] + 1) / (by_size[-2] + 1) for name, by_size in counts.items()}
        grown = [name for name, ratio in ratios.items() if ratio > _LOGARITHMIC]
        yield Figure(
            what,
            f"{means} {len(counts)} reads; with {sizes[0]:,} of each stored "
            f"all of them together look at {few:,} items, with {sizes[-1]:,} none at more than {most:,}."
            + (f" Grown: {', '.join(grown)}." if grown else ""),
            spread([many]),
            "items",
            baseline=spread([some]),
            floor_is=f"with {sizes[-2]:,} stored, not {sizes[-1]:,}",
            ratio=spread(ratios.values()),
            limit=at_most(_LOGARITHMIC, worst=True),
            grows="with what is asked for or open, up to a bound; not with what is stored.",
        )
    yield from _beside(sizes, [by_size[-2:] for by_size in costs.values()])


def _beside(sizes: Sequence[int], costs: Sequence[Sequence[_Cost]]) -> Iterator[Figure]:
    """Yields the further costs of reads, at the two largest sizes."""
    for what, means, unit, value, limit in (
        (
            "AWS calls",
            "Calls to AWS by each of these reads.",
            "calls",
            attrgetter("calls"),
            at_most(_LOGARITHMIC, worst=True),
        ),
        (
            "processor time",
            "Our process's own time for each of these reads, boto3's included.",
            "ms",
            attrgetter("own_ms"),
            None,
        ),
        (
            "time",
            "The same, waiting included: the emulated DynamoDB sorts a partition whole for each query.",
            "ms",
            attrgetter("all_ms"),
            None,
        ),
    ):
        before, after = ([value(pair[index]) for pair in costs] for index in (0, 1))
        yield Figure(
            f"growth, {what}",
            means,
            spread(after),
            unit,
            baseline=spread(before),
            floor_is=f"with {sizes[-2]:,} stored, not {sizes[-1]:,}",
            ratio=spread((one + 1) / (other + 1) for one, other in zip(after, before, strict=True)),
            limit=limit,
        )


def _cost(read: Callable[[], None]) -> _Cost:
    with watched() as calls:
        began, own = time.perf_counter(), time.process_time()
        read()
        own_ms, all_ms = (time.process_time() - own) * 1000, (time.perf_counter() - began) * 1000
    return _Cost(sum(_items(call.answer, call.arguments) for call in calls), len(calls), own_ms, all_ms)


@contextmanager
def _one_minute() -> Iterator[None]:
    """Makes retry_deliveries see the same minute at every size.

    Each minute checks the counters of other subscriptions.
    """
    now = datetime.now(UTC)
    means = replace(worker.dependencies(), clock=lambda: now)
    with patch.object(worker, "dependencies", lambda: means):
        yield


def _items(answer: dict[str, Any], arguments: dict[str, Any]) -> int:
    if "ScannedCount" in answer:
        return int(answer["ScannedCount"])
    if "RequestItems" in arguments and "Responses" in answer:
        return sum(len(asked["Keys"]) for asked in arguments["RequestItems"].values())
    return int("Key" in arguments)


class _Archive:
    """A user's history: one signal, its order and its delivery, made by the product, and copies of them.

    The newest thousand, which pages show, are full copies. Older items are only skipped: they have the
    attributes of keys and indexes, and a text of the same size for the rest.
    """

    def __init__(self, bench_user: BenchUser) -> None:
        self._bench_user = bench_user
        self._size = 0
        answer = receive_signals.app(
            gateway.request("POST", "/api/webhook", json.dumps(bench_user.signal("binance", price="95000"))),
            gateway.CONTEXT,
        )
        assert answer["statusCode"] in {200, 202}, answer
        pump.execute("orders-binance")
        aws.delete_many(
            "outbox", [{name: item[name] for name in ("owner", "event_id")} for item in pump.items("outbox")]
        )  # as their publication would do
        stored = next(bench_user.signals())
        self.signal_id = stored["signal_id"]
        self._account_id = bench_user.accounts[0].account_id
        [order] = [
            item
            for item in aws.query_all("orders", "signal_id = :id", id=self.signal_id)
            if "#" in item["leg"]
        ]
        self.webhook_id = self._subscribe()
        self.delivery_id = self._deliver(datetime.now(UTC), State.DELIVERED)
        delivery = aws.get(delivery_store.TABLE, delivery_store.key(self.delivery_id))
        assert delivery
        settled = {name: value for name, value in stored.items() if name != "unqueued"}
        originals = {"signals": settled, "orders": order, "deliveries": delivery, "trades": self._trade()}
        self._copied = {
            table: (aws.to_dynamodb(item), _stuffed(table, item)) for table, item in originals.items()
        }

    def _trade(self) -> aws.Item:
        """Returns a trade's item, and stores totals for each day of the period that the figures cover."""
        now = datetime.now(UTC)
        trade = Trade(
            trade_id="0" * 32,
            user_id=str(self._bench_user.user_id),
            account_id=self._account_id,
            exchange="binance",
            market_type=MarketType.SPOT,
            symbol="BTCUSDT",
            strategy="bench",
            side="long",
            **dict.fromkeys(("quantity", "entry_price", "exit_price"), Decimal(1)),
            **dict.fromkeys(("fees", "gross_profit", "net_profit"), Decimal("0.1")),
            other_fees={},
            currency="USDT",
            slippage_bps=None,
            order_id=f"{self.signal_id}-{self._account_id}-0",
            opened_at=now,
            closed_at=now,
        )
        for days in range(_DAYS):
            day = (now - timedelta(days=days)).date()
            key = add_up.totals_key(trade.user_id, "strategy", day, "USD", "bench")
            aws.write(aws.put_write("performance", add_up.totals_item(key, totals_of(trade), 1)))
        put = store.trade_writes([trade])[0]["Put"]
        item = aws.from_dynamodb(put["Item"])
        return {name: value for name, value in item.items() if name != store.UNCOUNTED}

    def grow(self, size: int) -> None:
        """Stores this number of each item, with an unchanged number of open ones."""
        wanted = range(self._size, size)
        self._size = size
        batches = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._store, batches))
        since = datetime.now(UTC) - timedelta(hours=1)
        for number in range(_OPEN):
            self._deliver(since, State.PENDING)
            _follow(self._bench_user.accounts[0].account_id, f"open-{number}", since)

    def _store(self, numbers: range) -> None:
        """Writes one batch per table. The copies differ by their keys and times."""
        copies: dict[str, list[aws.Item]] = {table: [] for table in self._copied}
        now = datetime.now(UTC)
        for number in numbers:
            at, signal_id = (now - timedelta(minutes=number + 1)).isoformat(), f"{number:032x}"
            order_id = f"{signal_id}-{self._account_id}-0"
            own = {
                "signals": _text(signal_id=signal_id, received_at=at),
                "orders": _text(signal_id=signal_id, order_id=order_id, created_at=at),
                "deliveries": _text(id=f"msg_{signal_id}", placed=f"{at}#{number:012d}"),
                "trades": _text(closed=f"{at}#{signal_id}"),
            }
            for table, (whole, stuffed) in self._copied.items():
                copies[table].append((whole if number < SIZES[0] else stuffed) | own[table])
        for table, items in copies.items():
            requests = [{"PutRequest": {"Item": item}} for item in items]
            left = aws.client("dynamodb").batch_write_item(RequestItems={config.table(table): requests})[
                "UnprocessedItems"
            ]
            assert not left, left

    def _subscribe(self) -> int:
        body = {"name": "bench", "url": "http://127.0.0.1:9/", "event_types": ["order.*"]}
        headers = {"Authorization": f"Bearer {self._bench_user.api_token}"}
        status, answer, _ = gateway.call(serve_api.app, "POST", "/webhooks", body, headers=headers)
        assert status == 201, answer
        return int(answer["id"])

    def _deliver(self, at: datetime, state: State) -> str:
        event = LoggedEvent(
            stream=f"user#{self._bench_user.user_id}",
            sequence=1,
            event_id=uuid.uuid4().hex,
            type="order.filled",
            payload={"order_id": "1"},
            entity=f"order#{uuid.uuid4().hex}",
            user_id=self._bench_user.user_id,
            timestamp=at,
        )
        webhook = endpoint_store.get(self.webhook_id)
        assert webhook
        [delivery] = create_deliveries([event], webhook, at)
        if state is not State.PENDING:
            delivery_store.change(delivery, at, state=state, attempted=True)
        return delivery.delivery_id


def _text(**attributes: str) -> aws.Item:
    return {name: {"S": value} for name, value in attributes.items()}


def _stuffed(table: str, item: aws.Item) -> aws.Item:
    definitions = aws.client("dynamodb").describe_table(TableName=config.table(table))["Table"][
        "AttributeDefinitions"
    ]
    whole, keys = aws.to_dynamodb(item), {definition["AttributeName"] for definition in definitions}
    stuffing = "x" * sum(len(name) + _size(value) for name, value in whole.items() if name not in keys)
    return {name: value for name, value in whole.items() if name in keys} | _text(stuffing=stuffing)


def _size(value: Any) -> int:
    """Returns the approximate bytes of an attribute in DynamoDB."""
    if isinstance(value, dict):
        return sum(_size(inner) + (len(name) if name not in _TYPES else 0) for name, inner in value.items())
    return sum(_size(inner) for inner in value) if isinstance(value, list) else len(str(value))


def _follow(account_id: str, order_id: str, at: datetime) -> None:
    """Adds an in-flight order, due at that time, as the order store writes it."""
    key = {"account_id": account_id, "order_id": order_id}
    item = {
        "exchange": "binance",
        "shard": str(int(account_id) % in_flight.SHARDS),
        "due_at": at.isoformat(),
        "at": {},
    }
    aws.write(aws.put_write("in_flight_orders", key | item))


def _routes(bench_environment: BenchEnvironment, bench_user: BenchUser, archive: _Archive) -> Iterator[Read]:
    """Yields every GET route, by the user and by an admin. Routes with filters also with an empty result."""
    tokens = {"user": bench_user.api_token, "admin": bench_environment.env["TRADEHOOK_ADMIN_TOKEN"]}
    signal_id, account_id = archive.signal_id, bench_user.accounts[0].account_id
    known = {
        "user_id": bench_user.user_id,
        "account_id": account_id,
        "signal_id": signal_id,
        "order_id": f"{signal_id}-{account_id}-0",
        "webhook_id": str(archive.webhook_id),
        "delivery_id": archive.delivery_id,
    }
    filters = {
        "/signals": [{"symbol": "XRPUSDT"}],
        "/orders": [{"status": "open"}],
        "/trades": [{"symbol": "XRPUSDT"}],
        "/webhooks/{webhook_id}/deliveries": [{"status": "failed"}],
    }
    required = {"/prices": {"symbol": "BTCUSDT"}}
    for route, methods in serve_api.app.routes.items():
        if "GET" not in methods:
            continue
        path = {name: known.get(name, "1") for name in methods["GET"].view_args}
        usual = required.get(route)
        for query in [usual, *filters.get(route, [])]:
            for who, token in tokens.items() if query is usual else [("user", bench_user.api_token)]:
                narrowed = f" by {', '.join(query)}" if query and query is not usual else ""
                yield (
                    f"GET {route}{narrowed} as {who}",
                    _reading(route, path, query, token, known=path.keys() <= known.keys()),
                )


def _reading(
    route: str, path: dict[str, str], query: dict[str, str] | None, token: str, *, known: bool
) -> Callable[[], None]:
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
        expected = {200, 307, 403} if known else {200, 307, 403, 404}  # 307: the root leads to the dashboard
        assert answer["statusCode"] in expected, (route, answer)

    return read


def _scheduled() -> Iterator[Read]:
    for function in (track_orders, retry_deliveries, sweep):
        yield function.__name__.rpartition(".")[2], partial(function.handler, {}, gateway.CONTEXT)
