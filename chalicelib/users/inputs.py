"""The bodies of the users' routes."""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from chalicelib import config
from chalicelib.errors import Refused
from chalicelib.inputs import Caseless, Input, Money, Name, ShortText, Time, UserId, Version, Whole
from chalicelib.trading import MarketType
from chalicelib.users.credentials import Scope
from chalicelib.users.models import Role, Settings

ALLOWED_ADDRESSES = 100


def configured(exchange: str) -> str:
    """Returns the exchange if this deployment trades on it. Raises Refused otherwise."""
    if exchange not in config.exchanges():
        raise Refused("invalid_choice", field="exchange", allowed=", ".join(config.exchanges()))
    return exchange


def _network(address: str) -> str:
    if address.lower() == "tradingview":
        return "tradingview"
    try:
        return str(ip_network(address, strict=False))
    except ValueError:
        raise Refused("invalid_address", field="allowed_addresses") from None


Exchange = Annotated[str, Caseless, AfterValidator(configured)]
Network = Annotated[str, Field(max_length=64), AfterValidator(_network)]
TelegramId = Annotated[Whole, Field(ge=1, le=2**53 - 1)]
PriceDeviation = Annotated[Money, Field(ge=0, le=1000)]
PerMinute = Annotated[Whole, Field(ge=1, le=100_000)]
ReferralCode = Annotated[str, Field(min_length=4, max_length=32, pattern=r"^[A-Za-z0-9_-]+$")]

_NEW = Settings()


class SettingsChange(Input):
    """The settings of a request. The defaults here are a new user's settings."""

    market_type: Annotated[MarketType, Caseless] = _NEW.market_type
    account_type: Annotated[Literal["demo", "real"], Caseless] = "demo"
    trade_amount: Annotated[Money, Field(gt=0, le=10**9)] = _NEW.trade_amount
    leverage: Annotated[Whole, Field(ge=1, le=125)] = _NEW.leverage
    exchange: Exchange = _NEW.exchange
    margin_mode: Annotated[Literal["cross", "isolated"], Caseless] = "cross"
    default_account: ShortText | None = _NEW.default_account
    require_token: bool = _NEW.require_token
    repeat_window_s: Annotated[Whole, Field(ge=0, le=86_400)] = _NEW.repeat_window_s
    max_age_s: Annotated[Whole, Field(ge=1, le=86_400)] = _NEW.max_age_s
    max_price_deviation_percent: PriceDeviation = _NEW.max_price_deviation_percent
    signals_per_minute: PerMinute = _NEW.signals_per_minute
    allowed_addresses: Annotated[tuple[Network, ...], Field(max_length=ALLOWED_ADDRESSES)] = ()
    version: Version | None = None


class OwnProfile(Input):
    """The fields of the profile that users may change themselves."""

    username: Name | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    version: Version | None = None


class Profile(OwnProfile):
    """The fields of the profile that an admin may change. `telegram_id` could claim another user's chat."""

    telegram_id: TelegramId | None = None
    referral_code: ReferralCode = ""
    referred_by_id: UserId | None = None
    role: Annotated[Role, Caseless] = Role.USER
    is_active: bool = True


class NewUser(Input):
    """A user to create. Without `user_id`, the next number is taken.

    Without `referral_code`, a random code is created.
    """

    user_id: UserId | None = None
    telegram_id: TelegramId | None = None
    username: Name | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    referral_code: ReferralCode | None = None
    referred_by_id: UserId | None = None
    role: Annotated[Role, Caseless] = Role.USER
    is_active: bool = True
    settings: SettingsChange = SettingsChange()


class NewTokenInput(Input):
    """A token to create.

    `token` is a token that the user chose, `signals_per_minute` the limit of one webhook token.

    `scope` is for API tokens. Without it, the new token has the scope of the token that creates it.

    `allowed_addresses` are the addresses and networks that may use the token. Empty permits every address.
    """

    kind: Annotated[Literal["webhook", "api"], Caseless]
    name: ShortText | None = None
    expires_at: Time | None = None
    token: SecretStr | None = Field(default=None, min_length=1, max_length=256)
    signals_per_minute: PerMinute | None = None
    scope: Annotated[Scope, Caseless] | None = None
    allowed_addresses: Annotated[tuple[Network, ...], Field(max_length=ALLOWED_ADDRESSES)] = ()

    @property
    def chosen(self) -> str | None:
        """The chosen token in clear. None if the user chose none."""
        return self.token.get_secret_value() if self.token else None

    @property
    def ends(self) -> datetime | None:
        """When the token expires. None if it never expires."""
        return self.expires_at


class Rotation(Input):
    """The overlap, in seconds, during which the old token stays valid."""

    overlap_s: Annotated[Whole, Field(ge=0, le=30 * 86_400)] = 86_400
