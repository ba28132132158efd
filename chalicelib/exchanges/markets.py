"""Market metadata: fetched on schedule, stored as plain JSON, read on the order path without a request.

A stored market is a dict of strings under the instrument's name (`BTCUSDT`), per exchange and market type.
Quantities are base units, also if the exchange counts contracts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from chalicelib.errors import Misconfigured, NotDoable
from chalicelib.exchanges.protocol import Instrument
from chalicelib.exchanges.wire import decimal, text
from chalicelib.trading import MarketType

StoredMarket = Mapping[str, Any]

# ccxt's names of the two forms of a market's precision: the step itself, or a number of decimals.
_DECIMAL_PLACES, _SIGNIFICANT_DIGITS = 2, 3


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument as an exchange lists it.

    Attributes:
        market_id: The exchange's name, `BTC-USDT-SWAP`.
        symbol: ccxt's name, `BTC/USDT:USDT`.
        active: Whether the instrument is traded now.
        ccxt: ccxt's own market, for exchanges used through its unified methods.
    """

    instrument: Instrument
    market_id: str
    symbol: str
    active: bool = True
    ccxt: StoredMarket | None = None

    @property
    def contract_size(self) -> Decimal:
        """Base units per unit of the exchange. 1 if the exchange counts base units."""
        return self.instrument.contract_size or Decimal(1)


class MarketLookup(Protocol):
    """Stored markets by instrument name: a dict, or a table of which single items are read."""

    def get(self, name: str, /) -> StoredMarket | None:
        """Returns a stored market. None if the exchange lists no such instrument."""


class Listings:
    """The stored markets of one exchange and market type, by instrument name.

    Args:
        stored: The stored markets. Only requested names are read.
    """

    def __init__(self, market_type: MarketType, stored: MarketLookup) -> None:
        self._market_type = market_type
        self._stored = stored

    def of(self, base: str, quote: str) -> Listing:
        """Returns the listing of a trading pair.

        Raises:
            NotDoable: `symbol_unknown`.
        """
        listing = self.get(f"{base}{quote}")
        if listing is None:
            raise NotDoable("symbol_unknown", symbol=f"{base}{quote}", market_type=self._market_type.value)
        return listing

    def get(self, name: str) -> Listing | None:
        """Returns the listing of an instrument by its name. None if there is none."""
        stored = self._stored.get(name)
        return None if stored is None else market_from_item(self._market_type, stored)


def market_from_item(market_type: MarketType, stored: StoredMarket) -> Listing:
    """Returns a listing from its stored form."""
    instrument = Instrument(
        name=stored["name"],
        base=stored["base"],
        quote=stored["quote"],
        market_type=market_type,
        price_tick=Decimal(stored["price_tick"]),
        quantity_step=Decimal(stored["quantity_step"]),
        minimum_quantity=decimal(stored.get("minimum_quantity")),
        maximum_quantity=decimal(stored.get("maximum_quantity")),
        minimum_notional=decimal(stored.get("minimum_notional")),
        contract_size=decimal(stored.get("contract_size")),
        maximum_market_quantity=decimal(stored.get("maximum_market_quantity")),
        maximum_market_value=decimal(stored.get("maximum_market_value")),
    )
    return Listing(
        instrument, stored["market_id"], stored["symbol"], stored.get("active", True), stored.get("ccxt")
    )


def market_items(client: Any, market_type: MarketType, *, whole: bool = False) -> dict[str, dict[str, Any]]:
    """Returns ccxt's loaded markets of one type in their stored form, by name.

    Of perpetuals, only those settled in their quote currency.

    Args:
        whole: Whether to keep ccxt's own market too, for exchanges used through its unified methods.
    """
    stored = {}
    for market in client.markets.values():
        wanted = (
            market["spot"]
            if market_type is MarketType.SPOT
            else market["swap"] and market["linear"] and market["settle"] == market["quote"]
        )
        if wanted and market["precision"]["price"] is not None and market["precision"]["amount"] is not None:
            one = _market_item(client.precisionMode, market)
            if whole:
                one["ccxt"] = dict(market)
            stored[one["name"]] = one
    return stored


def _market_item(precision_mode: int, market: Mapping[str, Any]) -> dict[str, Any]:
    size = decimal(market["contractSize"]) if market["contract"] else None
    factor = size or Decimal(1)
    limits = market["limits"]

    def base_units(value: Any) -> str | None:
        number = decimal(value)
        return None if not number else text(number * factor)

    notional = decimal(limits["cost"]["min"])
    market_quantity, market_value = _market_maximum(market)
    return {
        "name": f"{market['baseId']}{market['quoteId']}",
        "base": market["baseId"],
        "quote": market["quoteId"],
        "market_id": market["id"],
        "symbol": market["symbol"],
        "active": market["active"] is not False,
        "price_tick": text(_step(precision_mode, market["precision"]["price"])),
        "quantity_step": text(_step(precision_mode, market["precision"]["amount"]) * factor),
        "minimum_quantity": base_units(limits["amount"]["min"]),
        "maximum_quantity": base_units(limits["amount"]["max"]),
        "minimum_notional": None if not notional else text(notional),
        "contract_size": None if size is None else text(size),
        "maximum_market_quantity": base_units(market_quantity),
        "maximum_market_value": None if not market_value else text(market_value),
    }


def _market_maximum(market: Mapping[str, Any]) -> tuple[Any, Decimal | None]:
    """Returns the largest market order: in the exchange's own units, and in quote units.

    None for a limit that the exchange does not report.

    For Binance, ccxt takes it from the filter MARKET_LOT_SIZE. For others only the raw reply has it:

    - Bybit `maxMktOrderQty` ("Get Instruments Info"). Spot sends it as `maxMarketOrderQty`.
    - OKX `maxMktSz` ("Get instruments"). It counts contracts, but USDT on spot, where `maxMktAmt` also limits
      the value in USD.
    """
    info = market.get("info") or {}
    lot = info.get("lotSizeFilter") or {}
    quantity = (
        (market["limits"].get("market") or {}).get("max")
        or lot.get("maxMktOrderQty")
        or lot.get("maxMarketOrderQty")
    )
    if market["contract"]:
        return quantity or info.get("maxMktSz"), None
    values = [value for value in (decimal(info.get("maxMktSz")), decimal(info.get("maxMktAmt"))) if value]
    return quantity, min(values, default=None)


def _step(precision_mode: int, precision: Any) -> Decimal:
    if precision_mode == _SIGNIFICANT_DIGITS:
        raise Misconfigured("this exchange rounds to significant digits, which has no fixed step")
    if precision_mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(precision))
    return Decimal(precision)
