"""The bodies of the accounts' routes."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from chalicelib.errors import Refused
from chalicelib.exchanges.protocol import Credentials
from chalicelib.inputs import Caseless, Input, Money, ShortText, UserId, Version
from chalicelib.users.inputs import configured
from chalicelib.users.models import AccountKind

MarketTypes = Annotated[
    tuple[Annotated[Literal["spot", "futures"], Caseless], ...],
    Field(min_length=1, max_length=2),
    AfterValidator(lambda types: tuple(dict.fromkeys(types))),
]
ExchangeOrPaper = Annotated[
    str, Caseless, AfterValidator(lambda name: name if name == "paper" else configured(name))
]
Currency = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]
Rate = Annotated[Money, Field(le=1000)]
Share = Annotated[Money, Field(gt=0, le=1)]
# KMS encrypts at most 4096 bytes, enough for an RSA key with passphrase and API key.
Key = Annotated[SecretStr, Field(min_length=4, max_length=256)]
LongSecret = Annotated[SecretStr, Field(min_length=4, max_length=3000)]


class _Keys(Input):
    api_key: Key | None = None
    api_secret: LongSecret | None = None
    passphrase: Key | None = None

    @model_validator(mode="after")
    def _whole(self) -> "_Keys":
        if not self.api_key and (self.api_secret or self.passphrase):
            raise Refused("missing_field", field="api_key")
        if self.api_key and not self.api_secret:
            raise Refused("missing_field", field="api_secret")
        for name in ("api_key", "api_secret", "passphrase"):
            secret = getattr(self, name)
            if secret and not secret.get_secret_value().replace("\n", "").replace("\r", "").isascii():
                raise Refused("invalid_value", field=name)
        return self

    def credentials(self, *, demo: bool) -> Credentials | None:
        """Returns the exchange keys. None if the body has none."""
        if not self.api_key or not self.api_secret:
            return None
        passphrase = self.passphrase.get_secret_value() if self.passphrase else None
        return Credentials(
            self.api_key.get_secret_value(), self.api_secret.get_secret_value(), passphrase, demo=demo
        )


class AccountChange(_Keys):
    """The fields of an account that may change.

    Name, kind, exchange and currency are fixed, because signals and records refer to them.
    """

    market_types: MarketTypes = ("spot", "futures")
    manage_account_modes: bool = False
    starting_cash: Annotated[Money, Field(le=10**12)] = Decimal(100_000)
    slippage_bps: Rate = Decimal(5)
    commission_bps: Rate = Decimal(10)
    fill_rate: Share = Decimal(1)
    is_active: bool = True
    version: Version | None = None


class NewAccount(_Keys):
    """An account to create. Only admins may set `user_id`."""

    user_id: UserId | None = None
    name: ShortText
    kind: Annotated[AccountKind, Caseless]
    exchange: ExchangeOrPaper | None = None
    market_types: MarketTypes = ("spot", "futures")
    manage_account_modes: bool = False
    currency: Currency = "USD"
    starting_cash: Annotated[Money, Field(le=10**12)] = Decimal(100_000)
    slippage_bps: Rate = Decimal(5)
    commission_bps: Rate = Decimal(10)
    fill_rate: Share = Decimal(1)
    is_active: bool = True
