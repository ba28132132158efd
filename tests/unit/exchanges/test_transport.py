"""The session: to where it is pointed, in the time it is given, once."""

import contextlib
import socket
import threading
import time
import traceback

import pytest

from chalicelib.errors import NotDoable, OutcomeUnknown, Retryable
from chalicelib.exchanges.protocol import Pacing, RateLimited
from chalicelib.trading import MarketType
from simulator.client import Simulator
from simulator.fixtures import VENUES
from tests.contract.exchanges.exchange_rig import BUY, SimulatedRig, make_order


@pytest.fixture(params=VENUES, ids=str)
def client(request, simulator: Simulator) -> SimulatedRig:
    """Any exchange and market."""
    return SimulatedRig(*request.param, simulator)


def test_the_real_host_travels_along(client: SimulatedRig):
    """A call that goes elsewhere still says for which exchange it is."""
    client.exchange.last_price(client.instrument)
    hosts = {
        "binance": {"api.binance.com", "fapi.binance.com"},
        "bybit": {"api.bybit.com"},
        "okx": {"www.okx.com"},
    }
    assert client.simulator.requests()[-1]["host"] in hosts[client.name]


def test_an_answer_that_does_not_come_is_given_up(client: SimulatedRig):
    """The read timeout holds, whatever ccxt's own is, and the order's outcome is unknown."""
    client.simulator.fault(kind="timeout", method="POST", api_key=client.credentials.api_key, seconds=2)
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        client.open(timeout=(1.0, 0.2)).place(client.order(BUY, "0.1"))
    assert time.monotonic() - started < 1.5


def test_nobody_there_means_not_placed(client: SimulatedRig, monkeypatch: pytest.MonkeyPatch):
    """Without a connection nothing was sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("TRADEHOOK_EXCHANGE_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(Retryable):
            client.open().place(client.order(BUY, "0.1"))


def test_redirects_are_not_followed(simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    """A key and a signature go only to the place they were made for, and the outcome is unknown."""
    client = SimulatedRig("binance", MarketType.SPOT, simulator)
    asked = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    asked.append(connection.recv(65536))
                    connection.sendall(
                        b"HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\n"
                        b"Connection: close\r\nContent-Length: 0\r\n\r\n"
                    )

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        monkeypatch.setenv("TRADEHOOK_EXCHANGE_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(OutcomeUnknown):
            client.open().place(client.order(BUY, "0.1"))
    assert len(asked) == 1


@pytest.mark.parametrize("kind", ["500", "reset", "429"])
def test_nothing_is_repeated(client: SimulatedRig, kind: str):
    """One order is one request, however it fails."""
    client.simulator.fault(kind=kind, method="POST", api_key=client.credentials.api_key, times=-1)
    with pytest.raises((OutcomeUnknown, Retryable)):
        client.exchange.place(client.order(BUY, "0.1"))
    assert sum(call["method"] == "POST" for call in client.simulator.requests()) == 1


def test_a_wrong_clock_places_nothing(client: SimulatedRig):
    """A request from another time is turned away before it has an effect, and may be tried again."""
    client.simulator.call("POST", "clock", offset_ms=60_000)
    with pytest.raises(Retryable):
        client.exchange.place(client.order(BUY, "0.1"))
    assert client.simulator.orders() == []


def test_limits_are_reported(simulator: Simulator):
    """What the exchange says of its limits is there after each call, also after one it refused for them."""
    binance = SimulatedRig("binance", MarketType.FUTURES, simulator)
    binance.exchange.place(binance.order(BUY, "0.1"))
    assert dict(binance.exchange.pacing.order_counts) == {"10s": 1, "1m": 1}
    assert binance.exchange.pacing.used_weight > 0
    bybit = SimulatedRig("bybit", MarketType.SPOT, simulator)
    bybit.exchange.balances()
    assert bybit.exchange.pacing.remaining == 49
    okx = SimulatedRig("okx", MarketType.SPOT, simulator)
    okx.exchange.balances()
    assert Pacing() == okx.exchange.pacing


def test_too_many_orders_are_rate_limited(client: SimulatedRig):
    """Over the limit an exchange refuses orders, which is retryable; none of those refused was placed."""
    orders = [
        make_order(client.instrument, f"x{number}", BUY, "0.003", price="40000") for number in range(400)
    ]
    placed = []
    with pytest.raises(RateLimited):
        placed.extend(map(client.exchange.place, orders))
    assert [state.client_order_id for state in placed] == [
        each["client_id"] for each in client.simulator.orders()
    ]
    assert client.simulator.call("GET", "stats")["limited"] >= 1


def test_no_secret_shows(client: SimulatedRig, caplog: pytest.LogCaptureFixture):
    """Neither errors with all that led to them, nor reprs, nor logs at any level carry key, secret,
    passphrase or signature.
    """
    caplog.set_level("DEBUG")
    wrong = type(client.credentials)(
        client.credentials.api_key, "another-secret", "another-phrase", demo=False
    )
    texts = [repr(client.exchange), repr(wrong), str(wrong)]
    for credentials in (wrong, client.credentials):
        for kind in ("none", "500", "reset", "html"):
            client.simulator.fault(
                kind="500" if kind == "none" else kind,
                times=0 if kind == "none" else 2,
                api_key=credentials.api_key,
            )
            exchange = client.open(credentials=credentials)
            for call in (
                exchange.balances,
                lambda exchange=exchange: exchange.place(client.order(BUY, "0.1")),
            ):
                try:
                    call()
                except (NotDoable, OutcomeUnknown, Retryable) as error:
                    texts += [repr(error), str(error), *traceback.format_exception(error)]
            client.simulator.clear_faults()
    texts += [
        record.getMessage()
        for record in caplog.records
        if record.name.split(".")[0] in {"ccxt", "urllib3", "chalicelib"}
    ]
    for secret in (wrong.api_key, wrong.secret, client.credentials.secret, wrong.passphrase, "signature="):
        assert not [each for each in texts if secret and secret in each]
