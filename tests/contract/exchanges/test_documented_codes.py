"""Every documented error code of each exchange, answered to an order.

A refusal with that code, or one of the listed exceptions.

`dialects/documented_codes/{exchange}.json` has each code with its class and words, and the pages
they are from. Classes: `refused`, `again` (certainly not executed, may be sent again), `unknown` and
`duplicate` (looked up).
"""

from typing import Any

import pytest

from chalicelib.errors import NotDoable, OutcomeUnknown, Retryable, TradehookError
from chalicelib.exchanges.dialects import documented
from chalicelib.trading import MarketType
from simulator.client import Simulator
from tests.contract.exchanges.exchange_rig import BUY, SimulatedRig

PLACE = {"binance": "/fapi/v1/order", "bybit": "/v5/order/create", "okx": "/api/v5/trade/order"}
EXPECTED: dict[str, type[TradehookError]] = {
    "refused": NotDoable,
    "again": Retryable,
    "unknown": OutcomeUnknown,
    "duplicate": OutcomeUnknown,  # the look-up finds no such order here
}


def answer(exchange: str, code: str, words: str) -> dict[str, Any]:
    """The answer to an order, as the exchange's documentation shows it."""
    if exchange == "binance":
        return {
            "status": {"-1008": 503, "-1007": 408}.get(code, 400),
            "body": {"code": int(code), "msg": words},
        }
    if exchange == "bybit":
        return {"body": {"retCode": int(code), "retMsg": words, "result": {}, "retExtInfo": {}, "time": 1}}
    return {
        "body": {"code": "1", "msg": "", "data": [{"ordId": "", "clOrdId": "", "sCode": code, "sMsg": words}]}
    }


@pytest.mark.parametrize("exchange", PLACE)
def test_every_documented_code_is_understood(simulator: Simulator, exchange: str) -> None:
    """Each ends in what its class says, after one sending. A refusal keeps the exchange's code and words."""
    simulator.call("POST", "limits", enabled=False)
    rig = SimulatedRig(exchange, MarketType.FUTURES, simulator)
    account = rig.open(polls=1)
    account.place(rig.order(BUY, "0.01"))  # makes the settings, so that only the order is sent below
    wrong = []
    for code, meant in documented.codes(exchange).items():
        words = meant["words"].replace("phrase", "***")  # the simulated account's passphrase never shows
        simulator.fault(
            exchange=exchange,
            method="POST",
            path=PLACE[exchange],
            kind="answer",
            answer=answer(exchange, code, words),
        )
        error: TradehookError | None = None
        try:
            account.place(rig.order(BUY, "0.01"))
        except TradehookError as raised:
            error = raised
        if type(error) not in {EXPECTED[meant["class"]], *EXPECTED[meant["class"]].__subclasses__()}:
            wrong.append(f"{code} {meant['class']}: {error!r}")
        elif isinstance(error, NotDoable) and (error.values["exchange_code"], error.values["reason"]) != (
            code,
            words,
        ):
            wrong.append(f"{code}: {error}")
    assert wrong == []
    sent = [
        call for call in simulator.requests() if call["method"] == "POST" and call["path"] == PLACE[exchange]
    ]
    assert len(sent) == len(documented.codes(exchange)) + 1
