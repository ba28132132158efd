"""`expires_in_s`, `on_expiry` and `exit_after_s` in the bodies of every webhook."""

import json
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.errors import Refused
from chalicelib.signals.models import Signal
from chalicelib.signals.reading import fields, variants
from chalicelib.trading import Variant
from functions import receive_signals
from testkit import gateway, pump, records
from testkit.api import Api

GROUP = {"group_name": "g", "exchange": "binance", "market_type": "spot", "currency": "USDT", "qty_per": 10}
BODIES: dict[Variant, dict[str, Any]] = {
    Variant.LEGACY: {},
    Variant.PERSONAL: {},
    Variant.XC: {"exchange": "binance", "amount": 1, "code": "x"},
    Variant.PAPER: {"qty": 1},
    Variant.GROUP: GROUP,
}
EVERY = pytest.mark.parametrize("variant", list(BODIES), ids=lambda variant: variant.value)


def read(variant: Variant, **more: Any) -> Signal:
    typed = {} if variant is Variant.PAPER else {"order_type": "LIMIT"}
    body = {"symbol": "BTCUSDT", "side": "buy", "price": 50000, **typed, **BODIES[variant], **more}
    return variants.read_signal(variant, fields.read(json.dumps(body).encode()))


@EVERY
def test_every_webhook_reads_them(variant: Variant) -> None:
    """In every spelling, as numbers or texts. Without them nothing expires."""
    signal = read(variant, expiresInS="300", on_expiry="Market", exit_after_s=3600)
    assert (signal.expires_in_s, signal.on_expiry, signal.exit_after_s) == (300, "market", 3600)
    signal = read(variant, expires_in_s=300)
    assert (signal.expires_in_s, signal.on_expiry, signal.exit_after_s) == (300, "cancel", None)
    assert read(variant).expires_in_s is None


@EVERY
@pytest.mark.parametrize("field", ["expires_in_s", "exit_after_s"])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "must_be_positive"),
        (-5, "must_be_positive"),
        (1.5, "invalid_number"),
        ("soon", "invalid_number"),
        (True, "invalid_number"),
        (2_592_001, "out_of_range"),
        (None, "empty_field"),
        ("", "empty_field"),
    ],
)
def test_bounds(variant: Variant, field: str, value: Any, code: str) -> None:
    """A whole number from 1 to 30 days; the refusal names the field."""
    with pytest.raises(Refused) as caught:
        read(variant, **{field: value})
    assert (caught.value.code, caught.value.values["field"]) == (code, field)


@EVERY
def test_what_happens_on_expiry(variant: Variant) -> None:
    """One of two words, and only for an order that expires."""
    for more, code, field in (
        ({"on_expiry": "market"}, "missing_field", "expires_in_s"),
        ({"on_expiry": "chase", "expires_in_s": 5}, "invalid_choice", "on_expiry"),
    ):
        with pytest.raises(Refused) as caught:
            read(variant, **more)
        assert (caught.value.code, caught.value.values["field"]) == (code, field)


def test_a_close_is_not_refused_for_them() -> None:
    """A closing signal reads only what names the position."""
    assert read(Variant.GROUP, side="close", expires_in_s="soon", exit_after_s=-1).action == "close"


def test_a_webhook_leaves_a_deadline_and_the_dry_run_says_so(api: Api) -> None:
    """The whole way from the body to the account, and the same body explained."""
    records.add_user("9", require_token=False)
    records.add_account("9", "main", slippage_bps=Decimal(0))
    api.sign_in("9")
    body = {"symbol": "AAPL", "side": "buy", "qty": 1, "price": 100, "exit_after_s": 600}
    status, plan = api("9", "POST", "/signals/explain", body)
    assert status == 200
    assert plan["signal"]["exit_after_s"] == 600
    [order] = plan["accounts"][0]["orders"]
    assert (order["exit_after_s"], order["expires_at"], order["on_expiry"]) == (600, None, None)
    assert pump.items("in_flight_orders") == []
    token = records.add_token("9")
    headers = {"X-Webhook-Token": token}
    gateway.call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"}, headers=headers)
    pump.execute()
    [deadline] = pump.items("in_flight_orders")
    assert deadline["order_id"].startswith("deadline#exit#")
