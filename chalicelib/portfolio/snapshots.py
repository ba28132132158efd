"""Snapshots of accounts with exchange keys, and their equity over time, in the table `snapshots`.

The item `latest` holds balances and positions. The other items are named by their time and hold only the
equity.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib import aws
from chalicelib.accounts.connections import Connections
from chalicelib.accounts.model import Account
from chalicelib.errors import Refused
from chalicelib.exchanges.dialects.families import family
from chalicelib.orders import in_flight
from chalicelib.portfolio import equity
from chalicelib.trading import MarketType

LATEST = "latest"
_AGAIN_WITH_POSITIONS = timedelta(minutes=5)
_AGAIN = timedelta(hours=1)
_DOLLARS = ("USDT", "USDC", "USD", "FDUSD", "BUSD", "DAI")
_PRICED = 10  # priced holdings per account. Large accounts have many tiny ones


def take_snapshot(account: Account, sessions: Connections, now: datetime) -> dict[str, Any]:
    """Queries an account's balances and positions on its markets and stores them."""
    balances: dict[str, dict[str, Any]] = {}
    positions: list[dict[str, Any]] = []
    worth = Decimal(0)
    # Bybit and OKX have one unified balance for spot and futures. Counting it per market would double the
    # equity.
    unified = family(account.exchange) in {"bybit", "okx"}
    for name in account.market_types:
        market_type = MarketType(name)
        session = sessions.of(market_type)
        found = session.free_and_total() if not (unified and balances) else {}
        for currency, (free, total) in found.items():
            value = _worth(sessions, market_type, currency, total, len(balances))
            key = f"{name}#{currency}" if not unified else currency
            market = None if unified else name
            balances[key] = {
                "currency": currency,
                "market_type": market,
                "free": free,
                "total": total,
                "value": value,
            }
            worth += value or Decimal(0)
        if market_type is MarketType.FUTURES:
            for position in session.run(lambda exchange: exchange.positions()):
                positions.append(
                    {
                        "symbol": position.instrument_name,
                        "market_type": name,
                        "quantity": position.quantity,
                        "entry_price": position.entry_price,
                        "leverage": position.leverage,
                        "unrealized_profit": position.unrealized_profit,
                        "position_side": position.position_side,
                        "margin_mode": position.margin_mode,
                    }
                )
                worth += position.unrealized_profit or Decimal(0)
    snapshot = {
        "account_id": account.account_id,
        "at": LATEST,
        "taken_at": now.isoformat(),
        "balances": list(balances.values()),
        "positions": positions,
        "equity": worth,
    }
    aws.write(aws.put_write("snapshots", snapshot))
    aws.write(equity.point_write(account.account_id, worth, now))
    in_flight.schedule_account(
        account.account_id, account.exchange, now + (_AGAIN_WITH_POSITIONS if positions else _AGAIN)
    )
    return snapshot


def latest_snapshot(account_id: str) -> aws.Item | None:
    """Returns an account's last snapshot. None if there is none yet."""
    return aws.get("snapshots", {"account_id": account_id, "at": LATEST})


def stop_snapshots(account_id: str) -> None:
    """Stops the snapshots of an account until it trades again."""
    aws.write(
        aws.update_write(
            "in_flight_orders",
            {"account_id": account_id, "order_id": in_flight.ACCOUNT_ITEM},
            "REMOVE #shard, due_at",
        )
    )


def _worth(
    sessions: Connections, market_type: MarketType, currency: str, total: Decimal, priced: int
) -> Decimal | None:
    """Returns a balance's value in US dollars. None if no price is known."""
    if currency in _DOLLARS:
        return total
    if priced >= _PRICED:
        return None
    session = sessions.of(market_type)
    try:
        return session.last_price(session.instrument(f"{currency}USDT")) * total
    except Refused:
        return None
