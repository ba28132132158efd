"""The commands that are one call of the API each: a table, and the commands made from it.

A new route needs one line here. Words of the form field=value become the body of a change, and the query of
anything else.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tradehook.client import fields, of
from tradehook.users import Fields

Most = Annotated[int, typer.Option(min=1, help="The most records to show.")]


@dataclass(frozen=True, slots=True)
class Verb:
    """One command.

    Attributes:
        operation: Method and path. Each variable of the path becomes an argument.
        columns: The table's columns of a list. Empty for one record.
        query: Fields that go into the query of a change.
        is_open: The route asks for no token.
        is_whole: The list comes whole, not in pages.
    """

    noun: str
    verb: str
    operation: str
    help: str
    columns: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    is_open: bool = False
    is_whole: bool = False


_SIGNAL = ("received_at", "signal_id", "variant", "symbol", "action", "outcome", "code")
_ORDER = ("order_id", "symbol", "side", "order_type", "status", "quantity", "filled", "average_price")
_MONEY = ("user_id", "amount", "currency", "status", "description", "created_at")
_DELIVERY = ("id", "event_type", "status", "state", "attempt_number", "next_retry_at")
NOUNS = {
    "signals": "Accepted signals and their traces.",
    "orders": "Orders.",
    "positions": "Holdings and futures positions.",
    "trades": "Closed trades.",
    "performance": "What trades earned and cost.",
    "webhook-logs": "Requests that came in, refused ones too.",
    "webhooks": "Outbound webhooks.",
    "deliveries": "Deliveries of an outbound webhook.",
    "tickets": "Support tickets.",
    "payments": "Payments.",
    "transactions": "Transactions of balances.",
    "events": "Events, oldest first. `tail` shows them live.",
    "prices": "Prices of simulated accounts.",
    "telegram": "A user's Telegram chat.",
    "realtime": "WebSocket connections and connect tickets.",
}
VERBS = (
    Verb("signals", "list", "GET /signals", "Lists signals, newest first.", _SIGNAL),
    Verb("signals", "show", "GET /signals/{signal_id}", "Shows one signal's whole life."),
    Verb("orders", "list", "GET /orders", "Lists orders, newest first.", _ORDER),
    Verb("orders", "show", "GET /orders/{order_id}", "Shows one order."),
    Verb("orders", "cancel", "DELETE /orders/{order_id}", "Cancels one resting order."),
    Verb("orders", "create", "POST /orders", "Places an order by hand (admins).", query=("wait",)),
    Verb(
        *("positions", "list", "GET /positions", "Lists what accounts hold."),
        ("account_id", "symbol", "side", "quantity", "entry_price", "price", "value", "unrealized_pnl"),
    ),
    Verb(
        *("positions", "close", "POST /positions/close"),
        "Closes positions: account_id=… (symbol=…), strategy_id=… or user_id=…",
    ),
    Verb(
        *("trades", "list", "GET /trades", "Lists closed trades, the last one first."),
        ("closed_at", "account_id", "strategy", "symbol", "side", "quantity", "net_profit", "currency"),
    ),
    Verb(
        *("performance", "list", "GET /performance", "Lists figures: by=strategy, account, symbol or user"),
        (
            "strategy",
            "account_id",
            "symbol",
            "currency",
            "trades",
            "win_rate",
            "profit_factor",
            "net_profit",
            "max_drawdown",
        ),
        is_whole=True,
    ),
    Verb(
        *("webhook-logs", "list", "GET /webhook-logs", "Lists incoming requests, newest first."),
        ("received_at", "route", "outcome", "code", "signal_id"),
    ),
    Verb(
        *("webhooks", "list", "GET /webhooks", "Lists subscriptions."),
        ("id", "name", "url", "event_types", "status"),
    ),
    Verb("webhooks", "show", "GET /webhooks/{webhook_id}", "Shows one subscription."),
    Verb(
        "webhooks", "create", "POST /webhooks", "Creates a subscription and shows its secret, only this once."
    ),
    Verb("webhooks", "update", "PATCH /webhooks/{webhook_id}", "Changes a subscription."),
    Verb("webhooks", "delete", "DELETE /webhooks/{webhook_id}", "Deletes a subscription."),
    Verb(
        "webhooks", "test", "POST /webhooks/{webhook_id}/test", "Sends an example now and shows the outcome."
    ),
    Verb("webhooks", "pause", "POST /webhooks/{webhook_id}/pause", "Lets deliveries wait."),
    Verb("webhooks", "resume", "POST /webhooks/{webhook_id}/resume", "Sends waiting deliveries again."),
    Verb(
        "webhooks",
        "replay",
        "POST /webhooks/{webhook_id}/replay",
        "Sends what failed, or a range, once more.",
    ),
    Verb("webhooks", "rotate-secret", "POST /webhooks/{webhook_id}/rotate-secret", "Makes a new secret."),
    Verb("webhooks", "stats", "GET /webhooks/{webhook_id}/stats", "Shows a subscription's figures."),
    Verb("webhooks", "stats-all", "GET /webhooks/stats", "Shows the figures of all subscriptions."),
    Verb("deliveries", "list", "GET /webhooks/{webhook_id}/deliveries", "Lists deliveries.", _DELIVERY),
    Verb(
        *("deliveries", "show", "GET /webhooks/{webhook_id}/deliveries/{delivery_id}"),
        "Shows one delivery with every attempt.",
    ),
    Verb(
        *("deliveries", "replay", "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/replay"),
        "Sends one delivery once more.",
    ),
    Verb(
        *("tickets", "list", "GET /tickets", "Lists tickets."),
        ("ticket_id", "user_id", "title", "status", "updated_at"),
    ),
    Verb("tickets", "show", "GET /tickets/{ticket_id}", "Shows one ticket."),
    Verb("tickets", "create", "POST /tickets", "Opens a ticket."),
    Verb("tickets", "update", "PATCH /tickets/{ticket_id}", "Changes a ticket's title or status."),
    Verb(
        *("tickets", "messages", "GET /tickets/{ticket_id}/messages", "Lists a ticket's messages."),
        ("created_at", "author_id", "message"),
    ),
    Verb("tickets", "answer", "POST /tickets/{ticket_id}/messages", "Adds a message: message=…"),
    Verb("payments", "list", "GET /payments", "Lists payments.", ("payment_id", *_MONEY)),
    Verb("payments", "show", "GET /payments/{payment_id}", "Shows one payment."),
    Verb("payments", "create", "POST /payments", "Records a payment (admins)."),
    Verb("payments", "update", "PATCH /payments/{payment_id}", "Changes a payment (admins)."),
    Verb(
        *("transactions", "list", "GET /transactions", "Lists transactions."),
        ("transaction_id", "user_id", "type", "amount", "currency", "description", "created_at"),
    ),
    Verb("transactions", "show", "GET /transactions/{transaction_id}", "Shows one transaction."),
    Verb("transactions", "create", "POST /transactions", "Adjusts a balance (admins)."),
    Verb("strategies", "show", "GET /strategies/{strategy_id}", "Shows one strategy."),
    Verb("users", "balance", "GET /users/{user_id}/balance", "Shows a user's balance."),
    Verb(
        *("accounts", "equity", "GET /accounts/{account_id}/equity"),
        *("Lists an account's worth over time.", ("at", "equity")),
    ),
    Verb(
        "events",
        "list",
        "GET /events",
        "Lists events: after=SEQUENCE",
        ("sequence", "timestamp", "type", "payload"),
    ),
    Verb("events", "types", "GET /event-types", "Lists every event type.", ("name", "description")),
    Verb("prices", "get", "GET /prices", "Shows the price a simulated account trades at: symbol=BTCUSDT"),
    Verb("prices", "list", "GET /paper/prices", "Lists posted prices.", ("symbol", "price", "at")),
    Verb("prices", "set", "POST /paper/prices", "Posts a price: symbol=BTCUSDT price=95000"),
    Verb("telegram", "show", "GET /users/{user_id}/telegram", "Shows chat, events and language."),
    Verb("telegram", "update", "PATCH /users/{user_id}/telegram", "Changes events and language."),
    Verb("telegram", "link", "POST /users/{user_id}/telegram-link", "Makes a code that links a chat."),
    Verb("telegram", "unlink", "DELETE /users/{user_id}/telegram-link", "Removes the link to the chat."),
    Verb(
        *("realtime", "connections", "GET /realtime/connections", "Lists open WebSockets."),
        ("connection_id", "user_id", "connected_at"),
    ),
    Verb("realtime", "ticket", "POST /realtime/tickets", "Makes a ticket that opens one WebSocket."),
    Verb(
        "realtime", "event", "GET /realtime/events/{sequence}", "Shows an event that was too large to push."
    ),
    Verb("health", "", "GET /health", "Asks whether the API answers.", is_open=True),
    Verb(
        "explain",
        "",
        "POST /signals/explain",
        "Says what a webhook would do: variant=paper symbol=AAPL side=buy",
        query=("variant", "user_id"),
    ),
)


def add_to(app: typer.Typer, groups: dict[str, typer.Typer]) -> None:
    """Adds every command of the table to the app. `groups` are the nouns that exist already."""
    for noun, words in NOUNS.items():
        groups[noun] = typer.Typer(help=words, no_args_is_help=True)
        app.add_typer(groups[noun], name=noun)
    for verb in VERBS:
        if verb.verb:
            groups[verb.noun].command(verb.verb, help=verb.help)(_command(verb))
        else:
            app.command(verb.noun, help=verb.help)(_command(verb))


def _command(verb: Verb) -> Callable[..., None]:
    """Returns the function of a command, with the signature that typer reads its arguments from."""

    def run(context: typer.Context, given: list[str] | None = None, most: int = 50, **path: str) -> None:
        _run(context, verb, path, fields(given or []), most)

    method, route = verb.operation.split()
    arguments: dict[str, Any] = {"context": typer.Context}
    arguments |= {name: Annotated[str, typer.Argument()] for name in re.findall(r"\{(\w+)\}", route)}
    defaults: dict[str, Any] = {}
    if method != "DELETE" and not verb.is_open:
        arguments["given"], defaults["given"] = Fields, None
    if verb.columns and not verb.is_whole:
        arguments["most"], defaults["most"] = Most, 50
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            annotation=kind,
            default=defaults.get(name, inspect.Parameter.empty),
        )
        for name, kind in arguments.items()
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = arguments
    return run


def _run(context: typer.Context, verb: Verb, path: dict[str, str], given: dict[str, Any], most: int) -> None:
    client = of(context)
    method, route = verb.operation.split()
    address = route.format(**path)
    if verb.is_whole:
        client.output.records(client(method, address, query=given)["items"], verb.columns)
        return
    if verb.columns:
        client.show_list(address, given, verb.columns, most)
        return
    if verb.is_open:
        client.output.record(client.send(method, address))
        return
    if method == "GET":
        client.output.record(client(method, address, query=given))
        return
    query = {name: given.pop(name) for name in verb.query if name in given}
    body = None if method == "DELETE" else given
    client.output.record(client(method, address, body, query))
