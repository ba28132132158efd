"""The simulator itself.

Signatures by the exchanges' own formulas, without ccxt, and the answers they give.
"""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
import requests

from simulator.client import Simulator

MONEY = {"spot": {"USDT": "100000", "BTC": "1"}, "futures": {"USDT": "100000"}}


def now_ms() -> int:
    return int(time.time() * 1000)


def sign(secret: str, text: str) -> bytes:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()


def binance(
    simulator: Simulator, keys, method: str, path: str, *, at=None, host="api.binance.com", wrong="", **given
):
    """Signed as developers.binance.com has it: HMAC-SHA256, hex, of query string and body."""
    text = urlencode({**given, "timestamp": at or now_ms()})
    signed = f"{text}&signature={sign(keys.secret, text + wrong).hex()}"
    headers = {
        "X-MBX-APIKEY": keys.api_key,
        "X-Original-Host": host,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    url = simulator.url + path
    if method == "POST":
        return requests.post(url, data=signed, headers=headers, timeout=5)
    return requests.request(method, f"{url}?{signed}", headers=headers, timeout=5)


def bybit(simulator: Simulator, keys, method: str, path: str, *, at=None, wrong="", **given):
    """Signed as Bybit v5 has it: hex of timestamp, key, window, and query string or body."""
    stamp = str(at or now_ms())
    text = json.dumps(given) if method == "POST" else urlencode(given)
    headers = {
        "X-BAPI-API-KEY": keys.api_key,
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": sign(keys.secret, stamp + keys.api_key + "5000" + text + wrong).hex(),
        "X-Original-Host": "api.bybit.com",
        "Content-Type": "application/json",
    }
    url = simulator.url + path + ("" if method == "POST" else f"?{text}")
    return requests.request(method, url, data=text if method == "POST" else None, headers=headers, timeout=5)


def okx(simulator: Simulator, keys, method: str, path: str, *, at=None, wrong="", **given):
    """Signed as OKX v5 has it: base64 of ISO timestamp, method, path with query, body."""
    stamp = (
        datetime.fromtimestamp((at or now_ms()) / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
    body = json.dumps(given) if method == "POST" else ""
    target = path + (f"?{urlencode(given)}" if method == "GET" and given else "")
    headers = {
        "OK-ACCESS-KEY": keys.api_key,
        "OK-ACCESS-SIGN": base64.b64encode(
            sign(keys.secret, stamp + method + target + body + wrong)
        ).decode(),
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-PASSPHRASE": keys.passphrase,
        "X-Original-Host": "www.okx.com",
        "Content-Type": "application/json",
    }
    return requests.request(method, simulator.url + target, data=body or None, headers=headers, timeout=5)


READS = {
    "binance": (binance, "/api/v3/account", "code", [-1022, -1021]),
    "bybit": (bybit, "/v5/account/info", "retCode", [10004, 10002]),
    "okx": (okx, "/api/v5/account/balance", "code", ["50113", "50102"]),
}


@pytest.mark.parametrize("exchange", READS)
def test_signatures_by_the_documented_formulas(simulator: Simulator, exchange):
    """A request signed by the formula in the exchange's documentation passes.

    A wrong signature and an old one do not.
    """
    call, path, code, (wrong, late) = READS[exchange]
    keys = simulator.account(exchange, balances=MONEY)

    assert call(simulator, keys, "GET", path).json().get(code) in {None, 0, "0"}
    assert wrong == call(simulator, keys, "GET", path, wrong="x").json()[code]
    assert late == call(simulator, keys, "GET", path, at=now_ms() - 31_000).json()[code]
    assert late == call(simulator, keys, "GET", path, at=now_ms() + 31_000).json()[code]


def test_binances_own_example_of_a_signature(simulator: Simulator):
    """The key, request and signature printed in Binance's documentation are accepted as signed."""
    key, secret = (
        "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
        "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
    )
    simulator.account("binance", api_key=key, secret=secret)
    simulator.call("POST", "clock", offset_ms=1499827319559 - now_ms())
    order = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        "&recvWindow=5000&timestamp=1499827319559"
    )
    signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    headers = {
        "X-MBX-APIKEY": key,
        "X-Original-Host": "api.binance.com",
        "Content-Type": "application/x-www-form-urlencoded",
    }

    for given, code in ((signature, -1121), (signature[::-1], -1022)):
        answer = requests.post(
            f"{simulator.url}/api/v3/order", data=f"{order}&signature={given}", headers=headers, timeout=5
        )
        assert code == answer.json()["code"], (
            "LTCBTC is not traded here, which is found out after the signature has been checked"
        )


def test_binance_frees_a_client_id_when_its_order_ends(simulator: Simulator):
    """Client ids are unique among open orders only: the same market order is executed twice."""
    keys = simulator.account("binance", balances=MONEY)
    market = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "MARKET",
        "quantity": "0.01",
        "newClientOrderId": "a",
    }
    limit = {**market, "type": "LIMIT", "price": "40000", "timeInForce": "GTC", "newClientOrderId": "b"}

    assert [
        binance(simulator, keys, "POST", "/api/v3/order", **market).json()["status"] for _ in range(2)
    ] == ["FILLED", "FILLED"]
    assert binance(simulator, keys, "POST", "/api/v3/order", **limit).status_code == 200
    again = binance(simulator, keys, "POST", "/api/v3/order", **limit)
    assert (again.status_code, again.json()) == (400, {"code": -2010, "msg": "Duplicate order sent."})


def test_bybit_never_frees_a_client_id(simulator: Simulator):
    """A client id is taken for ever."""
    keys = simulator.account("bybit", balances=MONEY)
    market = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Market",
        "qty": "0.01",
        "orderLinkId": "a",
    }
    assert [
        bybit(simulator, keys, "POST", "/v5/order/create", **market).json()["retCode"] for _ in range(2)
    ] == [0, 110072]
    spot = {**market, "category": "spot", "marketUnit": "baseCoin"}
    assert [
        bybit(simulator, keys, "POST", "/v5/order/create", **spot).json()["retCode"] for _ in range(2)
    ] == [0, 170141]


