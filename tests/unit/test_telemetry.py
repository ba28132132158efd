"""The metrics that alarms watch are written where the things happen, and one id follows a signal through
every log.
"""

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from chalicelib import aws
from chalicelib.errors import NotDoable, OutcomeUnknown, Retryable, TradehookError
from chalicelib.events import outbox, publish, topic
from chalicelib.events.models import Event, LoggedEvent
from chalicelib.exchanges import session
from chalicelib.exchanges.outcomes import Absent
from chalicelib.exchanges.protocol import OrderStatus, RateLimited
from chalicelib.orders import in_flight
from chalicelib.telemetry import Metric, measure
from chalicelib.trading import MarketType
from chalicelib.webhooks import endpoint_store
from chalicelib.webhooks.delivery import sweep, worker
from chalicelib.webhooks.delivery.deliver import Dependencies
from chalicelib.webhooks.models import Outcome, Scope, Secret, Webhook
from functions import receive_signals, retry_deliveries, track_orders
from functions import sweep as sweep_function
from infra.stack import ROOT
from testkit import pump, records
from testkit.gateway import CONTEXT, call
from testkit.metrics import lines, values, written

ALERT = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 100}
DESCRIBED = yaml.safe_load((ROOT / "infra" / "terraform" / "metrics.yaml").read_text())
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def trader(emulated: None) -> str:
    """A user who trades on paper; their token."""
    records.add_user("1")
    records.add_account("1")
    return records.add_token("1")


def send(token: str, **more: Any) -> int:
    """A paper alert that waits for nothing; the status of its answer."""
    return call(
        receive_signals.app, "POST", "/api/webhook", ALERT | {"token": token}, query={"wait": "0"}, **more
    )[0]


# The writing itself.


