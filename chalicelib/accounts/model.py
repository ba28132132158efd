"""An account on an exchange, real or paper."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from chalicelib.accounts.rates import Rates


class Account(BaseModel):
    """An account as stored.

    Attributes:
        kind: `paper`, `demo` (the exchange's test environment, or simulated here) or `live`.
        currency: What its cash is counted in; shares settle in it, and dollar stablecoins at par with it.
        starting_cash: In `currency`; a paper account's cash before its first order and after a reset.
        slippage_bps: Basis points a simulated fill moves against the taker. Likewise `commission_bps`, of the
            value.
        fill_rate: The share of a simulated order that fills, 0 to 1.
        market_types: Where it trades, `spot`, `futures` or both.
        manage_account_modes: Signals may change what holds for the whole account at the exchange: the
            position mode, and on Bybit the margin mode.
        sealed_keys: Its exchange keys, encrypted (`chalicelib/accounts/key_encryption.py`); None has it
            simulated here, or is a paper account.
        key_version: Counts the changes of the keys, so that a decrypted copy can be told from an old one.
        verified: The exchange has confirmed what the keys may do. None without keys, and for keys stored
            before this was recorded.
        api_key_last4: The end of the API key, to tell one key from another.
        key_checked_at: When the exchange was last asked what the key may do; None before.
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
        """It trades at its exchange, in the exchange's test environment if it is a demo account.

        Else it is simulated here.
        """
        return self.kind == "live" or self.sealed_keys is not None

    @property
    def rates(self) -> Rates:
        """What its simulated trades cost."""
        return Rates(self.slippage_bps, self.commission_bps, self.fill_rate)
