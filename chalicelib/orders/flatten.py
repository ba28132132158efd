"""A daily loss that flattens: every account it is about is told, in its own queue, to close what is open."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime

from chalicelib import aws
from chalicelib.controls import watch
from chalicelib.controls.halt import Scope, Switch
from chalicelib.controls.watch import Flattening
from chalicelib.events.models import event_id
from chalicelib.orders import queue
from chalicelib.orders.models import Flatten


def tell(flattening: Iterable[Flattening]) -> None:
    """Queues the closing for each account; a repeat changes nothing, since its orders have the same names."""
    for each in flattening:
        queue.send([_message(each, *account) for account in _accounts(each.switch)])
        watch.flattened(each.switch)


def _message(flattening: Flattening, account_id: str, exchange: str, symbols: tuple[str, ...]) -> Flatten:
    return Flatten(
        flatten_id=event_id("flatten", flattening.switch.key["scope"], flattening.since),
        user_id=flattening.switch.owner or "",
        account_id=account_id,
        exchange=exchange,
        symbols=symbols,
        halt=asdict(flattening.switch),
        at=datetime.fromisoformat(flattening.since),
    )


def _accounts(switch: Switch) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Id and exchange of each account that a halt is about, and the symbols it is about; none means all."""
    if switch.scope is Scope.ACCOUNT:
        [item] = aws.get_many([("accounts", {"account_id": switch.id or ""})])
        if item:
            yield item["account_id"], item["exchange"], ()
        return
    strategy = switch.scope is Scope.STRATEGY
    key = {"user_id": switch.owner or "", **({"group_name": switch.name or ""} if strategy else {"part": "directory"})}
    [item] = aws.get_many([("strategies" if strategy else "users", key)])
    found = (item or {}).get("accounts", {})
    symbols = tuple((item or {}).get("symbols", ())) if strategy else ()
    for name, account in found.items():
        yield name if strategy else account["account_id"], account["exchange"], symbols
