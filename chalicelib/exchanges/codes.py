"""What each exchange's codes mean, from its own documentation and from trying. The first row that applies counts.

Only codes that say for certain what happened are here; one that is missing leaves an order's outcome unknown. Missing on purpose, since
they say that nobody knows: Binance -1000, -1001, -1006, -1007; Bybit 10000, 10016, 3400214, 170146; OKX 50001, 50004, 51054, 51149.
"""

from chalicelib.exchanges.outcomes import Kind, Meaning


def _all(kind: Kind, *codes: str) -> tuple[Meaning, ...]:
    return tuple(Meaning(code, kind) for code in codes)


def _refused(ours: str, *codes: str, message: str = "") -> tuple[Meaning, ...]:
    return tuple(Meaning(code, Kind.REFUSED, ours, message) for code in codes)


BINANCE = (
    # The code counts first: -1015 comes with HTTP 429 and concerns the account, a bare 429 or 418 the address.
    Meaning("-1015", Kind.LIMITED, seconds=10),
    Meaning("-1003", Kind.LIMITED, seconds=60, scope="address"),
    Meaning("http 429", Kind.LIMITED, seconds=60, scope="address"),
    Meaning("http 418", Kind.LIMITED, seconds=120, scope="address"),
    Meaning("http 403", Kind.LIMITED, seconds=300, scope="address"),
    # From a country Binance does not serve.
    Meaning("http 451", Kind.REFUSED),
    # The clock; the system overloaded.
    *_all(Kind.PASSING, "-1021", "-1008"),
    # One code for every rejection of a spot order, told apart by the message.
    Meaning("-2010", Kind.DUPLICATE, message="duplicate order"),
    *_refused("exchange_insufficient_funds", "-2010", message="insufficient balance"),
    *_refused("exchange_would_trigger", "-2010", message="trigger immediately"),
    *_refused("exchange_would_take", "-2010", message="match and take"),
    *_all(Kind.DUPLICATE, "-4116"),
    *_all(Kind.ABSENT, "-2011", "-2013"),
    *_all(Kind.ALREADY, "-4046", "-4059"),
    *_refused("exchange_insufficient_funds", "-2018", "-2019"),
    *_refused("exchange_would_trigger", "-2021"),
    *_refused("exchange_would_take", "-5022"),
    *_refused("exchange_nothing_to_reduce", "-2022"),
    *_refused("exchange_key_rejected", "-1002", "-1022", "-2008", "-2014", "-2015"),
    *_refused("exchange_setting_locked", "-4047", "-4048", "-4067", "-4068"),
    *_refused("exchange_leverage_invalid", "-4028"),
    *_refused("exchange_position_mode_differs", "-4061"),
    # Malformed, or against a filter: looked at and turned away.
    *_refused("exchange_refused", "-1013", "-1100", "-1101", "-1102", "-1104", "-1106", "-1111", "-1116", "-1117", "-1121", "-2010"),
    *_refused("exchange_refused", "-2020", "-2027", "-4003", "-4005", "-4014", "-4016", "-4024", "-4120", "-4131", "-4164"),
)

BYBIT = (
    Meaning("10006", Kind.LIMITED, seconds=1),
    Meaning("10018", Kind.LIMITED, seconds=60, scope="address"),
    Meaning("10429", Kind.LIMITED, seconds=1),
    Meaning("10009", Kind.LIMITED, seconds=600, scope="address"),
    *_all(Kind.PASSING, "10002"),
    *_all(Kind.DUPLICATE, "110072", "170141"),
    *_all(Kind.ABSENT, "110001", "110008", "110010", "170213", "170142"),
    *_all(Kind.ALREADY, "110025", "110026", "110043"),
    *_refused("exchange_key_rejected", "10003", "10004", "10005", "10007", "10010", "33004"),
    *_refused("exchange_insufficient_funds", "110004", "110006", "110007", "110012", "110014", "110044", "110045", "110052"),
    *_refused("exchange_insufficient_funds", "170131", "170033"),
    *_refused("exchange_nothing_to_reduce", "110017"),
    *_refused("exchange_would_trigger", "110092", "110093"),
    *_refused("exchange_would_take", "170218"),
    *_refused("exchange_setting_locked", "110024", "110028", "3400045"),
    *_refused("exchange_leverage_invalid", "110013"),
    *_refused("exchange_position_mode_differs", "10001", message="position idx"),
    *_refused(
        "exchange_refused",
        "10001",
        "10024",
        "110003",
        "110009",
        "110020",
        "110021",
        "110094",
        "170121",
        "170124",
        "170130",
        "170132",
        "170133",
    ),
    *_refused("exchange_refused", "170134", "170135", "170136", "170137", "170140", "170193", "170194"),
    # Without a code of Bybit's. "403, access too frequent": the address is banned for ten minutes.
    Meaning("http 429", Kind.LIMITED, seconds=1),
    Meaning("http 403", Kind.LIMITED, seconds=600, scope="address"),
)

OKX = (
    Meaning("50011", Kind.LIMITED, seconds=2),
    Meaning("50061", Kind.LIMITED, seconds=2),
    Meaning("51113", Kind.LIMITED, seconds=2),
    # The clock; past the request's own expiry.
    *_all(Kind.PASSING, "50036", "50037", "50102", "50112"),
    *_all(Kind.DUPLICATE, "50071", "51016", "51065"),
    *_all(Kind.ABSENT, "51400", "51401", "51402", "51410", "51603"),
    *_refused("exchange_key_rejected", "50100", "50101", "50103", "50104", "50105", "50110", "50111", "50113", "50114", "50119", "50120"),
    *_refused("exchange_insufficient_funds", "51008", "51119", "51127", "51131", "59103", "59200"),
    *_refused("exchange_nothing_to_reduce", "51112", "51169", "51170", "51205"),
    *_refused("exchange_would_trigger", "51277", "51278", "51279", "51280"),
    *_refused("exchange_setting_locked", "59000", "59001", "59101"),
    *_refused("exchange_leverage_invalid", "59102"),
    *_refused("exchange_position_mode_differs", "51010"),
    *_refused("exchange_position_mode_differs", "51000", message="posside"),
    *_refused("exchange_refused", "50014", "51000", "51001", "51004", "51005", "51006", "51020", "51021", "51024", "51028", "51121"),
    *_refused("exchange_refused", "51155", "51201", "51202", "51203", "51250", "51251", "51252"),
    Meaning("http 429", Kind.LIMITED, seconds=2),
)
