"""Which accounts a signal goes to."""

from dataclasses import dataclass

from chalicelib.errors import Forbidden, NotDoable, NotFound, Unauthorized
from chalicelib.signals.models import Action, Signal, Variant
from chalicelib.signals.sender import Sender
from chalicelib.users.models import AccountEntry, AccountKind

REDUCING = (Action.CLOSE, Action.STOP, Action.CANCEL_ALL)
"""What a halt or staleness never holds back. `sell` may reduce too; whether it does is known at execution."""


@dataclass(frozen=True, slots=True)
class Target:
    """An account a signal goes to."""

    account_id: str
    name: str
    exchange: str
    kind: AccountKind


def targets(signal: Signal, sender: Sender) -> tuple[Target, ...]:
    """The accounts that take part.

    Raises:
        NotFound: The account or strategy the signal names does not exist.
        NotDoable: No account takes part.
        Unauthorized: The signal came without a token and would reach real money.
        Forbidden: Trading is halted, and the signal could open or add.
    """
    chosen = _CHOOSERS[signal.variant](signal, sender)
    if not chosen:
        raise NotDoable("no_accounts")
    if not sender.authenticated and any(target.kind.real_money for target in chosen):
        raise Unauthorized("token_missing")
    if sender.halted and signal.action in (Action.BUY, Action.LONG):
        raise Forbidden("halted")
    return chosen


def _paper(signal: Signal, sender: Sender) -> tuple[Target, ...]:
    """The paper account named, else the owner's default one. Never another kind, whatever its name."""
    name = signal.account or sender.owner.settings.default_account
    entry = sender.owner.directory.accounts.get(name or "")
    if name is None or entry is None:
        raise NotFound("account_not_found", account=name or "default")
    if entry.kind is not AccountKind.PAPER:
        raise NotDoable("not_a_paper_account", account=name)
    return _active({name: entry})


def _active(entries: dict[str, AccountEntry]) -> tuple[Target, ...]:
    return tuple(Target(entry.account_id, name, entry.exchange, entry.kind) for name, entry in entries.items() if entry.is_active)


_CHOOSERS = {Variant.PAPER: _paper}
