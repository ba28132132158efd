"""From a closing fill to the figures: the trade with the fill, the totals by the table's stream."""

import csv
import io
import os
import subprocess
import sys
import uuid

import pytest
import requests

from tests.e2e.calls import TIMEOUT_S, eventually, get, paper
from tests.e2e.conftest import Running

pytestmark = pytest.mark.e2e


def test_a_round_trip(stack: Running) -> None:
    """Bought at 185.59 and sold at 189.90: listed at once, added up within seconds, and announced."""
    symbol = "J" + "".join(chr(65 + number % 26) for number in uuid.uuid4().bytes[:7])
    for side, price in (("buy", 185.50), ("sell", 190)):
        body = {"symbol": symbol, "side": side, "qty": 10, "price": price}
        answer = paper(stack, body, Prefer="wait=20")
        assert answer.status_code == 200, answer.text
    listed = get(stack, "/trades", "TRADEHOOK_USER_TOKEN", params={"symbol": symbol}).json()
    assert "items" in listed, listed
    [trade] = listed["items"]
    assert (trade["entry_price"], trade["exit_price"], trade["quantity"]) == (185.59, 189.9, 10)
    assert trade["net_profit"] == pytest.approx(trade["gross_profit"] - trade["fees"])
    assert trade["gross_profit"] == pytest.approx(43.1)

    def added_up() -> list[dict]:
        rows = get(stack, "/performance", "TRADEHOOK_USER_TOKEN", params={"by": "symbol"}).json()["items"]
        return [row for row in rows if row["symbol"] == symbol]

    [row] = eventually(added_up, within_s=30)
    assert (row["trades"], row["win_rate"], row["net_profit"]) == (1, 1, trade["net_profit"])

    def told() -> list[dict]:
        events = get(stack, "/events", "TRADEHOOK_USER_TOKEN", params={"limit": "200"}).json()["items"]
        return [each for each in events if each["payload"].get("trade_id") == trade["trade_id"]]

    [event] = eventually(told, within_s=30)
    assert event["type"] == "trade.closed"


def test_a_list_as_csv(stack: Running) -> None:
    """Through the front door and the API gateway."""
    headers = {"Authorization": f"Bearer {stack.env['TRADEHOOK_USER_TOKEN']}", "Accept": "text/csv"}
    answer = requests.get(f"{stack.url}/orders", headers=headers, params={"limit": "3"}, timeout=TIMEOUT_S)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    shown = get(stack, "/orders", "TRADEHOOK_USER_TOKEN", params={"limit": "3"}).json()["items"]
    assert [row["order_id"] for row in rows] == [order["order_id"] for order in shown]


def test_the_journal_agrees_with_the_orders(stack: Running) -> None:
    """After all that the other tests have traded."""
    command = [sys.executable, "-m", "tradehook", "--url", stack.url, "journal", "check"]
    environment = os.environ | {"TRADEHOOK_ADMIN_TOKEN": stack.env["TRADEHOOK_USER_TOKEN"]}
    found = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
