"""An account: on an exchange or simulated."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from chalicelib.accounts.rates import Rates


class Account(BaseModel):
    """An account as stored.

    Attributes:
        kind: `paper`, `demo` (the exchange's test environment, or simulated here) or `live`.
        currency: The currency of the cash. Shares settle in it. Dollar stablecoins convert to it at par.
        starting_cash: In `currency`. A paper account's cash before its first order and after a reset.
        slippage_bps: By how much a simulated fill is worse for the taker, in basis points of the price.
        commission_bps: Commission of a simulated fill, in basis points of the value.
        fill_rate: The share of a simulated order that fills, 0 to 1.
        market_types: The markets of the account: `spot`, `futures` or both.
        manage_account_modes: Signals may change settings of the whole account at the exchange: the position
            mode, and on Bybit the margin mode.
        sealed_keys: The encrypted exchange keys (`chalicelib/accounts/key_encryption.py`). None if the
            account is simulated.
        key_version: The number of changes of the keys, which marks a decrypted copy as stale.
        verified: The exchange has confirmed the permissions of the keys. None without keys, and for keys
            stored before this was recorded.
        api_key_last4: The last four characters of the API key. None without keys.
        key_checked_at: When the exchange last confirmed the permissions. None if it never has.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    account_id: str
    user_id: str
    name: str
    exchange: str
    kind: str
    currency: str = "USD"
    starting_cash: Decimal = Decimal(100_000)
    slippage_bps: Decimal = Decimal(5)
    commission_bps: Decimal = Decimal(10)
    fill_rate: Decimal = Decimal(1)
    is_active: bool = True
    market_types: tuple[str, ...] = ("spot", "futures")
    manage_account_modes: bool = False
    sealed_keys: str | None = Field(default=None, repr=False)
    key_version: int = 0
    verified: bool | None = None
    api_key_last4: str | None = None
    key_checked_at: str | None = None

    @property
    def has_exchange(self) -> bool:
        """Whether the account trades at its exchange, for a demo account in the test environment.

        False if the account is simulated.
        """
        return self.kind == "live" or self.sealed_keys is not None

    @property
    def rates(self) -> Rates:
        """The costs of the account's simulated trades."""
        return Rates(self.slippage_bps, self.commission_bps, self.fill_rate)
