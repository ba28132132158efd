"""The instruments of each exchange, with the exchange's rules in base units."""

from dataclasses import dataclass, field
from decimal import Decimal

SPOT, FUTURES = "spot", "futures"


@dataclass
class Book:
    """One instrument on one exchange with its market.

    - `size`: the book's quantity at the price, in base units. None for no limit.
    - `depth`: its quantities for the next market orders, one by one. None for no limit. After the last one,
      `size` counts again.
    - `market_maximum`: the largest market order, in base units. None for `maximum`.
    - `market_value`: the largest value of a market order, in quote units. OKX has it on spot.
    - `high`, `low`: the extremes since the simulator began. Its tickers give them as those of 24 hours.
    """

    exchange: str
    market: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    minimum: Decimal
    maximum: Decimal
    notional: Decimal | None
    contract: Decimal
    taker: Decimal
    maker: Decimal
    last: Decimal
    size: Decimal | None = None
    depth: list[Decimal | None] = field(default_factory=list)
    market_maximum: Decimal | None = None
    market_value: Decimal | None = None
    high: Decimal = Decimal(0)
    low: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        self.high = self.low = self.last

    @property
    def name(self) -> str:
        return f"{self.base}{self.quote}"


# (base, price) and per exchange and market: tick, step, minimum quantity, minimum notional, contract size.
_PRICES = {"BTC": "50000", "ETH": "2500", "SOL": "100"}
_RULES = {
    ("binance", SPOT): {
        "BTC": "0.01 0.00001 0.00001 5 1",
        "ETH": "0.01 0.0001 0.0001 5 1",
        "SOL": "0.01 0.001 0.001 5 1",
    },
    ("binance", FUTURES): {
        "BTC": "0.1 0.001 0.001 100 1",
        "ETH": "0.01 0.001 0.001 20 1",
        "SOL": "0.01 0.01 0.01 5 1",
    },
    ("bybit", SPOT): {
        "BTC": "0.01 0.000001 0.000048 5 1",
        "ETH": "0.01 0.00001 0.00062 5 1",
        "SOL": "0.01 0.001 0.05 5 1",
    },
    ("bybit", FUTURES): {
        "BTC": "0.1 0.001 0.001 5 1",
        "ETH": "0.01 0.01 0.01 5 1",
        "SOL": "0.01 0.1 0.1 5 1",
    },
    ("okx", SPOT): {
        "BTC": "0.1 0.00000001 0.00001 0 1",
        "ETH": "0.01 0.000001 0.001 0 1",
        "SOL": "0.01 0.000001 0.01 0 1",
    },
    ("okx", FUTURES): {
        "BTC": "0.1 0.0001 0.0001 0 0.01",
        "ETH": "0.01 0.001 0.001 0 0.1",
        "SOL": "0.01 0.01 0.01 0 1",
    },
}
_FEES = {SPOT: ("0.001", "0.001"), FUTURES: ("0.0005", "0.0002")}


def books() -> dict[tuple[str, str, str], Book]:
    """Returns new instruments at their first prices, by exchange, market and name."""
    made = {}
    for (exchange, market), rules in _RULES.items():
        for base, rule in rules.items():
            tick, step, minimum, notional, contract = map(Decimal, rule.split())
            taker, maker = map(Decimal, _FEES[market])
            book = Book(
                exchange=exchange,
                market=market,
                base=base,
                quote="USDT",
                tick=tick,
                step=step,
                minimum=minimum,
                maximum=Decimal(9000),
                notional=notional or None,
                contract=contract,
                taker=taker,
                maker=maker,
                last=Decimal(_PRICES[base]),
            )
            made[exchange, market, book.name] = book
    return made
