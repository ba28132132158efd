"""The message builder: the webhooks accept its messages."""

import pytest

from chalicelib.accounts.manage import create_account
from chalicelib.signals.reading import fields, variants
from chalicelib.strategies.alert_message import CODE, TOKEN, VARIANTS
from chalicelib.strategies.manage import create_strategy
from chalicelib.strategies.members import add_accounts
from chalicelib.trading import Variant
from chalicelib.users.models import AccountKind

FILLED = {
    "{{ticker}}": "BTCUSDT",
    "{{interval}}": "15",
    "{{timenow}}": "2026-01-22T15:30:00Z",
    "{{close}}": "50000.5",
    "{{low}}": "49000",
    "{{strategy.order.action}}": "buy",
    "{{strategy.order.contracts}}": "0.05",
    "{{strategy.market_position_size}}": "0.05",
    "{{strategy.position_size}}": "0.05",
    "{{strategy.market_position}}": "long",
    "{{strategy.prev_market_position}}": "flat",
}


@pytest.fixture
def strategy(api):
    made = create_strategy("7", "My strategy 1", by="7", resync=True)
    account = create_account("7", "B1", AccountKind.DEMO, by="7", exchange="okx", market_types=("futures",))
    add_accounts(made, [{"account_id": account.account_id}], by="7")
    return made.strategy_id


def message(api, strategy, **query):
    status, answer = api(
        "7", "GET", "/strategies/{strategy_id}/alert-message", strategy_id=strategy, query=query
    )
    assert status == 200
    return answer


def as_sent(text):
    """The alert as TradingView sends it."""
    for placeholder, value in FILLED.items():
        text = text.replace(placeholder, value)
    return text.replace(TOKEN, "whk_7_token").replace(CODE, "xc_7_code").encode()


@pytest.mark.parametrize("variant", VARIANTS)
def test_message_is_read_by_its_own_webhook(api, strategy, variant):
    """Each variant's message, filled by TradingView, is a signal with a key that identifies duplicates."""
    built = message(api, strategy, variant=variant)
    read = fields.read(as_sent(built["text"]))
    kind = {"group": Variant.GROUP, "batch": Variant.GROUP, "cancel": Variant.GROUP}.get(variant) or Variant(
        variant
    )
    signal = variants.read_signal(kind, read)
    assert signal.symbol.name == "BTCUSDT"
    assert signal.idempotency_key.startswith("My strategy 1-BTCUSDT-15-2026-01-22T15:30:00Z")
    assert built["fill_in"] == [CODE if variant == "xc" else TOKEN]
    assert b"{{" not in as_sent(built["text"])


def test_message_takes_market_from_the_accounts(api, strategy):
    """By default, a group message names exchange and market of the strategy's first active account."""
    built = message(api, strategy)
    assert (built["message"]["exchange"], built["message"]["market_type"]) == ("OKX", "FUTURES")
    assert built["message"]["market_position"] == "{{strategy.market_position}}"
    told = message(api, strategy, exchange="bybit", market_type="spot")["message"]
    assert (told["exchange"], told["market_type"]) == ("BYBIT", "SPOT")


def test_message_urls(api, strategy):
    """Each variant goes to its own webhook."""
    urls = {variant: message(api, strategy, variant=variant)["url"] for variant in VARIANTS}
    assert urls["personal"] == "http://localhost:8080/personal/7/webhook"
    assert (urls["legacy"], urls["xc"], urls["group"]) == tuple(
        f"http://localhost:8080{path}" for path in ("/webhook", "/xc", "/api/webhook")
    )


def test_unknown_variant(api, strategy):
    """A variant that does not exist is refused by name."""
    status, answer = api(
        "7", "GET", "/strategies/{strategy_id}/alert-message", strategy_id=strategy, query={"variant": "fax"}
    )
    assert (status, answer["code"]) == (400, "invalid_choice")


def test_message_proposes_a_small_size(api, strategy):
    """A first alert risks 5 percent of the balance, not all of it."""
    assert message(api, strategy, variant="group")["message"]["qty_per"] == 5
    assert {leg["qty_per"] for leg in message(api, strategy, variant="batch")["message"]["orders"]} == {5}
