"""A strategy and the accounts on it. Immutable, no I/O."""

from decimal import Decimal
from typing import Any

from pydantic import Field

from chalicelib.users.models import AccountKind, Record, shown_id


class Member(Record):
    """An account on a strategy, with the data for planning a signal.

    Attributes:
        weight: Factor on each percentage of a signal, in percent. 100 leaves it unchanged.
        active: False pauses the account on this strategy.
    """

    name: str
    exchange: str
    kind: AccountKind
    market_types: tuple[str, ...] = ("spot", "futures")
    weight: Decimal = Decimal(100)
    active: bool = True


class Strategy(Record):
    """A strategy as stored.

    Attributes:
        strategy_id: The strategy's number in the API. Signals use `group_name`, which is unique per user.
        symbols: Names such as `BTCUSDT` that the strategy trades. Empty trades all.
        resync: Treats `market_position` of a signal as the truth, and catches up on a missed signal.
        expect_every_s: Longest time between two signals, in seconds. A longer gap raises an alarm. None
            expects no signals.
        max_price_deviation_percent: Overrides the user's setting of this name. None keeps the user's setting.
        accounts: By account id.
    """

    strategy_id: str
    user_id: str
    group_name: str
    description: str | None = None
    is_active: bool = True
    symbols: tuple[str, ...] = ()
    resync: bool = False
    expect_every_s: int | None = None
    max_price_deviation_percent: Decimal | None = None
    accounts: dict[str, Member] = Field(default_factory=dict)
    created_at: str | None = None
    updated_at: str | None = None
    version: int = 1

    @property
    def entity(self) -> str:
        """The entity of the strategy's events and audit entries."""
        return f"strategy#{self.strategy_id}"

    def view(self) -> dict[str, Any]:
        """Returns the strategy as lists show it: with the number of accounts, without the accounts."""
        shown = self.model_dump(exclude={"accounts"})
        ids = {"strategy_id": shown_id(self.strategy_id), "user_id": shown_id(self.user_id)}
        active = sum(member.active for member in self.accounts.values())
        return shown | ids | {"accounts": len(self.accounts), "active_accounts": active}


def member_view(account_id: str, member: Member) -> dict[str, Any]:
    """Returns the view of an account on a strategy."""
    return {"account_id": shown_id(account_id), **member.model_dump()}
