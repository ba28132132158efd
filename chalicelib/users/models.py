"""Users, their settings and the directory of their accounts. Immutable, no I/O."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chalicelib import request_limits
from chalicelib.trading import MarketType


class Record(BaseModel):
    """The base of stored records: immutable, and tolerant of attributes added by a later version."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_EXACT_DIGITS = 15  # the longest whole number that every JSON reader keeps exactly


def shown_id(id_: str | None) -> int | str | None:
    """Returns an id as JSON shows it: as a number where possible, as in the seeds."""
    return int(id_) if id_ and id_.isascii() and id_.isdigit() and len(id_) <= _EXACT_DIGITS else id_


class Role(StrEnum):
    """What a user may see and change: an admin all records, a user only own records."""

    ADMIN = "admin"
    USER = "user"


class AccountKind(StrEnum):
    """The kind of an account's money: simulated here, the exchange's test environment, or real."""

    PAPER = "paper"
    DEMO = "demo"
    LIVE = "live"

    @property
    def real_money(self) -> bool:
        """Whether orders on such an account cost real money."""
        return self is AccountKind.LIVE


class User(Record):
    """A user's profile."""

    user_id: str
    user_uuid: str
    role: Role = Role.USER
    is_active: bool = True
    telegram_id: int | None = None
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    referral_code: str | None = None
    referred_by_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int = 1

    def view(self) -> dict[str, Any]:
        """Returns the profile as the API shows it."""
        ids = {"user_id": shown_id(self.user_id), "referred_by_id": shown_id(self.referred_by_id)}
        return self.model_dump() | ids


class Settings(Record):
    """How a user's signals are accepted and traded (contract of seed 001).

    A new user starts with demo, spot, leverage 1.

    Attributes:
        trade_amount: Quote currency per signal of the legacy and personal webhooks. On futures, multiplied by
            `leverage`.
        default_account: Name of the paper account for signals without an `account`. None if there is none.
        require_token: False permits tokenless signals to the user's paper and demo accounts.
        repeat_window_s: Seconds in which an identical body is a duplicate. 0 switches the check off.
        max_age_s: Older signals open nothing, in seconds.
        max_price_deviation_percent: How far the `price` of a market order may be from the market, in percent.
            0 permits any price.
        signals_per_minute: Limit of a token without a limit of its own. Tokenless signals share one limit.
        allowed_addresses: CIDRs from which signals may come. Empty permits all.
    """

    market_type: MarketType = MarketType.SPOT
    account_type: str = "demo"
    trade_amount: Decimal = Decimal(100)
    leverage: int = 1
    exchange: str = "binance"
    margin_mode: str = "cross"
    default_account: str | None = None
    require_token: bool = True
    repeat_window_s: int = 30
    max_age_s: int = 60
    max_price_deviation_percent: Decimal = request_limits.PRICE_DEVIATION_PERCENT
    signals_per_minute: int = request_limits.SIGNALS_PER_MINUTE
    allowed_addresses: tuple[str, ...] = ()
    version: int = 1


class AccountEntry(Record):
    """What acceptance needs to know of an account to choose its queue."""

    account_id: str
    exchange: str
    kind: AccountKind
    is_active: bool = True


class Directory(Record):
    """A user's accounts by name."""

    accounts: dict[str, AccountEntry] = Field(default_factory=dict)


class UserContext(Record):
    """A user as acceptance and execution need it: profile, settings and accounts, read together."""

    user: User
    settings: Settings
    directory: Directory = Directory()


def user_context_from_items(
    profile: dict[str, Any] | None, settings: dict[str, Any] | None, directory: dict[str, Any] | None
) -> UserContext | None:
    """Returns a user's context, built from the stored items. None if the user does not exist."""
    if profile is None:
        return None
    return UserContext(
        user=User.model_validate(profile),
        settings=Settings.model_validate(settings or {}),
        directory=Directory.model_validate(directory or {}),
    )
