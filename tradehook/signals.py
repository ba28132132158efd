"""`tradehook send`: a test signal by each webhook."""

import os
from typing import Annotated, Any
from uuid import uuid4

import typer

from tradehook.client import Failed, of

VARIANTS = ("legacy", "personal", "xc", "group", "batch", "cancel", "paper")


def send(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help=", ".join(VARIANTS))],
    *,
    symbol: str = "BTCUSDT",
    side: str = "buy",
    price: Annotated[str | None, typer.Option(help="Quote per base; paper needs one.")] = None,
    quantity: Annotated[str, typer.Option(help="Base units, for paper and xc.")] = "0.01",
    percent: Annotated[str, typer.Option(help="qty_per, for group and batch.")] = "5",
    group_name: Annotated[str, typer.Option(envvar="TRADEHOOK_GROUP_NAME")] = "my_strategy",
    exchange: str = "binance",
    market_type: str = "spot",
    account: Annotated[str | None, typer.Option(help="A paper account's name.")] = None,
    user: Annotated[str, typer.Option(envvar="TRADEHOOK_DEMO_USER_ID", help="For personal.")] = "1",
    wait: Annotated[int, typer.Option(min=0, max=25, help="Seconds to wait for the result.")] = 10,
) -> None:
    """Sends a test signal and prints the answer.

    The webhook token is read from TRADEHOOK_WEBHOOK_TOKEN, else TRADEHOOK_GROUP_TOKEN or TRADEHOOK_PAPER_TOKEN, the code from
    TRADEHOOK_XC_CODE: a credential given as a word would stay in the shell's history.
    """
    if variant not in VARIANTS:
        raise Failed({"error": f"variant must be one of: {', '.join(VARIANTS)}", "code": "invalid_choice"})
    order = {"symbol": symbol, "action": side} | ({"price": price} if price else {})
    group = {"group_name": group_name, "exchange": exchange, "market_type": market_type, "currency": "USDT", "symbol": symbol, "side": side}
    bodies: dict[str, tuple[str, Any]] = {
        "legacy": ("/webhook", order),
        "personal": (f"/personal/{user}/webhook", order),
        "paper": ("/api/webhook", order | {"qty": quantity} | ({"account": account} if account else {})),
        "group": ("/api/webhook", group | {"order_type": "MARKET", "qty_per": percent}),
        "batch": ("/api/webhook", group | {"order_type": "LIMIT", "orders": [{"price": price, "qty_per": percent}] * 2}),
        "cancel": ("/api/webhook", {"group_name": group_name, "order_type": "CANCEL_ALL_ORDER"}),
        "xc": ("/xc", _connection_string(side, exchange, symbol, quantity)),
    }
    path, body = bodies[variant]
    if isinstance(body, dict):
        body = body | {"alert_id": f"test-{uuid4().hex[:12]}"}
    client = of(context)
    client.output.record(client.send("POST", path, body, _token(variant), {"wait": wait}))


def _connection_string(side: str, exchange: str, symbol: str, quantity: str) -> str:
    code = os.environ.get("TRADEHOOK_XC_CODE", "")
    words = f"code={code} strategy_id=test demo=YES command={side} exchange={exchange} coinmarket={symbol} amount={quantity}"
    return f"{words} alert_id=test-{uuid4().hex[:12]}"


def _token(variant: str) -> dict[str, str]:
    names = ["TRADEHOOK_WEBHOOK_TOKEN"]
    names += {"paper": ["TRADEHOOK_PAPER_TOKEN"], "xc": []}.get(variant, ["TRADEHOOK_GROUP_TOKEN"] if variant in VARIANTS[3:6] else [])
    token = next((value for name in names if (value := os.environ.get(name))), None) if variant != "xc" else None
    return {"X-Webhook-Token": token} if token else {}
