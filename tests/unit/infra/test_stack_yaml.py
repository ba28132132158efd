"""What `infra/stack.yaml` comes to mean, and how it says that it is wrong."""

import copy

import pytest
import yaml

from infra import stack, stack_schema
from infra.stack import Resource, StackError

SMALL = {
    "name": "thing",
    "exchanges": {"paper": {"ccxt": [], "concurrency": 50}, "okx": {"ccxt": ["okx"], "concurrency": 5}},
    "functions": {
        "accept": {
            "handler": "functions.accept.app",
            "http": True,
            "grants": [
                {"table": "signals", "actions": ["PutItem", "Query"]},
                {"queue": "orders-{exchange}", "actions": ["SendMessage"]},
            ],
        },
        "execute": {
            "for_each": "exchanges",
            "handler": "functions.execute.handler",
            "timeout_s": 60,
            "triggers": [
                {"queue": "orders-{exchange}", "batch_size": 1, "maximum_concurrency": "{concurrency}"}
            ],
            "grants": [{"key": "secrets", "actions": ["Decrypt"]}],
        },
        "publish": {"handler": "functions.publish.handler", "triggers": [{"stream": "signals"}]},
    },
    "queues": {"orders": {"for_each": "exchanges", "fifo": True, "visibility_margin_s": 30}},
    "tables": {
        "signals": {
            "key": {"hash": ["id", "S"]},
            "indexes": {"by_user": {"hash": ["user", "S"]}},
            "stream": "NEW_IMAGE",
        },
    },
    "keys": {"secrets": {}},
}


def described(**changes):
    source = copy.deepcopy(SMALL)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = source
        for parent in parents:
            place = place[parent]
        place[last] = value
    return stack.Stack(stack_schema.Source.model_validate(source))


def test_the_real_one_holds_together():
    """`infra/stack.yaml` loads: everything that it refers to exists."""
    assert stack.load().http_functions


def test_for_each_makes_one_per_exchange():
    """A function and a queue `for_each: exchanges` exist once per exchange, with its values filled in."""
    small = described()
    assert list(small.functions) == ["accept", "execute-paper", "execute-okx", "publish"]
    assert list(small.queues) == ["orders-paper", "orders-okx"]
    [trigger] = small.functions["execute-okx"].triggers
    assert (trigger.queue, trigger.maximum_concurrency) == ("orders-okx", 5)


def test_a_grant_elsewhere_stands_for_every_exchange():
    """A function that is not `for_each` and is granted `orders-{exchange}` gets each exchange's queue."""
    names = [resource.variable for resource in described().functions["accept"].resources]
    assert names == ["TABLE_SIGNALS", "QUEUE_ORDERS_PAPER", "QUEUE_ORDERS_OKX"]


def test_visibility_is_the_functions_timeout_and_the_margin():
    """A message stays hidden for as long as its function may take, and a little."""
    assert described().queues["orders-okx"].visibility_s == 90


def test_statements_are_the_grants_and_what_triggers_need():
    """Query reaches the indexes too; a stream is read by its trigger's right, a queue received from."""
    small = described()
    accept = {
        (statement.part, statement.resource.name): statement.actions
        for statement in small.statements(small.functions["accept"])
    }
    assert accept == {
        ("itself", "signals"): ("dynamodb:PutItem", "dynamodb:Query"),
        ("indexes", "signals"): ("dynamodb:Query",),
        ("itself", "orders-paper"): ("sqs:SendMessage",),
        ("itself", "orders-okx"): ("sqs:SendMessage",),
    }
    [stream] = small.statements(small.functions["publish"])
    assert (stream.resource, stream.part) == (Resource("table", "signals"), "stream")
    assert "dynamodb:GetRecords" in stream.actions
    execute = {
        statement.resource: statement.actions
        for statement in small.statements(small.functions["execute-paper"])
    }
    assert "sqs:DeleteMessage" in execute[Resource("queue", "orders-paper")]


def test_ccxt_modules_are_the_exchanges_union():
    """The artifact carries what any exchange needs, once."""
    assert described(exchanges__paper={"ccxt": ["okx", "binance"], "concurrency": 1}).ccxt_modules == (
        "binance",
        "okx",
    )


def test_fifo_is_in_the_full_name():
    """FIFO queues end in `.fifo`, dead-letter queues too."""
    assert described().queue_name("local", "orders-okx-dead") == "thing-local-orders-okx-dead.fifo"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"functions__publish__triggers": [{"stream": "nothing"}]},
            "function publish, triggers: there is no table 'nothing', only signals",
        ),
        ({"tables__signals__stream": None}, "function publish, triggers: table 'signals' has no stream"),
        (
            {"functions__publish__grants": [{"topic": "events", "actions": ["Publish"]}]},
            "there is no topic 'events', only none at all",
        ),
        (
            {"functions__publish__triggers": [{"queue": "orders-{exchange}"}]},
            "known only under `for_each: exchanges`",
        ),
        (
            {"functions__publish__websocket": "live"},
            "function publish, websocket: there is no websocket 'live'",
        ),
        ({"websockets": {"live": {"path": "/ws"}}}, "websocket live: exactly one function must have"),
        (
            {"topics": {"events": {"subscriptions": [{"queue": "x"}]}}},
            "topic events, subscriptions: there is no queue 'x'",
        ),
    ],
)
def test_a_reference_to_nothing_is_an_error_that_says_where(changes, message):
    """Whatever does not exist is named, with the place that asks for it."""
    with pytest.raises(StackError) as caught:
        described(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("memory: 5", "functions.accept.memory: Extra inputs are not permitted"),
        ("grants: [{table: a, queue: b, actions: [X]}]", "a grant names exactly one"),
        ("triggers: [{batch_size: 3}]", "a trigger is exactly one queue, stream or schedule"),
        ("{", "is not YAML"),
    ],
)
def test_a_wrong_form_is_an_error_that_says_where(tmp_path, change, message):
    """A misspelt key must not look like a setting that works."""
    source = copy.deepcopy(SMALL)
    text = yaml.safe_dump(source).replace(
        "    handler: functions.accept.app\n", f"    handler: functions.accept.app\n    {change}\n", 1
    )
    if change.startswith("grants"):
        del source["functions"]["accept"]["grants"]
        text = yaml.safe_dump(source).replace("    http: true\n", f"    http: true\n    {change}\n", 1)
    (tmp_path / "stack.yaml").write_text(text)
    with pytest.raises(StackError) as caught:
        stack.load(tmp_path / "stack.yaml")
    assert message in str(caught.value)
