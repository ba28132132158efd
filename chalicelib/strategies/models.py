"""A strategy and the accounts on it. Immutable, no I/O."""

from decimal import Decimal
from typing import Any

from pydantic import Field

from chalicelib.users.models import AccountKind, Record, shown_id


class Member(Record):
    """An account on a strategy, with what planning a signal needs of it.

    Attributes:
        weight: The account's share of each percentage a signal gives, percent; 100 takes it as it is.
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
        strategy_id: The number the API knows it by; signals name it by `group_name`, which is unique per
            user.
        symbols: Names such as `BTCUSDT` that it trades; empty trades all.
        resync: Take `market_position` of a signal as the truth, and make up for a signal that was missed.
        expect_every_s: Seconds within which it should send a signal; longer silence raises an alarm. None
            expects nothing.
        max_price_deviation_percent: Takes the place of its owner's setting of this name; None leaves that
            setting.
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
        """What its events and audit entries are about."""
        return f"strategy#{self.strategy_id}"

    def view(self) -> dict[str, Any]:
        """The strategy as lists show it: how many accounts, not which."""
        shown = self.model_dump(exclude={"accounts"})
        ids = {"strategy_id": shown_id(self.strategy_id), "user_id": shown_id(self.user_id)}
        active = sum(member.active for member in self.accounts.values())
        return shown | ids | {"accounts": len(self.accounts), "active_accounts": active}


def member_view(account_id: str, member: Member) -> dict[str, Any]:
    """An account on a strategy as it is shown."""
    return {"account_id": shown_id(account_id), **member.model_dump()}
