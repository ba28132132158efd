"""Outcomes: unknown unless the exchange's own code says otherwise."""

import pytest
import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ReadTimeoutError

from chalicelib.errors import NotDoable, OutcomeUnknown, Retryable
from chalicelib.exchanges.dialects.binance import Binance
from chalicelib.exchanges.dialects.bybit import Bybit
from chalicelib.exchanges.dialects.okx import Okx
from chalicelib.exchanges.outcomes import Absent, Already, Duplicate, Failure, reaction
from chalicelib.exchanges.protocol import RateLimited

CLASSES = {kind.__name__.lower(): kind for kind in (Binance, Bybit, Okx)}

UNKNOWN = {
    "binance": ["-1000", "-1001", "-1006", "-1007"],
    "bybit": ["10000", "10016", "3400214", "170146", "170147", "10014", "170007"],
    "okx": ["51054", "51149", "50001", "50004", "50013", "2"],
}
REFUSED = {
    "binance": [
        ("-2019", "Margin is insufficient."),
        ("-1013", "Filter failure: LOT_SIZE"),
        ("-2015", "Invalid API-key"),
        ("-4164", "notional"),
    ],
    "bybit": [
        ("110007", "ab not enough"),
        ("10003", "API key is invalid."),
        ("170140", "lower limit"),
        ("110017", "reduce-only"),
    ],
    "okx": [("51008", "Insufficient"), ("50113", "Invalid Sign"), ("51020", "minimum"), ("51121", "lot")],
}
LIMITED = {"binance": ["-1015", "-1003"], "bybit": ["10006", "10429"], "okx": ["50011", "50061"]}
DUPLICATE = {
    "binance": [("-2010", "Duplicate order sent."), ("-4116", "")],
    "bybit": [("170141", ""), ("110072", "")],
    "okx": [("51016", ""), ("50071", "")],
}
ALREADY = {"binance": ["-4046", "-4059"], "bybit": ["110043", "110025"]}
ABSENT = {"binance": ["-2011", "-2013"], "bybit": ["110001", "170213"], "okx": ["51603", "51400"]}


def meant(exchange, code=None, message="", *, changes=True, status=None, sent=True, error=None):
    return reaction(
        Failure(exchange, error, sent, status, code, message), CLASSES[exchange].error_rules, changes=changes
    )


def flat(table):
    return [
        (exchange, *((each,) if isinstance(each, str) else each))
        for exchange, listed in table.items()
        for each in listed
    ]


@pytest.mark.parametrize(("exchange", "code"), flat(UNKNOWN))
def test_codes_that_tell_nothing_are_unknown(exchange, code):
    """Server faults and timeouts behind the gateway leave a change unknown, and a look to be tried again."""
    assert isinstance(meant(exchange, code), OutcomeUnknown)
    assert isinstance(meant(exchange, code, changes=False), Retryable)


@pytest.mark.parametrize(("exchange", "code", "message"), flat(REFUSED))
def test_refusals_carry_the_exchanges_code_and_reason(exchange, code, message):
    """An explicit rejection is a refusal, which says who refused and why."""
    refusal = meant(exchange, code, message)
    assert isinstance(refusal, NotDoable)
    assert {"exchange": exchange, "exchange_code": code, "reason": message} == refusal.values


@pytest.mark.parametrize(("exchange", "code"), flat(LIMITED))
def test_limits_are_waited_for(exchange, code):
    """A limit is retryable and says for how long to wait."""
    limited = meant(exchange, code)
    assert isinstance(limited, RateLimited)
    assert limited.retry_after > 0


@pytest.mark.parametrize("exchange", CLASSES)
def test_retry_after_counts(exchange):
    """The header's seconds win over the table's."""
    failure = Failure(exchange, None, sent=True, status=429, retry_after=17)
    assert reaction(failure, CLASSES[exchange].error_rules, changes=True).retry_after == 17


def test_bybits_403_bans_the_address():
    """Too frequent access is answered with 403 and no code, and lasts ten minutes for everybody behind the
    address.
    """
    limited = meant("bybit", status=403)
    assert (limited.retry_after, limited.scope) == (600, "address")


@pytest.mark.parametrize(("exchange", "code", "message"), flat(DUPLICATE))
def test_duplicates_are_told_apart(exchange, code, message):
    """A client id that is taken is neither a refusal nor unknown."""
    assert isinstance(meant(exchange, code, message), Duplicate)


@pytest.mark.parametrize(("exchange", "code"), flat(ALREADY))
def test_settings_that_stand_already(exchange, code):
    """A setting that is as asked is not a failure."""
    assert isinstance(meant(exchange, code), Already)


@pytest.mark.parametrize(("exchange", "code"), flat(ABSENT))
def test_orders_that_are_not_there(exchange, code):
    """An order unknown to the exchange differs from a failed query."""
    assert isinstance(meant(exchange, code), Absent)


@pytest.mark.parametrize("exchange", CLASSES)
@pytest.mark.parametrize("code", ["-2010", "170131", "51008", None])
def test_a_gateways_error_is_never_certain(exchange, code):
    """Whatever a 5xx says, the order may have gone through behind it."""
    assert isinstance(meant(exchange, code, "insufficient balance", status=502), OutcomeUnknown)


@pytest.mark.parametrize("exchange", CLASSES)
def test_what_was_not_sent_was_not_placed(exchange):
    """No connection to send it on: nothing happened, although ccxt calls it a timeout or a network error."""
    for cause in (NewConnectionError(None, "refused"), ConnectTimeoutError("slow")):
        error = RuntimeError("as ccxt raises it")
        error.__cause__ = requests.ConnectionError(MaxRetryError(None, "/", cause))
        assert isinstance(meant(exchange, error=error), Retryable)


@pytest.mark.parametrize("exchange", CLASSES)
def test_what_ccxt_itself_turns_away_is_refused(exchange):
    """An error before any request is a refusal: trying again would meet it again."""
    assert isinstance(meant(exchange, sent=False, error=ValueError("an argument")), NotDoable)


@pytest.mark.parametrize("exchange", CLASSES)
@pytest.mark.parametrize("cause", [ReadTimeoutError(None, "/", "late"), ConnectionResetError(104, "reset")])
def test_what_broke_after_sending_is_unknown(exchange, cause):
    """A reset or a missing answer leaves a change unknown."""
    error = RuntimeError("as ccxt raises it")
    error.__cause__ = requests.ConnectionError(cause)
    assert isinstance(meant(exchange, error=error), OutcomeUnknown)
