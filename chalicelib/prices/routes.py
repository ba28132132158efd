"""The routes that set and list the prices at which paper orders fill.

A user's prices apply to that user only, an admin's to all users.
"""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, model_validator

from chalicelib import aws, config, inputs, paging, symbols
from chalicelib.audit import record
from chalicelib.errors import NotDoable, Refused
from chalicelib.http import Answer, Request, Route
from chalicelib.inputs import Input, Money, UserId
from chalicelib.prices import store as prices
from chalicelib.trading import MarketType
from chalicelib.users.access import Caller, caller
from chalicelib.users.models import Role, shown_id

_MOST = 50
Price = Annotated[Money, Field(gt=0)]


class NewPrice(Input):
    """A price of a symbol, quote per base."""

    symbol: Annotated[str, Field(min_length=1, max_length=64)]
    price: Price


class NewPrices(Input):
    """One price, or a list under `prices`. With `user_id`, an admin sets them for that user only."""

    symbol: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    price: Price | None = None
    prices: Annotated[tuple[NewPrice, ...], Field(max_length=_MOST)] = ()
    user_id: UserId | None = None

    @model_validator(mode="after")
    def _has_one(self) -> "NewPrices":
        for name in ("symbol", "price"):
            if getattr(self, name) is None and (not self.prices or self.symbol or self.price):
                raise Refused("missing_field", field=name)
        return self


def post_prices(request: Request) -> Answer:
    """Sets market prices, applies them to waiting paper orders and pushes them to price subscribers."""
    who = caller(request)
    if request.body.lstrip()[:1] == b"[":
        request = replace(request, body=b'{"prices":' + request.body + b"}")
    body = inputs.body(request, NewPrices)
    user_id = _price_owner(who, None if body.user_id is None else str(body.user_id))
    one = [NewPrice(symbol=body.symbol, price=body.price)] if body.symbol and body.price else []
    named = {symbols.resolve(each.symbol).name: each.price for each in (*body.prices, *one)}
    now, scope = datetime.now(UTC), f"user#{user_id}" if user_id else prices.EVERYBODY
    stored = []
    change = record.Change(
        who.user_id, "prices.reported", f"prices#{scope}", user_id, now, after={"symbols": sorted(named)}
    )
    writes = [prices.price_write(symbol, scope, price, now) for symbol, price in named.items()]
    aws.transact([*writes, record.write(change)])
    for symbol, price in named.items():
        accounts = prices.queue_price_updates(symbol, price, user_id, uuid.uuid4().hex, now)
        prices.push_price(symbol, price, user_id)
        stored.append(
            {
                "symbol": symbol,
                "price": price,
                "scope": _scope(scope),
                "at": now,
                "waiting_accounts": accounts,
            }
        )
    return Answer(201, {"items": stored, "total": len(stored), "next": None})


def list_prices(request: Request) -> Answer:
    """Returns the last known prices by symbol.

    Returns the caller's own prices, or with `?scope=everybody` those for all users.
    """
    who, page = caller(request), paging.page_request(request)
    everybody = inputs.choice(request, "scope", ("own", prices.EVERYBODY)) == prices.EVERYBODY
    scope = prices.EVERYBODY if everybody else f"user#{who.whose(request)}"
    condition, values = "#scope = :scope", {"scope": scope}
    if wanted := request.query.get("symbol"):
        condition, values = (
            f"{condition} AND symbol = :symbol",
            values | {"symbol": symbols.resolve(wanted).name},
        )
    return paging.answer("prices", condition, page, _view, index="by_scope", **values)


def get_price(request: Request) -> Answer:
    """The price that a simulated account would trade a symbol at now, and where it comes from.

    The order is that of execution: the live price while it is fresh, else the newest of the user's own and
    everybody's.

    Raises:
        NotDoable: `no_price`.
    """
    user_id = caller(request).whose(request)
    wanted = request.query.get("symbol")
    if not wanted:
        raise Refused("missing_field", field="symbol")
    market_type = MarketType(inputs.choice(request, "market_type", tuple(MarketType)) or MarketType.SPOT)
    exchange = inputs.choice(request, "exchange", ("paper", *config.exchanges())) or "paper"
    symbol = symbols.resolve(wanted, market_type, paper=exchange == "paper").name
    now = datetime.now(UTC)
    key = (symbol, exchange, market_type)
    shown: dict[str, Any] = {"symbol": symbol, "exchange": exchange, "market_type": market_type.value}
    if live := prices.fresh_live_prices([key], now).get(key):
        more = {"price": live.price, "source": "live", "at": live.at, "ticker_of": live.source}
        return Answer(200, shown | more)
    seen = prices.latest([symbol], user_id).get(symbol)
    if seen is None:
        raise NotDoable("no_price", symbol=symbol)
    source = prices.EVERYBODY if seen["scope"] == prices.EVERYBODY else "user"
    return Answer(
        200, shown | {"price": seen["price"], "source": source, "at": seen["at"], "ticker_of": None}
    )


def _price_owner(who: Caller, named: str | None) -> str | None:
    """Returns the user whose prices are set. None means all users."""
    if named is not None and named != who.user_id:
        who.require_admin()
    if who.role is Role.ADMIN:
        return named
    return who.user_id


def _view(item: aws.Item) -> dict[str, Any]:
    return {
        "symbol": item["symbol"],
        "price": item["price"],
        "scope": _scope(item["scope"]),
        "at": item["at"],
    }


def _scope(scope: str) -> str | int | None:
    """Returns `everybody` or the user's id, as shown."""
    return scope if scope == prices.EVERYBODY else shown_id(scope.removeprefix("user#"))


PRICES = [
    Route("GET", "/prices", get_price),
    Route("GET", "/paper/prices", list_prices),
    Route("POST", "/paper/prices", post_prices),
]
