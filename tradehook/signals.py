"""`tradehook send`: a test signal by each webhook."""

import os
from collections.abc import Mapping
from time import monotonic, sleep
from typing import Annotated, Any
from uuid import uuid4

import typer

from tradehook.client import Client, Failed, of

VARIANTS = ("legacy", "personal", "xc", "group", "batch", "cancel", "paper")

_ORDER = {"symbol": "symbol", "side": "action", "price": "price", "account": "account"}
_STRATEGY = {name: name for name in ("group_name", "exchange", "market_type", "symbol", "account")}
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "legacy": {**_ORDER, "market_type": "market_type"},
    "personal": {**_ORDER, "market_type": "market_type", "user": ""},
    "paper": {**_ORDER, "quantity": "qty"},
    "xc": {
        "side": "command",
        "exchange": "exchange",
        "symbol": "coinmarket",
        "quantity": "amount",
        "price": "price",
        "market_type": "market_type",
        "account": "account",
    },
    "group": {**_STRATEGY, "side": "side", "percent": "qty_per", "price": "price"},
    "batch": {**_STRATEGY, "side": "side", "percent": "qty_per", "price": "price"},
    "cancel": _STRATEGY,
}
"""The field that each option becomes, by variant. An option that a variant does not have is refused.

`user` goes into the path.
"""

_DEFAULTS = {
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.01",
    "percent": "5",
    "exchange": "binance",
    "market_type": "spot",
}
_OPTIONAL = {
    "cancel": frozenset(_STRATEGY) - {"group_name"},
    "xc": {"market_type"},
    "legacy": {"market_type"},
    "personal": {"market_type"},
}
"""Options without a default for a variant: a default filter would narrow a cancel."""

_WAITED_FOR = ("legacy", "personal", "xc")
_PAUSE_S = 0.5