def test_okx_lets_a_client_id_come_back(simulator: Simulator):
    """A client id may be used again once its order has ended, and a query returns the latest."""
    keys = simulator.account("okx", balances=MONEY)
    market = {
        "instId": "BTC-USDT-SWAP",
        "tdMode": "cross",
        "side": "buy",
        "ordType": "market",
        "sz": "1",
        "clOrdId": "a",
    }
    first, second = (
        okx(simulator, keys, "POST", "/api/v5/trade/order", **market).json()["data"][0]["ordId"]
        for _ in range(2)
    )
    found = okx(simulator, keys, "GET", "/api/v5/trade/order", instId="BTC-USDT-SWAP", clOrdId="a").json()[
        "data"
    ][0]
    assert first != second == found["ordId"]
    limit = {**market, "ordType": "limit", "px": "40000", "clOrdId": "b"}
    assert [
        okx(simulator, keys, "POST", "/api/v5/trade/order", **limit).json()["data"][0]["sCode"]
        for _ in range(2)
    ] == ["0", "51016"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"quantity": "0.000005"}, -1013),
        ({"quantity": "0.000015"}, -1013),
        ({"price": "40000.001"}, -1013),
        ({"quantity": "0.0001"}, -1013),
        ({"quantity": "50"}, -2010),
        ({"symbol": "NOPE"}, -1121),
    ],
)
def test_binance_filters(simulator: Simulator, given, code):
    """Lot, tick, notional, funds and symbol are checked, each with Binance's code."""
    keys = simulator.account("binance", balances=MONEY)
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.1",
        "price": "40000",
        **given,
    }
    assert code == binance(simulator, keys, "POST", "/api/v3/order", **order).json()["code"]


def test_binance_futures_conditionals_have_an_endpoint_of_their_own(simulator: Simulator):
    """A conditional order sent to the ordinary endpoint is refused."""
    keys = simulator.account("binance", balances=MONEY)
    order = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "0.1",
        "stopPrice": "40000",
    }
    assert (
        binance(simulator, keys, "POST", "/fapi/v1/order", host="fapi.binance.com", **order).json()["code"]
        == -4120
    )


def test_limits_by_account_and_address(simulator: Simulator):
    """Binance refuses the 101st spot order in 10 s with 429, Retry-After and -1015.

    Bybit the 601st call in 5 s with 403.
    """
    keys = simulator.account("binance", balances=MONEY)
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.001",
        "price": "40000",
    }
    answers = [binance(simulator, keys, "POST", "/api/v3/order", **order) for _ in range(101)]
    assert [
        answers[99].headers["X-MBX-ORDER-COUNT-10S"],
        answers[100].status_code,
        answers[100].json()["code"],
    ] == ["100", 429, -1015]
    assert int(answers[100].headers["Retry-After"]) > 0

    asked = f"{simulator.url}/v5/market/tickers?category=spot&symbol=BTCUSDT"
    with requests.Session() as session:
        statuses = [
            session.get(asked, headers={"X-Original-Host": "api.bybit.com"}, timeout=5).status_code
            for _ in range(601)
        ]
    assert [statuses[599], statuses[600]] == [200, 403]


def test_weights_and_scaled_limits(simulator: Simulator):
    """Binance counts what a call weighs; OKX the prices an address asks for.

    A scaled limit is one exchange's.
    """
    keys = simulator.account("binance", balances=MONEY)
    simulator.call("POST", "limits", exchange="okx", factor=0.5)
    account = binance(simulator, keys, "GET", "/api/v3/account")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
    assert account.headers["X-MBX-USED-WEIGHT-1M"] == "20"
    assert binance(simulator, keys, "POST", "/api/v3/order", **order).headers["X-MBX-USED-WEIGHT-1M"] == "21"
    assert binance(simulator, keys, "GET", "/api/v3/openOrders").headers["X-MBX-USED-WEIGHT-1M"] == "101"

    asked = f"{simulator.url}/api/v5/market/ticker?instId=BTC-USDT"
    with requests.Session() as session:
        statuses = [
            session.get(asked, headers={"X-Original-Host": "www.okx.com"}, timeout=5).status_code
            for _ in range(11)
        ]
    assert [statuses[9], statuses[10]] == [200, 429]
    told = simulator.call("GET", "stats")
    assert (told["weight"], told["limited"]) == ({"binance": 101, "okx": 10}, 1)


def test_a_reading_key_may_not_trade(simulator: Simulator):
    """A key without the permission is refused when it orders, and reads all the same."""
    keys = simulator.account("bybit", balances=MONEY, permissions=["read"])
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
    assert bybit(simulator, keys, "POST", "/v5/order/create", **order).json()["retCode"] == 10005
    assert bybit(simulator, keys, "GET", "/v5/account/info").json()["retCode"] == 0


def test_answers_are_quick(simulator: Simulator):
    """An answer is one write, so a call does not wait for acknowledgements.

    Well under the 40 ms those would take.
    """
    with requests.Session() as session:
        started = time.monotonic()
        for _ in range(20):
            session.get(
                f"{simulator.url}/v5/market/tickers?category=spot&symbol=BTCUSDT",
                headers={"X-Original-Host": "api.bybit.com"},
                timeout=5,
            )
        assert (time.monotonic() - started) / 20 < 0.03
