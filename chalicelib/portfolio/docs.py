"""OpenAPI documentation of the routes for positions and prices."""

from chalicelib.openapi.docs import OWNER, Docs, listing
from chalicelib.openapi.examples import ACCOUNT_ID, AT
from chalicelib.openapi.schemas import ID, NUMBER, TEXT, TIME, WHOLE, listed, maybe, obj, one_of, page
from chalicelib.portfolio.positions_routes import CloseInput
from chalicelib.prices.routes import NewPrices

_POSITION = obj(
    account_id=ID,
    account_name=TEXT,
    exchange=TEXT,
    kind=TEXT,
    symbol=TEXT,
    market_type=one_of("spot", "futures"),
    side=one_of("long", "short"),
    quantity=NUMBER,
    entry_price=maybe(NUMBER),
    price=maybe(NUMBER),
    price_at=maybe(TIME),
    value=maybe(NUMBER),
    unrealized_pnl=maybe(NUMBER),
    currency=TEXT,
    leverage=maybe(NUMBER),
    margin=maybe(NUMBER),
    as_of=maybe(TIME),
)
_position = {
    "account_id": ACCOUNT_ID,
    "account_name": "策略A",
    "exchange": "paper",
    "kind": "paper",
    "symbol": "AAPL",
    "market_type": "spot",
    "side": "long",
    "quantity": 100,
    "entry_price": 185.59,
    "price": 190,
    "price_at": AT,
    "value": 19000,
    "unrealized_pnl": 441,
    "currency": "USD",
    "leverage": None,
    "margin": None,
    "as_of": None,
}
_PRICE = obj({"waiting_accounts": WHOLE}, symbol=TEXT, price=NUMBER, scope=ID, at=TIME)
_price = {"symbol": "BTCUSDT", "price": 95000, "scope": "everybody", "at": AT}

_SOURCED_PRICE = obj(
    symbol=TEXT,
    exchange=TEXT,
    market_type=one_of("spot", "futures"),
    price=NUMBER,
    source=one_of("live", "user", "everybody"),
    ticker_of=maybe(TEXT),
    at=TIME,
)
_sourced_price = {
    "symbol": "BTCUSDT",
    "exchange": "paper",
    "market_type": "spot",
    "price": 95000,
    "source": "live",
    "ticker_of": "binance",
    "at": AT,
}

DOCS = {
    "GET /positions": Docs(
        page(_POSITION), listing(_position), query={**OWNER, "account_id": ID}, paged=True
    ),
    "POST /positions/close": Docs(
        obj(status=one_of("accepted"), accounts=listed(obj(account_id=ID, exchange=TEXT))),
        {"status": "accepted", "accounts": [{"account_id": ACCOUNT_ID, "exchange": "paper"}]},
        202,
        CloseInput,
        {"account_id": ACCOUNT_ID, "symbol": "BTCUSDT"},
        {"strategy": {"strategy_id": 1}, "user": {"user_id": 123456789}},
        errors=(404, 422),
    ),
    "GET /accounts/{account_id}/equity": Docs(
        page(obj(at=TIME, equity=NUMBER)),
        listing({"at": AT, "equity": 100_441}),
        query={"since": TIME},
        paged=True,
        errors=(404,),
    ),
    "GET /prices": Docs(
        _SOURCED_PRICE,
        _sourced_price,
        query={**OWNER, "symbol": TEXT, "exchange": TEXT, "market_type": one_of("spot", "futures")},
        errors=(404, 422),
    ),
    "GET /paper/prices": Docs(
        page(_PRICE),
        listing(_price),
        query={**OWNER, "scope": one_of("own", "everybody"), "symbol": TEXT},
        paged=True,
    ),
    "POST /paper/prices": Docs(
        page(_PRICE),
        listing(_price | {"waiting_accounts": 1}),
        201,
        NewPrices,
        {"symbol": "BTCUSDT", "price": 95000},
        {
            "several": {
                "prices": [{"symbol": "BTCUSDT", "price": 95000}, {"symbol": "AAPL", "price": "185.50"}]
            }
        },
        errors=(404,),
    ),
}