def test_a_value_is_a_line_in_the_embedded_format(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Namespace, dimensions, unit and value stand where CloudWatch looks for them."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "tradehook-home")
    measure(Metric.SIGNAL_TO_ORDER, 12.5, {"exchange": "okx"})
    [line_] = lines(capsys)
    [definition] = line_["_aws"]["CloudWatchMetrics"]

    assert definition["Namespace"] == "tradehook-home"
    assert [sorted(each) for each in definition["Dimensions"]] == [["exchange", "service"]]
    assert definition["Metrics"] == [{"Name": "SignalToOrder", "Unit": "Milliseconds"}]
    assert (line_["exchange"], line_["service"], line_["SignalToOrder"]) == ("okx", "tradehook", [12.5])
    assert abs(line_["_aws"]["Timestamp"] / 1000 - datetime.now(UTC).timestamp()) < 5


def test_nothing_is_written_where_nobody_collects(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Without a namespace, as in the command line, there are no metrics."""
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE", raising=False)
    measure(Metric.SIGNALS_ACCEPTED)

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("dimensions", [None, {"exchange": "okx", "class": "refused"}, {"symbol": "BTC"}])
def test_wrong_dimensions_are_an_error(dimensions: dict[str, str] | None) -> None:
    """A value under other dimensions would be another metric to CloudWatch, which no alarm watches."""
    with pytest.raises(ValueError, match="SignalToOrder has the dimensions"):
        measure(Metric.SIGNAL_TO_ORDER, 1, dimensions)


def test_lines_of_threads_stay_whole(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Accounts run in threads, and a line with another one in its middle is no metric."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "tradehook-home")
    threads = [
        threading.Thread(target=lambda: [measure(Metric.SIGNALS_ACCEPTED) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out = capsys.readouterr().out.splitlines()

    assert len(out) == 400
    assert all(json.loads(each)["SignalsAccepted"] == [1] for each in out)


def test_every_metric_is_described_alike() -> None:
    """metrics.yaml, from which alarms are made, and the code agree on names, units and dimensions."""
    assert {metric.title: (metric.unit.value, set(metric.dimensions)) for metric in Metric} == {
        name: (described["unit"], set(described.get("by", []))) for name, described in DESCRIBED.items()
    }


def test_every_metric_is_written_by_some_code() -> None:
    """No alarm watches a metric that no code writes."""
    code = "".join(
        path.read_text()
        for package in ("chalicelib", "functions")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "telemetry.py"
    )
    assert {
        metric.name for metric in Metric if not re.search(rf"measure\(Metric\.{metric.name}\b", code)
    } == set()


def test_classes_of_errors_are_those_described() -> None:
    """An alarm adds up the classes by name."""
    assert {name for _, name in session._REACTIONS} == set(DESCRIBED["ExchangeErrors"]["classes"])


# Where the things happen.


def test_accepted_and_refused(trader: str, capsys: Capture) -> None:
    """A stored and queued signal counts as accepted, a refused one as refused, a duplicate as neither."""
    assert send(trader) == 202
    out = capsys.readouterr().out
    assert out.count('"SignalsAccepted"') == 2  # definition and value
    assert "SignalsRefused" not in out
    send(trader)
    assert "SignalsAccepted" not in capsys.readouterr().out
    assert send("whk_1_" + "A" * 43) == 401
    assert written(capsys, "SignalsRefused") == [(1, {})]


def test_orders_and_how_long_they_took(trader: str, capsys: Capture) -> None:
    """A fill counts under its exchange, with the time since the signal was received."""
    send(trader)
    capsys.readouterr()
    pump.execute()
    out = capsys.readouterr().out
    [settled] = [json.loads(each) for each in out.splitlines() if '"OrdersSettled"' in each]
    [took] = [json.loads(each) for each in out.splitlines() if '"SignalToOrder"' in each]

    assert (settled["OrdersSettled"], settled["exchange"]) == ([1], "paper")
    assert took["exchange"] == "paper"
    assert 0 < took["SignalToOrder"][0] < 60_000


def test_a_refused_execution_is_no_order(trader: str, capsys: Capture) -> None:
    """Nothing was traded, so there is no time to measure."""
    send(trader)
    records.halt("global")
    capsys.readouterr()
    pump.execute()

    assert not [each for each in lines(capsys) if "SignalToOrder" in each or "OrdersSettled" in each]


def test_a_token_from_an_unknown_address(trader: str, capsys: Capture) -> None:
    """A right token from outside its owner's list raises the alarm.

    A wrong one there, or a right one inside, does not.
    """
    records.add_user("1", allowed_addresses=["192.0.2.0/24"])
    records.add_account("1")
    assert send(trader, source_ip="198.51.100.7") == 403
    assert written(capsys, "TokenFromUnknownAddress") == [(1, {})]
    assert send("whk_1_" + "A" * 43, source_ip="198.51.100.7") == 401
    assert send(trader, source_ip="192.0.2.8") == 202
    assert written(capsys, "TokenFromUnknownAddress") == []


@pytest.mark.parametrize(
    ("error", "class_"),
    [
        (NotDoable("exchange_refused"), "refused"),
        (RateLimited(0, "account"), "rate_limited"),
        (Retryable("busy"), "retryable"),
        (OutcomeUnknown("timeout"), "outcome_unknown"),
        (Absent("okx"), None),
    ],
)
def test_errors_of_exchanges_by_class(
    error: TradehookError, class_: str | None, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A failed call counts by the reaction it calls for.

    What merely says that an order is not there is no fault.
    """
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "tradehook-home")

    def place(_order: Any) -> None:
        raise error

    exchange: Any = SimpleNamespace(name="okx", place=place, pacing=None, throttle=lambda _pace: None)
    limiter: Any = SimpleNamespace(back_off=lambda _limited: None, apply_server_limits=lambda _pacing: None)
    here = session.ExchangeSession(exchange, None, MarketType.SPOT, limiter, None)  # type: ignore[arg-type]  # neither markets nor patience are needed
    with pytest.raises(type(error)):
        here.place(None)  # type: ignore[arg-type]

    output = lines(capsys)
    assert values(output, "ExchangeErrors") == ([(1, {"exchange": "okx", "class": class_})] if class_ else [])
    assert values(output, "ExchangeFaults") == (
        [(1, {"exchange": "okx"})] if class_ not in {None, "refused"} else []
    )


def test_unknown_outcomes_are_counted_each_minute(emulated: None, capsys: Capture) -> None:
    """The gauge is written when there are none too, so that the alarm ends.

    Whether they are due does not matter.
    """
    track_orders.handler({}, CONTEXT)
    assert written(capsys, "UnknownOutcomes") == [(0, {})]
    for number, status in enumerate([OrderStatus.UNKNOWN, OrderStatus.OPEN, OrderStatus.UNKNOWN]):
        order: Any = SimpleNamespace(
            account_id=f"a{number}",
            order_id=f"o{number}",
            signal_id="s",
            leg="0",
            exchange="okx",
            status=status,
        )
        in_flight.schedule_order(order, datetime.now(UTC) + timedelta(hours=1))
    track_orders.handler({}, CONTEXT)
    assert written(capsys, "UnknownOutcomes") == [(2, {})]


def test_unequal_books_are_a_number(emulated: None, capsys: Capture) -> None:
    """Each minute's audit reports how many counters do not balance, zero included."""
    retry_deliveries.handler({}, CONTEXT)
    assert written(capsys, "DeliveryImbalance") == [(0, {})]
    aws.write(endpoint_store.counters_write(1, "msg_1", {"matched": 1, "delivered": 1}, datetime.now(UTC)))
    aws.write(endpoint_store.counters_write(2, "msg_2", {"matched": 1}, datetime.now(UTC)))
    assert sweep.check_counters([1, 2]) == [2]
    assert written(capsys, "DeliveryImbalance") == [(1, {})]


def test_swept_signals(trader: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of signals that the sweeper had to queue is reported, zero included."""
    monkeypatch.setattr(sweep_function, "_SETTLED_BY_NOW", timedelta(seconds=-5))
    sweep_function.handler({}, CONTEXT)
    assert written(capsys, "SignalsSwept") == [(0, {})]
    send(trader)
    capsys.readouterr()
    sweep_function.handler({}, CONTEXT)
    assert written(capsys, "SignalsSwept") == [(1, {})]


def test_an_event_too_large_for_the_topic_is_trimmed(emulated: None, capsys: Capture) -> None:
    """It is published in order with its small values and a link to the full event, and raises the alarm.

    The log has all of it.
    """
    for name, size in (("a", 10), ("large", 300_000), ("b", 10)):
        event = Event(
            event_id=name,
            type="test.sized",
            payload={"name": name, "text": "x" * size},
            entity="test#1",
            user_id="7" if name == "large" else None,
            created_at=datetime.now(UTC),
        )
        aws.write(outbox.event_write(event))
    assert publish.publish([(item["owner"], item["event_id"]) for item in pump.items("outbox")]) == 3
    assert written(capsys, "EventsTrimmed") == [(1, {}), (1, {})]  # in the admins' stream and in the user's
    assert [event["event_id"] for event in pump.events()] == ["a", "large", "b"]
    assert len(pump.events()[1]["payload"]["text"]) == 300_000
    assert pump.items("outbox") == []
    told = [LoggedEvent.model_validate(body) for body in pump.bodies("webhooks")]
    assert sorted((each.stream, each.event_id) for each in told) == [
        ("admin", "a"),
        ("admin", "b"),
        ("admin", "large"),
        ("user#7", "large"),
    ]
    for each in told:
        left_out = {"trimmed": ["text"], "whole": f"http://localhost:8080/realtime/events/{each.sequence}"}
        assert each.payload == (
            {"name": "large"} | left_out
            if each.event_id == "large"
            else {"name": each.event_id, "text": "x" * 10}
        )


def test_large_events_go_in_several_batches(emulated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten events of 60 KB are more than SNS takes at once; none is lost, and their order stays."""
    batches: list[list[str]] = []
    sns = aws.client("sns")
    publish_batch = sns.publish_batch

    def watched(**arguments: Any) -> Any:
        entries = arguments["PublishBatchRequestEntries"]
        assert len({entry["Id"] for entry in entries}) == len(entries)
        assert sum(len(entry["Message"].encode()) for entry in entries) < 262_144
        batches.append([json.loads(entry["Message"])["event_id"] for entry in entries])
        return publish_batch(**arguments)

    monkeypatch.setattr(sns, "publish_batch", watched)
    names = [f"e{number}" for number in range(10)]
    for number, name in enumerate(names):
        created_at = datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC)
        event = Event(
            event_id=name,
            type="t",
            payload={"text": "x" * 60_000},
            entity="test#1",
            user_id=None,
            created_at=created_at,
        )
        aws.write(outbox.event_write(event))
    publish.publish([(item["owner"], item["event_id"]) for item in pump.items("outbox")])

    assert [name for batch in batches for name in batch] == names
    assert len(batches) > 1


# One id from the webhook to the delivery.


def test_one_id_follows_a_signal(
    trader: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal's id is in a line of acceptance, execution, publication, matching and the delivery's
    attempt, and in its body.
    """
    sent: list[str] = []

    def post(_url: str, _headers: dict[str, str], body: str) -> Outcome:
        sent.append(body)
        return Outcome(status=200, duration_ms=5)

    monkeypatch.setattr(worker, "dependencies", lambda: Dependencies(post=post))
    endpoint_store.put(_webhook())
    send(trader)
    [signal_id] = {item["signal_id"] for item in pump.items("signals")}
    pump.execute()
    pump.publish()
    [told] = [event for event in pump.events("user#1") if event["type"] == "order.filled"]
    worker.match_event(LoggedEvent.model_validate_json(topic.message(LoggedEvent.model_validate(told))))
    assert (
        worker.handle_tasks(
            {str(index): json.dumps(body) for index, body in enumerate(pump.bodies("deliveries"))}
        )
        == []
    )
    about = {each.message for each in caplog.records if signal_id in repr(vars(each))}

    assert {
        "signal accepted",
        "signal settled",
        "events published",
        "event matched",
        "delivery attempted",
    } <= about
    assert [signal_id in body for body in sent] == [True]


def _webhook() -> Webhook:
    now = datetime.now(UTC)
    return Webhook(
        webhook_id=1,
        owner="1",
        scope=Scope.USER,
        name="fills",
        url="https://hooks.example.com/",
        event_types=("order.filled",),
        secrets=(Secret(value=SecretStr("whsec_c2VjcmV0")),),
        created_at=now,
        updated_at=now,
    )