def send(
    context: typer.Context,
    variant: Annotated[str, typer.Argument(help=", ".join(VARIANTS))],
    *,
    symbol: Annotated[str | None, typer.Option(help="Default: BTCUSDT; for cancel a filter.")] = None,
    side: Annotated[str | None, typer.Option(help="Default: buy.")] = None,
    price: Annotated[str | None, typer.Option(help="Quote per base; paper and batch need one.")] = None,
    quantity: Annotated[str | None, typer.Option(help="Base units, for paper and xc; default 0.01.")] = None,
    percent: Annotated[str | None, typer.Option(help="qty_per, for group and batch; default 5.")] = None,
    group_name: Annotated[str, typer.Option(envvar="TRADEHOOK_GROUP_NAME")] = "my_strategy",
    exchange: Annotated[
        str | None, typer.Option(help="For xc and group, default binance; for cancel a filter.")
    ] = None,
    market_type: Annotated[
        str | None, typer.Option(help="For group, default spot; for cancel a filter.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="An account's name.")] = None,
    user: Annotated[str, typer.Option(envvar="TRADEHOOK_DEMO_USER_ID", help="For personal.")] = "1",
    wait: Annotated[int, typer.Option(min=0, max=25, help="Seconds to wait for the result.")] = 10,
) -> None:
    """Sends a test signal and prints the answer.

    The webhook token is read from TRADEHOOK_WEBHOOK_TOKEN, else TRADEHOOK_GROUP_TOKEN or
    TRADEHOOK_PAPER_TOKEN, the code from TRADEHOOK_XC_CODE: a credential in the command would stay in the
    shell's history. legacy, personal and xc answer before the trade. With --wait, the result is then read
    with the API token, and a refusal exits with 1.
    """
    if variant not in VARIANTS:
        raise Failed({"error": f"variant must be one of: {', '.join(VARIANTS)}", "code": "invalid_choice"})
    options = {
        "symbol": symbol,
        "side": side,
        "price": price,
        "quantity": quantity,
        "percent": percent,
        "group_name": group_name,
        "exchange": exchange,
        "market_type": market_type,
        "account": account,
        "user": user,
    }
    given = {name for name in options if _is_given(context, name)}
    values = _fields(variant, options, given)
    outcome = variant in _WAITED_FOR and wait > 0 and _is_given(context, "wait")
    client = of(context)
    if outcome and not client.token:
        raise Failed(
            {
                "error": "--wait reads the outcome with an API token: set TRADEHOOK_ADMIN_TOKEN",
                "code": "token_missing",
            }
        )
    path = {"legacy": "/webhook", "personal": f"/personal/{user}/webhook", "xc": "/xc"}.get(
        variant, "/api/webhook"
    )
    query = {"wait": wait} if variant not in _WAITED_FOR else None
    answer = client.send("POST", path, _body(variant, values), _token(variant), query)
    client.output.record(_outcome(client, answer, wait) if outcome else answer)


def _is_given(context: typer.Context, name: str) -> bool:
    """Returns whether the command itself has an option, not the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _fields(variant: str, options: Mapping[str, str | None], given: set[str]) -> dict[str, str]:
    """Returns the fields of the body. Raises Failed for an option that the variant does not have."""
    known = _FIELDS[variant]
    for name in sorted(given - known.keys()):
        option = f"--{name.replace('_', '-')}"
        allowed = ", ".join(f"--{each.replace('_', '-')}" for each in known)
        raise Failed({"error": f"{variant} does not use {option}, only: {allowed}", "code": "unknown_field"})
    defaults = {name: value for name, value in _DEFAULTS.items() if name not in _OPTIONAL.get(variant, ())}
    found = {field: options[name] or defaults.get(name) for name, field in known.items() if field}
    return {field: value for field, value in found.items() if value is not None}


def _body(variant: str, values: dict[str, str]) -> Any:
    key = f"test-{uuid4().hex[:12]}"
    if variant == "xc":
        code = os.environ.get("TRADEHOOK_XC_CODE", "")
        fields = {"code": code, "strategy_id": "test", "demo": "YES", **values, "alert_id": key}
        return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
    body: dict[str, Any] = {**values, "alert_id": key}
    if variant in ("group", "batch"):
        body |= {"currency": "USDT", "order_type": "MARKET"}
    if variant == "cancel":
        body["order_type"] = "CANCEL_ALL_ORDER"
    if variant == "batch":
        if "price" not in values:
            raise Failed({"error": "batch places limit orders: give --price", "code": "missing_field"})
        leg = {name: body.pop(name) for name in ("price", "qty_per")}
        body |= {"order_type": "LIMIT", "orders": [leg] * 2}
    return body


def _quoted(value: str) -> str:
    """Returns a value of a connection string. Blanks or separators need quotes."""
    if not any(each.isspace() or each in ";&'\"" for each in value):
        return value
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}"


def _outcome(client: Client, answer: Mapping[str, Any], wait: int) -> dict[str, Any]:
    """Returns the result of an accepted signal. Raises Failed if it was refused or is late."""
    until = monotonic() + wait
    path = f"/signals/{answer['signal_id']}"
    while (signal := client("GET", path))["status"] != "settled":
        if monotonic() >= until:
            raise Failed(
                {"error": f"Accepted, but not settled after {wait} s; see {path}", "code": "not_settled"}
            )
        sleep(_PAUSE_S)
    refused = [leg for execution in signal["executions"] for leg in execution["refused"]]
    if refused:
        raise Failed(
            {"error": refused[0]["error"], "code": refused[0]["code"], "signal_id": signal["signal_id"]}
        )
    shown = ("order_id", "symbol", "side", "order_type", "status", "quantity", "filled", "average_price")
    orders = [{name: order[name] for name in shown} for order in signal["orders"]]
    return {"status": "settled", "signal_id": signal["signal_id"], "orders": orders}


def _token(variant: str) -> dict[str, str]:
    names = ["TRADEHOOK_WEBHOOK_TOKEN"]
    names += {"paper": ["TRADEHOOK_PAPER_TOKEN"], "xc": []}.get(
        variant, ["TRADEHOOK_GROUP_TOKEN"] if variant in VARIANTS[3:6] else []
    )
    token = (
        next((value for name in names if (value := os.environ.get(name))), None) if variant != "xc" else None
    )
    return {"X-Webhook-Token": token} if token else {}
