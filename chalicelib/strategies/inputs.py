"""The bodies of the strategies' routes."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from chalicelib import request_limits
from chalicelib.accounts.inputs import MarketTypes
from chalicelib.errors import Refused
from chalicelib.inputs import Input, Money, Note, ShortText, UserId, Version, Whole
from chalicelib.users.inputs import PriceDeviation

AccountId = UserId
Weight = Annotated[Money, Field(gt=0, le=1000)]
Silence = Annotated[Whole, Field(ge=300, le=2_678_400)]  # five minutes to 31 days
Symbols = Annotated[tuple[ShortText, ...], Field(max_length=500)]


class StrategyChange(Input):
    """The fields of a strategy that may change. The name is fixed, because signals refer to it."""

    description: Note | None = None
    is_active: bool = True
    symbols: Symbols = ()
    resync: bool = False
    expect_every_s: Silence | None = None
    max_price_deviation_percent: PriceDeviation | None = None
    version: Version | None = None


class NewMember(Input):
    """An account to add to a strategy."""

    account_id: AccountId
    weight: Weight = Decimal(100)
    market_types: MarketTypes = ("spot", "futures")
    active: bool = True


class NewMembers(Input):
    """One account, or a list of accounts under `accounts`."""

    account_id: AccountId | None = None
    weight: Weight = Decimal(100)
    market_types: MarketTypes = ("spot", "futures")
    active: bool = True
    accounts: Annotated[tuple[NewMember, ...], Field(max_length=request_limits.STRATEGY_ACCOUNTS)] = ()
    version: Version | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "NewMembers":
        if self.account_id is None and not self.accounts:
            raise Refused("missing_field", field="account_id")
        return self


class MemberChange(Input):
    """The fields that may change of an account on a strategy."""

    weight: Weight = Decimal(100)
    market_types: MarketTypes = ("spot", "futures")
    active: bool = True
    version: Version | None = None


class NewStrategy(Input):
    """A strategy to create. Only admins may set `user_id`."""

    user_id: UserId | None = None
    group_name: ShortText
    description: Note | None = None
    is_active: bool = True
    symbols: Symbols = ()
    resync: bool = False
    expect_every_s: Silence | None = None
    max_price_deviation_percent: PriceDeviation | None = None
    accounts: Annotated[tuple[NewMember, ...], Field(max_length=request_limits.STRATEGY_ACCOUNTS)] = ()
