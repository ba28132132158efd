"""`tradehook send`: every option is a field, a filter or an error, and `--wait` waits."""

import json

import pytest

from testkit import pump, records
from tradehook import signals

OPTIONS = {
    "--symbol": "ETHUSDT",
    "--side": "sell",
    "--price": "40000",
    "--quantity": "0.25",
    "--percent": "7",
    "--group-name": "grp",
    "--exchange": "bybit",
    "--market-type": "futures",
    "--account": "Account A",
    "--user": "77",
}


@pytest.fixture
def sent(run, admin, wire):
    """Sends a signal; gives what went over the wire, or the complaint."""

    def send(*words):
        before = len(wire.sent)
        ended = run("send", *words)
        new = wire.sent[before:]
        return (f"{new[-1].path} {new[-1].body.decode()}" if new else None), ended

    return send


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("variant", signals.VARIANTS)
def test_no_option_is_dropped(sent, variant, option):
    """It stands in the body or in the path, or the command says that the variant does not use it and sends
    nothing.
    """
    needed = ["--price", "41000"] if variant in ("batch", "paper") and option != "--price" else []
    body, ended = sent(variant, option, OPTIONS[option], *needed, "--wait", "0")
    if body is None:
        assert ended.code == 1
        assert f"{variant} does not use {option}" in ended.err
    else:
        assert OPTIONS[option] in body


@pytest.mark.parametrize(
    ("variant", "refused"),
    [
        ("legacy", {"--quantity", "--percent", "--group-name", "--exchange", "--user"}),
        ("personal", {"--quantity", "--percent", "--group-name", "--exchange"}),
        ("xc", {"--percent", "--group-name", "--user"}),
        ("group", {"--quantity", "--user"}),
        ("batch", {"--quantity", "--user"}),
        ("cancel", {"--side", "--price", "--quantity", "--percent", "--user"}),
        ("paper", {"--percent", "--group-name", "--exchange", "--market-type", "--user"}),
    ],
)
def test_which_options_a_variant_has(sent, variant, refused):
    """Those that its webhook reads."""
    needed = ["--price", "41000"] if variant == "batch" else []
    assert {
        option
        for option, value in OPTIONS.items()
        if sent(variant, option, value, *needed, "--wait", "0")[0] is None
    } == refused


def test_a_cancel_is_no_wider_than_asked(sent):
    """Filters that were given are there, others are not."""
    body, _ = sent("cancel", "--symbol", "ETHUSDT", "--exchange", "bybit")
    told = json.loads(body.partition(" ")[2])
    del told["alert_id"]
    assert told == {
        "group_name": "my_strategy",
        "order_type": "CANCEL_ALL_ORDER",
        "symbol": "ETHUSDT",
        "exchange": "bybit",
    }
    body, _ = sent("cancel")
    assert set(json.loads(body.partition(" ")[2])) == {"group_name", "order_type", "alert_id"}


def test_a_batch_needs_a_price(sent):
    """Its orders are limit orders."""
    body, ended = sent("batch")
    assert (body, ended.code) == (None, 1)
    assert "--price" in ended.err


class TestWaiting:
    """The webhooks that answer before they have traded."""

    @pytest.fixture(autouse=True)
    def trader(self, cloud, monkeypatch):
        """User 1 takes tokenless signals on a demo account.

        The order worker runs while the command sleeps.
        """
        records.add_user("1", role="admin", require_token=False)
        records.add_account("1", "demo", kind="demo", exchange="binance", currency="USDT")
        monkeypatch.setenv("TRADEHOOK_ADMIN_TOKEN", records.add_token("1", records.credentials.Kind.API))
        monkeypatch.setattr(signals, "sleep", lambda _: pump.execute())

    @pytest.mark.parametrize("variant", ["legacy", "personal"])
    def test_it_waits_for_the_fill(self, run, wire, variant):
        """And shows the order."""
        ended = run("--json", "send", variant, "--price", "50000", "--wait", "5")
        told = json.loads(ended.out)
        assert (ended.code, told["status"], told["orders"][0]["status"]) == (0, "settled", "filled")

    def test_a_refusal_exits_with_1(self, run, wire):
        """With its sentence."""
        ended = run("send", "legacy", "--side", "close", "--wait", "5")
        assert ended.code == 1
        assert "BTCUSDT" in ended.err

    def test_what_does_not_settle(self, run, wire, monkeypatch):
        """The command says that the signal was accepted, and where to look."""
        clock = iter(range(0, 1000, 3))
        monkeypatch.setattr(signals, "monotonic", lambda: next(clock))
        monkeypatch.setattr(signals, "sleep", lambda _: None)
        ended = run("send", "legacy", "--price", "50000", "--wait", "5")
        assert ended.code == 1
        assert "/signals/" in ended.err

    def test_without_wait_it_does_not(self, run, wire):
        """Accepted is the answer."""
        ended = run("--json", "send", "legacy", "--price", "50000")
        assert (ended.code, json.loads(ended.out)["status"]) == (0, "accepted")

    def test_waiting_takes_an_api_token(self, run, wire, monkeypatch):
        """Said before anything is sent."""
        monkeypatch.delenv("TRADEHOOK_ADMIN_TOKEN")
        ended = run("send", "legacy", "--wait", "5")
        assert (ended.code, wire.sent) == (1, [])
        assert "TRADEHOOK_ADMIN_TOKEN" in ended.err


@pytest.mark.parametrize("words", [("dead",), ("redrive", "orders-paper"), ("bootstrap",)])
def test_without_settings_of_aws(run, monkeypatch, words):
    """One line names the missing setting, without a traceback."""
    import boto3

    from chalicelib import aws

    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    aws.client.cache_clear()
    ended = run(*words)
    assert ended.code == 1
    assert "AWS_REGION" in ended.err
    assert len(ended.err.strip().splitlines()) == 1
