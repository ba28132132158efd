"""What infra/cost.yaml says that a step makes AWS do is what the step's calls are billed as."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib import aws, config
from functions import (
    add_up_trades,
    deliver_webhooks,
    execute_orders,
    publish_events,
    push_realtime,
    receive_signals,
)
from infra import cost
from testkit import cloud, pump, records
from testkit.capacity import billed
from testkit.gateway import CONTEXT, call, queue_event, stream_event

# As long as what traders send: names, a comment, the bar's own figures.
ALERT = {
    "symbol": "BINANCE:BTCUSDT.P",
    "side": "buy",
    "qty": 0.01,
    "price": 67250.5,
    "comment": "breakout above the upper band with volume, second entry of the day",
    "interval": "15",
    "bar": {
        "time": "2026-03-02T12:15:00Z",
        "open": 67010.1,
        "high": 67299.9,
        "low": 66980.4,
        "close": 67250.5,
        "volume": 1843.221,
    },
    "strategy": {"name": "trend", "version": 3, "note": "the fields of a chart's alert that trade nothing"},
}


_ROOM = 0.15  # for items a little longer or shorter; a step that gains a call or an index is beyond it


@pytest.fixture(scope="module")
def counted() -> Iterator[dict[str, Counter[str]]]:
    """What the steps of one alert to one paper account are billed as, by step.

    A first alert has made what is made once.
    """
    with cloud.emulated():
        records.add_user("1")
        records.add_account("1")
        token = records.add_token("1")
        _everything(token, 0)
        opening = _everything(token, 1)
        yield opening | _closing(token, opening["execute"])


STEPS = ["receive", "execute", "close", "add_up", "price", "publish", "push", "match"]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_billed_as_the_figures_say(counted: dict[str, Counter[str]], step: str) -> None:
    """Requests and units. `counted` in the figures means counted here."""
    figures = cost.load()["steps"][step]
    priced = {
        name: amount
        for name, amount in figures.items()
        if name.startswith(("dynamodb_", "sqs_", "sns_fifo_publish"))
    }

    assert figures["from"] == "counted"
    assert priced == pytest.approx(
        {name: amount for name, amount in counted[step].items() if amount}, rel=_ROOM
    )


def test_what_says_counted_is_counted(counted: dict[str, Counter[str]]) -> None:
    """No other step claims to be."""
    assert {
        name for name, step in cost.load()["steps"].items() if step["from"] == "counted"
    } == counted.keys()


def _everything(token: str, number: int) -> dict[str, Any]:
    """An alert on its whole way."""
    found: dict[str, Any] = {}
    body = ALERT | {"token": token, "alert_id": f"trend-follower-15m-{number:06}"}
    with billed() as found["receive"]:
        assert call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"})[0] == 202
    found["execute"] = _queued("orders-paper", execute_orders.handler)
    found["price"] = _queued("realtime", push_realtime.handler)
    waiting = pump.items("outbox")
    with billed() as used:
        publish_events.handler(
            stream_event(waiting), CONTEXT
        )  # all of them are published together, and each bears its share
    found["publish"] = Counter({name: amount / len(waiting) for name, amount in used.items()})
    found["push"] = _queued("realtime", push_realtime.handler)
    found["match"] = _queued("webhooks", deliver_webhooks.handler)
    return found


def _closing(token: str, opening: Counter[str]) -> dict[str, Any]:
    """What an order that closes a position costs more than one that opens, and what its trade costs then."""
    body = ALERT | {"token": token, "alert_id": "trend-follower-15m-exit", "side": "sell", "qty": 0.02}
    assert call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"})[0] == 202
    closing = _queued("orders-paper", execute_orders.handler)
    [trade] = pump.items("trades")
    with billed() as used:
        add_up_trades.handler(stream_event([trade], ("user_id", "closed")), CONTEXT)
    writes = closing["dynamodb_write"] - opening["dynamodb_write"]
    return {"close": Counter(dynamodb_write=writes), "add_up": used}


def _queued(queue: str, handler: Callable[[dict[str, Any], Any], Any]) -> Counter[str]:
    """The messages of a queue, one invocation each.

    Returns the last invocation's bill, in which Lambda receives and deletes the message.
    """
    for message in pump.messages(queue):
        with billed() as used:
            assert handler(queue_event([message]), CONTEXT) == {"batchItemFailures": []}
            url = config.queue(queue)
            aws.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        used["sqs_fifo_request"] += 1
    return used
