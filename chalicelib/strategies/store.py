"""A strategy's item, and the pointer from its id to the item."""

from datetime import datetime
from typing import Any

from chalicelib import aws
from chalicelib.errors import NotFound
from chalicelib.events import outbox
from chalicelib.events.models import Event, event_id
from chalicelib.strategies.models import Strategy
from chalicelib.users.models import shown_id

_LONGEST_ID = 64


def get(strategy_id: str) -> Strategy:
    """Returns a strategy by its id. Raises NotFound if it does not exist."""
    pointer = aws.get("strategies", pointer_key(strategy_id)) if len(strategy_id) <= _LONGEST_ID else None
    item = (
        aws.get("strategies", {"user_id": pointer["owner"], "group_name": pointer["points_to"]})
        if pointer
        else None
    )
    if item is None:
        raise NotFound("not_found")
    return Strategy.model_validate(item)


def key(strategy: Strategy) -> dict[str, str]:
    """Returns the key of a strategy's item."""
    return {"user_id": strategy.user_id, "group_name": strategy.group_name}


def pointer_key(strategy_id: str) -> dict[str, str]:
    """Returns the key of the pointer to a strategy."""
    return {"user_id": f"strategy#{strategy_id}", "group_name": "lookup"}


def event(type_: str, strategy: Strategy, payload: dict[str, Any], version: int, at: datetime) -> aws.Write:
    """Returns the write of a strategy's event.

    `strategy.created`, `strategy.updated`, `strategy.deleted` or `strategy.accounts_changed`.
    """
    common = {
        "strategy_id": shown_id(strategy.strategy_id),
        "user_id": shown_id(strategy.user_id),
        "group_name": strategy.group_name,
    }
    return outbox.event_write(
        Event(
            event_id=event_id(type_, strategy.strategy_id, str(version)),
            type=type_,
            payload=common | payload,
            entity=strategy.entity,
            user_id=strategy.user_id,
            created_at=at,
        )
    )
