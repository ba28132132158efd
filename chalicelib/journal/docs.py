"""OpenAPI documentation of the journal's routes."""

from chalicelib.journal.figures import PERCENTILES
from chalicelib.journal.models import Trade
from chalicelib.openapi.docs import OWNER, Docs, listing
from chalicelib.openapi.examples import ACCOUNT_ID, AT, SIGNAL_ID, USER_ID
from chalicelib.openapi.schemas import (
    FLAG,
    ID,
    NUMBER,
    TEXT,
    TIME,
    WHOLE,
    listed,
    maybe,
    obj,
    one_of,
    page,
    record,
)

_TRADE = record(
    Trade,
    account_id=ID,
    user_id=ID,
    other_fees=listed(obj(currency=TEXT, amount=maybe(NUMBER))),
)
_trade = {
    "trade_id": "5c7e9a3f0d1b48c2a6e4f8901b2c3d4e",
    "user_id": USER_ID,
    "account_id": ACCOUNT_ID,
    "exchange": "paper",
    "market_type": "spot",
    "symbol": "AAPL",
    "strategy": None,
    "side": "long",
    "quantity": 100,
    "entry_price": 185.59,
    "exit_price": 189.9,
    "fees": 37.55,
    "other_fees": [],
    "gross_profit": 431,
    "net_profit": 393.45,
    "currency": "USD",
    "slippage_bps": 5.06,
    "order_id": f"{SIGNAL_ID}-{ACCOUNT_ID}-0",
    "opened_at": AT,
    "closed_at": AT,
}
_MAYBE = maybe(NUMBER)
_ROW = obj(
    {
        "strategy": maybe(TEXT),
        "account_id": ID,
        "symbol": TEXT,
        "user_id": ID,
        "days": listed(obj({"day": TEXT, "trades": WHOLE, "net_profit": NUMBER})),
    },
    **{"currency": TEXT, "from": TEXT, "to": TEXT},
    **dict.fromkeys(("trades", "wins", "losses"), WHOLE),
    **dict.fromkeys(("win_rate", "profit_factor", "expectancy"), _MAYBE),
    **dict.fromkeys(("gross_profit", "fees", "net_profit"), NUMBER),
    **dict.fromkeys(("average_win", "average_loss"), _MAYBE),
    **dict.fromkeys(("largest_win", "largest_loss", "max_drawdown"), NUMBER),
    drawdown_days=WHOLE,
    sharpe=_MAYBE,
    sortino=_MAYBE,
    **dict.fromkeys(("longest_win_streak", "longest_loss_streak", "current_streak"), WHOLE),
    average_duration_s=_MAYBE,
    average_slippage_bps=_MAYBE,
    **{f"slippage_p{each}_bps": _MAYBE for each in PERCENTILES},
)
_row = {
    "strategy": "strategy-a",
    "currency": "USD",
    "from": "2026-01-01",
    "to": "2026-01-31",
    "trades": 3,
    "wins": 2,
    "losses": 1,
    "win_rate": 0.666666666667,
    "profit_factor": 3,
    "expectancy": 66.666666666667,
    "gross_profit": 230,
    "fees": 30,
    "net_profit": 200,
    "average_win": 150,
    "average_loss": 100,
    "largest_win": 200,
    "largest_loss": 100,
    "max_drawdown": 100,
    "drawdown_days": 2,
    "sharpe": None,
    "sortino": None,
    "longest_win_streak": 1,
    "longest_loss_streak": 1,
    "current_streak": 1,
    "average_duration_s": 5400,
    "average_slippage_bps": 4.9,
    "slippage_p50_bps": 5.06,
    "slippage_p90_bps": 7.3,
    "slippage_p99_bps": 7.3,
}
PERIOD = {
    "from": {**TIME, "description": "Trades closed at or after this time"},
    "to": {**TIME, "description": "Trades closed at or before this time"},
}

DOCS = {
    "GET /trades": Docs(
        page(_TRADE),
        listing(_trade),
        query={**OWNER, "account_id": ID, "strategy": TEXT, "symbol": TEXT, **PERIOD},
        paged=True,
    ),
    "GET /performance": Docs(
        page(_ROW),
        listing(_row),
        query={
            **OWNER,
            "by": {**one_of("strategy", "account", "symbol", "user"), "default": "strategy"},
            "from": {**TIME, "description": "The first day, in UTC"},
            "to": {**TIME, "description": "The last day, in UTC"},
            "capital": {**NUMBER, "description": "What was there before the first day, for the ratios"},
            "days": {**FLAG, "description": "Also each day's result"},
        },
    ),
}
