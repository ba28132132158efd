"""Compares input and output: signals, orders, events."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bench.harness import BenchEnvironment, BenchUser
from bench.soak.receiver import Receiver
from bench.soak.traffic import Senders
from chalicelib import aws, config
from chalicelib.webhooks import endpoint_store as webhooks

_AT_EXCHANGE = {"open": "open", "partially_filled": "partial", "filled": "filled", "cancelled": "cancelled"}


@dataclass
class Books:
    """The sums, and every wrong entry, in words."""

    sums: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=lambda: {"signals": [], "orders": [], "events": []})

    @property
    def equal(self) -> bool:
        """Returns whether no entry is wrong."""
        return not any(self.wrong.values())


def compare(
    bench_environment: BenchEnvironment,
    senders: Senders,
    bench_user: BenchUser,
    receiver: Receiver,
    subscribed: Sequence[int],
    since: int,
) -> Books:
    """Compares the current records.

    Args:
        subscribed: The subscriptions to all users' orders and signals, the working one first; created after
            event `since`.
    """
    books = Books()
    order_store = _everything("orders")
    _signals(books, senders, order_store)
    _orders(books, bench_environment, bench_user, [item for item in order_store if "client_order_id" in item])
    _events(books, receiver, subscribed, since)
    return books


def _signals(books: Books, senders: Senders, order_store: Iterable[aws.Item]) -> None:
    wrong, stored = books.wrong["signals"], {item["signal_id"]: item for item in _everything("signals")}
    settled = Counter(item["signal_id"] for item in order_store if "#" not in item["leg"])
    acknowledged = set(senders.acknowledged.values())
    wrong += [f"{signal_id} was acknowledged and is not stored" for signal_id in acknowledged - stored.keys()]
    wrong += [f"{alert} was given two signals" for alert in senders.contradicted]
    for signal_id, item in stored.items():
        if settled[signal_id] != len(item["targets"]):
            wrong.append(
                f"{signal_id} has settled on {settled[signal_id]} of {len(item['targets'])} accounts"
            )
    if len(acknowledged) != len(senders.acknowledged):
        wrong.append(f"{len(senders.acknowledged)} alerts were given {len(acknowledged)} signals")
    if len(stored.keys() - acknowledged) > len(senders.unanswered):
        wrong.append(
            f"{len(stored.keys() - acknowledged)} stored signals were never acknowledged; "
            f"{len(senders.unanswered)} had no answer"
        )
    books.sums |= {
        "acknowledged": len(acknowledged),
        "settled": sum(settled[each] == len(stored[each]["targets"]) for each in stored),
    }


def _orders(
    books: Books, bench_environment: BenchEnvironment, bench_user: BenchUser, order_store: Sequence[aws.Item]
) -> None:
    wrong = books.wrong["orders"]
    for account_id, credentials in bench_user.credentials.items():
        there: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for order in bench_environment.exchanges.orders(api_key=credentials.api_key):
            there[order["client_id"]].append(order)
        here = {item["client_order_id"]: item for item in order_store if item["account_id"] == account_id}
        wrong += [
            f"{account_id}: {client_id} is there {len(found)} times"
            for client_id, found in there.items()
            if len(found) > 1
        ]
        wrong += [
            f"{account_id}: {client_id} is there and not in the order store"
            for client_id in there.keys() - here.keys()
        ]
        for client_id, item in here.items():
            found = there.get(client_id)
            if item["status"] == "rejected":
                wrong += (
                    [f"{account_id}: {client_id} is rejected in the order store and there"] if found else []
                )
            elif not found:
                wrong.append(
                    f"{account_id}: {client_id} is {item['status']} in the order store and not there"
                )
            elif (_AT_EXCHANGE.get(item["status"]), item["filled"]) != (
                found[0]["status"],
                Decimal(found[0]["filled"]),
            ):
                wrong.append(
                    f"{account_id}: {client_id} is {item['status']} {item['filled']} in the order store, "
                    f"{found[0]['status']} {found[0]['filled']} there"
                )
        books.sums["orders in the order store"] = books.sums.get("orders in the order store", 0) + sum(
            item["status"] != "rejected" for item in here.values()
        )
        books.sums["orders at the exchanges"] = books.sums.get("orders at the exchanges", 0) + sum(
            map(len, there.values())
        )
    simulated = Counter(
        item["account_id"] for item in order_store if item["account_id"] not in bench_user.credentials
    )
    books.sums["orders on paper"] = sum(simulated.values())
    for account_id, count in simulated.items():
        book = aws.get("portfolios", {"account_id": account_id, "item": "ledger"}) or {}
        if book.get("orders") != count:
            wrong.append(f"paper account {account_id} counts {book.get('orders')} orders, stored are {count}")


def _events(books: Books, receiver: Receiver, subscribed: Sequence[int], since: int) -> None:
    wrong = books.wrong["events"]
    left = _everything("outbox")
    wrong += [f"{len(left)} events wait in the outbox"] if left else []
    streams: dict[str, list[aws.Item]] = defaultdict(list)
    for item in _everything("events"):
        if item["sequence"]:
            streams[item["stream"]].append(item)
    for stream, items in streams.items():
        numbers = sorted(int(item["sequence"]) for item in items)
        if numbers != list(range(1, len(numbers) + 1)):
            wrong.append(f"the sequence of stream {stream} has gaps")
        if len({item["event_id"] for item in items}) != len(items):
            wrong.append(f"an event is twice in stream {stream}")
    concerned = [
        item
        for item in streams["admin"]
        if item["sequence"] > since and item["type"].startswith(("order.", "signal."))
    ]
    books.sums["events published"] = len(concerned)
    for webhook_id in subscribed:
        shards = webhooks.shards([webhook_id])[webhook_id]
        total = webhooks.total(shards)
        if total["matched"] != len(concerned):
            wrong.append(f"subscription {webhook_id} matched {total['matched']} of {len(concerned)} events")
        behind = _behind_held(webhook_id)
        if not webhooks.is_balanced(shards) or total["pending"] != behind:
            wrong.append(
                f"subscription {webhook_id}: {total}, {behind} of the pending behind one that is held"
            )
    works = webhooks.total(webhooks.shards([subscribed[0]])[subscribed[0]])
    if works["delivered"] != len(receiver.taken):
        wrong.append(
            f"{works['delivered']} deliveries are called delivered, {len(receiver.taken)} were taken"
        )
    books.sums |= {
        "events delivered": works["delivered"],
        "events delivered more than once": sum(receiver.taken.values()) - len(receiver.taken),
    }
    gone = webhooks.total(webhooks.shards([subscribed[1]])[subscribed[1]])
    books.sums |= {"events held": gone["paused"] + _behind_held(subscribed[1])}


def _behind_held(webhook_id: int) -> int:
    """Returns the number of deliveries blocked by a paused one of the same ordering key.

    They are unblocked when that one goes out.
    """
    deliveries = {
        item["id"]: item
        for item in _everything("deliveries")
        if item.get("webhook_id") == webhook_id and "state" in item
    }
    found = 0
    for held in [item for item in deliveries.values() if item["state"] == "paused"]:
        following = deliveries.get(held.get("follower", ""))
        while following and following["state"] == "pending" and following["waits"]:
            found += 1
            following = deliveries.get(following.get("follower", ""))
    return found


def _everything(table: str) -> list[aws.Item]:
    pages = (
        aws.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=config.table(table), ConsistentRead=True)
    )
    return [aws.from_dynamodb(item) for page in pages for item in page["Items"]]
