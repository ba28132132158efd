"""The names of fields, in every spelling senders use. Contract §1 'Aliases'."""

import re
from collections.abc import Mapping

ALIASES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("ticker", "coinmarket", "pair"),
    "side": ("action", "command"),
    "quantity": ("qty", "contracts", "amount"),
    "price": ("limit_price",),
    "account": ("account_name",),
    "token": ("secret",),
    "idempotency_key": ("alert_id",),
    "time_in_force": ("tif",),
    "take_profit": ("tp",),
    "stop_loss": ("sl",),
    "risk_percent": ("risk",),
    **dict.fromkeys(
        (
            *("code", "chat_id", "strategy_id", "demo", "exchange", "group_name", "market_type", "currency", "order_type"),
            *("stop_price", "qty_per", "orders", "timestamp", "timenow", "market_position", "prev_market_position"),
            *("reduce_only", "post_only", "position_side", "max_lag", "max_age"),
        ),
        (),
    ),
}
"""Every key with a meaning, and the other names it goes by. All spellings of a name count as that name."""

CASE_MATTERS = frozenset({"token", "code", "account", "idempotency_key", "group_name", "strategy_id"})
"""Fields whose values are names or secrets: two aliases agree only if they are the same to the letter."""

_SEPARATORS = re.compile(r"[\s_\-]+")


def squash(name: str) -> str:
    """A name without the differences in spelling that do not matter: `Group-Name`, `groupName`, `group_name` are `groupname`."""
    return _SEPARATORS.sub("", name).lower()


CANONICAL: Mapping[str, str] = {squash(spelling): name for name, others in ALIASES.items() for spelling in (name, *others)}
"""Squashed spelling to canonical name."""
