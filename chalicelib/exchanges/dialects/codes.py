"""Each exchange's codes that mean more than "refused", from its documentation and from tests.

The first row that matches counts.

A missing code is a refusal (`exchange_refused`, with the exchange's code and message). A refusal is listed
only if it has a better name.

Two groups of rows decide about money:

- `UNKNOWN`: the order may be at the exchange.
- `PASSING` and `LIMITED`: the order is certainly not at the exchange and may be sent again.

Sources: developers.binance.com (error codes of spot and USDⓈ-M), bybit-exchange.github.io/docs/v5/error,
okx.com/docs-v5 (error code).
"""

from chalicelib.exchanges.outcomes import Kind, Meaning


def _meanings(kind: Kind, *codes: str) -> tuple[Meaning, ...]:
    return tuple(Meaning(code, kind) for code in codes)


def _refusals(ours: str, *codes: str, message: str = "") -> tuple[Meaning, ...]:
    return tuple(Meaning(code, Kind.REFUSED, ours, message) for code in codes)


BINANCE = (
    # The code counts first: -1015 comes with HTTP 429 and concerns the account, a bare 429 or 418 the
    # address.
    Meaning("-1015", Kind.LIMITED, seconds=10),
    Meaning("-1003", Kind.LIMITED, seconds=60, scope="address"),
    Meaning("http 429", Kind.LIMITED, seconds=60, scope="address"),
    Meaning("http 418", Kind.LIMITED, seconds=120, scope="address"),
    Meaning("http 403", Kind.LIMITED, seconds=300, scope="address"),
    # From a country that Binance does not serve.
    Meaning("http 451", Kind.REFUSED),
    # -1034: too many connections. Sent before the request is processed.
    Meaning("-1034", Kind.LIMITED, seconds=10, scope="address"),
    # "Execution status unknown", and errors inside Binance whose documentation does not exclude an effect.
    *_meanings(Kind.UNKNOWN, "-1000", "-1001", "-1006", "-1007"),
    # The clock, at the gateway (-1021) and before the matching engine (-5028).
    *_meanings(Kind.PASSING, "-1021", "-5028"),
    # Overloaded. -1008 comes with HTTP 503 and is documented as "a failure API operation": nothing was
    # executed.
    Meaning("-1008", Kind.PASSING, certain=True),
    Meaning("-1004", Kind.PASSING, message="server is busy"),
    # One code for every rejection of a spot order. The message tells them apart.
    Meaning("-2010", Kind.DUPLICATE, message="duplicate order"),
    *_refusals("exchange_insufficient_funds", "-2010", message="insufficient balance"),
    *_refusals("exchange_would_trigger", "-2010", message="trigger immediately"),
    *_refusals("post_only_would_fill", "-2010", message="match and take"),
    *_meanings(Kind.DUPLICATE, "-4116"),
    *_meanings(Kind.ABSENT, "-2011", "-2013"),
    *_meanings(Kind.ALREADY, "-4046", "-4059"),
    *_refusals("exchange_insufficient_funds", "-2018", "-2019"),
    *_refusals("exchange_would_trigger", "-2021"),
    *_refusals("post_only_would_fill", "-5022"),
    *_refusals("exchange_nothing_to_reduce", "-2022"),
    *_refusals("exchange_key_rejected", "-1002", "-1022", "-2008", "-2014", "-2015"),
    *_refusals("exchange_setting_locked", "-4047", "-4048", "-4067", "-4068"),
    *_refusals("exchange_leverage_invalid", "-4028"),
    *_refusals("exchange_setting_locked", "-4531"),
    *_refusals("exchange_position_mode_differs", "-4061"),
)

BYBIT = (
    Meaning("10006", Kind.LIMITED, seconds=1),
    Meaning("10018", Kind.LIMITED, seconds=60, scope="address"),
    Meaning("10429", Kind.LIMITED, seconds=1),
    Meaning("10009", Kind.LIMITED, seconds=600, scope="address"),
    *(Meaning(code, Kind.LIMITED, seconds=1) for code in ("170005", "170222")),
    # Timeouts and errors inside Bybit: the order may have been created. 10014: a duplicate of the request.
    *_meanings(
        Kind.UNKNOWN,
        "10000",
        "10014",
        "10016",
        "170001",
        "170007",
        "170032",
        "170035",
        "170146",
        "170147",
        "170234",
        "3400214",
        "5004",
    ),
    # The clock.
    *_meanings(Kind.PASSING, "10002", "-1021"),
    *_meanings(Kind.DUPLICATE, "110072", "170141"),
    *_meanings(Kind.ABSENT, "110001", "110008", "110010", "170213", "170142"),
    *_meanings(Kind.ALREADY, "110025", "110026", "110043"),
    *_refusals("exchange_key_rejected", "10003", "10004", "10005", "10007", "10010", "33004"),
    *_refusals(
        "exchange_insufficient_funds",
        "110004",
        "110006",
        "110007",
        "110012",
        "110014",
        "110044",
        "110045",
        "110052",
    ),
    *_refusals("exchange_insufficient_funds", "170131", "170033"),
    *_refusals("exchange_nothing_to_reduce", "110017"),
    *_refusals("exchange_would_trigger", "110092", "110093"),
    *_refusals("post_only_would_fill", "170218"),
    *_refusals("exchange_setting_locked", "110024", "110028", "3400045"),
    *_refusals("exchange_leverage_invalid", "110013"),
    *_refusals("exchange_position_mode_differs", "10001", message="position idx"),
    *_refusals("exchange_position_mode_differs", "10001", message="position mode"),
    # Without Bybit's own code. "403, access too frequent": the address is banned for ten minutes.
    Meaning("http 429", Kind.LIMITED, seconds=1),
    Meaning("http 403", Kind.LIMITED, seconds=600, scope="address"),
)

OKX = (
    Meaning("50011", Kind.LIMITED, seconds=2),
    Meaning("50061", Kind.LIMITED, seconds=2),
    Meaning("51113", Kind.LIMITED, seconds=2),
    # "Does not indicate success or failure of order", timeouts, and a system that is busy or under upgrade.
    # 2: partly done.
    *_meanings(Kind.UNKNOWN, "2", "50001", "50004", "50005", "50013", "50026", "51054", "51149"),
    # The clock, and a request past its own expiry.
    *_meanings(Kind.PASSING, "50036", "50037", "50102", "50112"),
    *_meanings(Kind.DUPLICATE, "50071", "51016", "51065"),
    *_meanings(Kind.ABSENT, "51400", "51401", "51402", "51410", "51603"),
    *_refusals(
        "exchange_key_rejected",
        "50100",
        "50101",
        "50103",
        "50104",
        "50105",
        "50110",
        "50111",
        "50113",
        "50114",
        "50119",
        "50120",
    ),
    *_refusals("exchange_insufficient_funds", "51008", "51119", "51127", "51131", "59103", "59200"),
    *_refusals("exchange_nothing_to_reduce", "51112", "51169", "51170", "51205"),
    *_refusals("exchange_would_trigger", "51277", "51278", "51279", "51280"),
    *_refusals("exchange_setting_locked", "59000", "59001", "59101"),
    *_refusals("exchange_leverage_invalid", "59102"),
    # "You can't complete this request under your current account mode": spot mode for a swap.
    *_refusals("exchange_account_mode", "51010"),
    *_refusals("exchange_position_mode_differs", "51000", message="posside"),
    Meaning("http 429", Kind.LIMITED, seconds=2),
)
