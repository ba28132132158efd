"""Builds the TradingView alert message for a strategy: one text per webhook variant.

TradingView fills `{{placeholders}}` when the alert fires, and re-sends the same text if the webhook does not
answer. An `alert_id` made of placeholders is therefore equal in a duplicate and different in the next alert.
`strategy.position_size` distinguishes two orders of the same second. Tokens and codes are not stored in
clear, so the user inserts them.
"""

import json
from typing import Any

from chalicelib import config
from chalicelib.strategies.models import Strategy
from chalicelib.users.models import AccountKind, shown_id

VARIANTS = ("group", "batch", "cancel", "paper", "legacy", "personal", "xc")
TOKEN = "YOUR_WEBHOOK_TOKEN"  # noqa: S105 - a placeholder for the user's token
CODE = "YOUR_XC_CODE"
_PERCENT = 5  # of the free balance; the owner raises it
_ID = "{{ticker}}-{{interval}}-{{timenow}}-{{strategy.order.action}}-{{strategy.position_size}}"
_POSITION = {
    "market_position": "{{strategy.market_position}}",
    "prev_market_position": "{{strategy.prev_market_position}}",
}
_SIZED = {
    "market_position": "{{strategy.market_position}}",
    "market_position_size": "{{strategy.market_position_size}}",
}
"""Bounds what a reversal opens.

On a reversal, the order's contracts are the sum of the old and the new position.
"""

__all__ = ["VARIANTS", "build"]


def build(
    strategy: Strategy, variant: str, exchange: str | None = None, market_type: str | None = None
) -> dict[str, Any]:
    """Returns a strategy's alert message.

    Args:
        variant: One of `VARIANTS`.
        exchange: The exchange to trade on. None takes that of the strategy's first active account.
        market_type: `spot` or `futures`. None takes that of the strategy's first active account.

    Returns:
        `url` and `text` for the two boxes of the alert; `message`, the text as JSON (null for xc); `fill_in`,
        the placeholders that the user must replace.
    """
    member = next((member for member in strategy.accounts.values() if member.active), None)
    exchange = exchange or (member.exchange if member else config.exchanges()[0])
    market_type = market_type or (member.market_types[0] if member else "spot")
    paper = next(
        (member.name for member in strategy.accounts.values() if member.kind is AccountKind.PAPER), None
    )
    path, message = _message(strategy, variant, exchange, market_type, paper)
    if variant == "xc":
        text = " ".join(f"{name}={value}" for name, value in message.items())
    else:
        text = json.dumps(message, indent=2, ensure_ascii=False)
    return {
        "variant": variant,
        "url": config.setting("PUBLIC_URL") + path,
        "text": text,
        "message": None if variant == "xc" else message,
        "fill_in": [word for word in (TOKEN, CODE) if word in text],
    }


def _message(
    strategy: Strategy, variant: str, exchange: str, market_type: str, paper: str | None
) -> tuple[str, dict[str, Any]]:
    alert_id = f"{strategy.group_name}-{_ID}"
    token: dict[str, Any] = {"token": TOKEN}
    order = {"symbol": "{{ticker}}", "action": "{{strategy.order.action}}", "price": "{{close}}"}
    timed = {"timenow": "{{timenow}}", "alert_id": alert_id}
    match variant:
        case "legacy":
            return "/webhook", order | token | timed
        case "personal":
            return f"/personal/{shown_id(strategy.user_id)}/webhook", order | token | timed
        case "xc":
            return "/xc", {
                "code": CODE,
                "strategy_id": f'"{strategy.group_name}"',
                "demo": "YES",
                "command": "{{strategy.order.action}}",
                "exchange": exchange,
                "coinmarket": "{{ticker}}",
                "amount": "{{strategy.order.contracts}}",
                **_SIZED,
                "alert_id": f'"{alert_id}"',
            }
        case "paper":
            traded = {
                "ticker": "{{ticker}}",
                "action": "{{strategy.order.action}}",
                "contracts": "{{strategy.order.contracts}}",
            }
            return "/api/webhook", traded | {"price": "{{close}}"} | (
                {"account": paper} if paper else {}
            ) | token | timed
        case "cancel":
            return "/api/webhook", {
                "group_name": strategy.group_name,
                **token,
                "order_type": "CANCEL_ALL_ORDER",
                "symbol": "{{ticker}}",
                **timed,
            }
        case _:
            return "/api/webhook", _group(
                strategy, exchange, market_type, batch=variant == "batch"
            ) | token | timed


def _group(strategy: Strategy, exchange: str, market_type: str, *, batch: bool) -> dict[str, Any]:
    shared = {
        "group_name": strategy.group_name,
        "exchange": exchange.upper(),
        "market_type": market_type.upper(),
        "currency": "USDT",
        "symbol": "{{ticker}}",
        "side": "{{strategy.order.action}}",
        **(_POSITION if strategy.resync else {}),
    }
    if batch:
        return shared | {
            "order_type": "LIMIT",
            "orders": [
                {"price": "{{close}}", "qty_per": _PERCENT},
                {"price": "{{low}}", "qty_per": _PERCENT},
            ],
        }
    return shared | {"order_type": "MARKET", "qty_per": _PERCENT}
