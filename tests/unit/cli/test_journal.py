"""`tradehook journal`."""

import pytest

from chalicelib import aws
from functions import receive_signals
from testkit import pump, records
from testkit.gateway import call


@pytest.fixture
def traded(admin):
    """A user with one closed trade."""
    records.add_user("5", require_token=False, default_account="main")
    records.add_account("5")
    for side, price in (("buy", 185.5), ("sell", 190)):
        body = {"symbol": "AAPL", "side": side, "qty": 100, "price": price, "token": records.add_token("5")}
        assert call(receive_signals.app, "POST", "/api/webhook", body, query={"wait": "0"})[0] == 202
        pump.execute()


def test_trades(run, traded):
    """Lists what was closed, with its result."""
    answer = run("trades", "list", "user_id=5")
    assert answer.code == 0
    assert "393.45" in answer.out


def test_check(run, traded):
    """The stored trades are those of the stored orders. An altered one is shown, and exits with 1."""
    answer = run("journal", "check", "--user", "5", "--json")
    assert (answer.code, '"compared": 1' in answer.out, '"differences": 0' in answer.out) == (0, True, True)
    [trade] = pump.items("trades")
    aws.write(aws.put_write("trades", trade | {"net_profit": trade["net_profit"] + 1}))
    answer = run("journal", "check", "--user", "5")
    assert answer.code == 1
    assert "net_profit" in answer.out
