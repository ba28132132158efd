"""Market metadata: fetched by schedule, stored as plain JSON, read on the order path without a call.

A stored market is a dict of strings, kept under the instrument's name (`BTCUSDT`) per exchange and market
type. Quantities are base units, whatever the exchange counts in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chalicelib.errors import Misconfigured, NotDoable
from chalicelib.exchanges.protocol import Instrument
from chalicelib.exchanges.wire import decimal, text
from chalicelib.trading import MarketType

StoredMarket = Mapping[str, Any]

# ccxt's names of the ways a market's precision is written: as the step itself, or as a number of decimals.
_DECIMAL_PLACES, _SIGNIFICANT_DIGITS = 2, 3


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument as an exchange lists it.

    Attributes:
        market_id: The exchange's name, `BTC-USDT-SWAP`.
        symbol: ccxt's name, `BTC/USDT:USDT`.
        active: It is traded now.
        ccxt: ccxt's own market, for exchanges reached through its unified methods.
    """

    instrument: Instrument
    market_id: str
    symbol: str
    active: bool = True
    ccxt: StoredMarket | None = None

    @property
    def contract_size(self) -> Decimal:
        """Base units per unit the exchange counts in; 1 where it counts base units."""
        return self.instrument.contract_size or Decimal(1)


class Listings:
    """The stored markets of one exchange and market type, by instrument name.

    Args:
        stored: Any mapping will do, one that reads from a table included; only the names asked for are read.
    """

    def __init__(self, market_type: MarketType, stored: Mapping[str, StoredMarket]) -> None:
        self._market_type = market_type
        self._stored = stored

    def of(self, base: str, quote: str) -> Listing:
        """The listing of a pair. Raises NotDoable `symbol_unknown`."""
        listing = self.get(f"{base}{quote}")
        if listing is None:
            raise NotDoable("symbol_unknown", symbol=f"{base}{quote}", market_type=self._market_type.value)
        return listing

    def get(self, name: str) -> Listing | None:
        """The listing of an instrument by its name, None if there is none."""
        stored = self._stored.get(name)
        return None if stored is None else market_from_item(self._market_type, stored)


def market_from_item(market_type: MarketType, stored: StoredMarket) -> Listing:
    """A listing from its stored form."""
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
    """The stored form of every market a ccxt exchange has loaded that is spot, or a perpetual settled in its quote currency.

    Args:
        whole: Keep ccxt's own market too, for exchanges reached through its unified methods.
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
    """The largest order at market: in the exchange's own units, and in quote units.

    None for what it does not say.

    ccxt has Binance's from the filter MARKET_LOT_SIZE. Of the others only the reply itself has it: Bybit
    `maxMktOrderQty` ("Get Instruments Info"; spot sends it as `maxMarketOrderQty`), OKX `maxMktSz` ("Get
    instruments"). The latter counts contracts, but USDT on spot, where `maxMktAmt` limits the value in USD as
    well.
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
