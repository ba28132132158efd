"""Detects position drift: futures positions that changed without a fill of our orders.

The cause is a manual trade or a liquidation. An account's recorded positions are its last snapshot plus the
fills of its orders. They are stored in its item of `in_flight_orders`. A difference counts if it still exists
a minute later, because an order may fill between the queries of orders and of positions. Every change of the
recorded positions emits an event.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.accounts.model import Account
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.orders import events, in_flight
from chalicelib.orders.models import Order
from chalicelib.telemetry import log
from chalicelib.trading import MarketType

_LOOK_AGAIN = timedelta(minutes=1)
_ZERO = Decimal(0)


def check(
    account: Account,
    own: Mapping[str, Any],
    unfinished: Sequence[Order],
    snapshot: Mapping[str, Any],
    now: datetime,
) -> None:
    """Compares a snapshot with the recorded positions and stores it for the next check.

    Args:
        own: The account's item in `in_flight_orders`, as it was before the snapshot.
        unfinished: The account's unfinished orders, as they were before the snapshot.
    """
    recorded = _recorded_positions(own, unfinished, snapshot)
    books = own.get("books")
    differences = _differences(books, recorded) if books and books["traded"] == recorded["traded"] else []
    if differences and not own.get("doubted"):
        # The recorded positions stay, so that the next check compares with the same values.
        in_flight.mark_doubtful(account.account_id, account.exchange, now + _LOOK_AGAIN)
        return
    changes = [
        *_changes(account, books, recorded, snapshot, now),
        *([_event(account, differences, now)] if differences else []),
    ]
    in_flight.write_books(
        account.account_id, books, recorded, [outbox.event_write(event) for event in changes]
    )
    if differences:
        log.warning(
            "position drift detected",
            extra={"account_id": account.account_id, "differences": differences},
        )


def _recorded_positions(
    own: Mapping[str, Any], unfinished: Sequence[Order], snapshot: Mapping[str, Any]
) -> dict[str, Any]:
    positions = {_name(position): position["quantity"] for position in snapshot["positions"]}
    filled = {order.order_id: order.filled for order in unfinished if not order.status.final}
    return {"positions": positions, "traded": {"orders": own.get("orders", _ZERO), "filled": filled}}


def _differences(books: Mapping[str, Any], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = sorted(books["positions"].keys() | found["positions"].keys())
    pairs = [
        (name, books["positions"].get(name, _ZERO), found["positions"].get(name, _ZERO)) for name in names
    ]
    return [
        _parts(name) | {"books": before, "exchange": after}
        for name, before, after in pairs
        if before != after
    ]


def _name(position: Mapping[str, Any]) -> str:
    """Returns a position's name in the records.

    `BTCUSDT`, in hedge mode `BTCUSDT#long`, in isolated margin `BTCUSDT##isolated`. Two opposite positions of
    one instrument therefore never add up to a flat one.
    """
    mode = "isolated" if position.get("margin_mode") == "isolated" else ""
    return "#".join([position["symbol"], position.get("position_side") or "", mode]).rstrip("#")


def _parts(name: str) -> dict[str, str]:
    symbol, side, mode, *_ = [*name.split("#"), "", ""]
    return {
        "symbol": symbol,
        **({"position_side": side} if side else {}),
        **({"margin_mode": mode} if mode else {}),
    }


def _changes(
    account: Account,
    books: Mapping[str, Any] | None,
    found: Mapping[str, Any],
    snapshot: Mapping[str, Any],
    now: datetime,
) -> list[Event]:
    """Returns `position.changed` of each changed position. In hedge mode each side counts separately."""
    before = books["positions"] if books else {}
    changes = []
    prices = {_name(position): position["entry_price"] for position in snapshot["positions"]}
    for name in sorted(before.keys() | found["positions"].keys()):
        quantity = found["positions"].get(name, _ZERO)
        if quantity != before.get(name, _ZERO):
            which, version = _parts(name), int(now.timestamp() * 1_000_000)
            changes.append(
                events.position_event(
                    account,
                    MarketType.FUTURES,
                    which.pop("symbol"),
                    quantity,
                    prices.get(name),
                    version=version,
                    at=now,
                    **which,
                )
            )
    return changes


def _event(account: Account, differences: list[dict[str, Any]], now: datetime) -> Event:
    return Event(
        event_id=event_id("account.drifted", account.account_id, now.isoformat()),
        type="account.drifted",
        payload={
            "account_id": account.account_id,
            "account_name": account.name,
            "exchange": account.exchange,
            "market_type": "futures",
            "differences": differences,
        },
        entity=f"account#{account.account_id}",
        user_id=account.user_id,
        created_at=now,
    )
