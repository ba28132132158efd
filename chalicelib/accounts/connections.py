"""Decrypted exchange keys and open sessions. Keys stay in this process, for at most five minutes."""

import time
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from chalicelib.accounts import key_encryption
from chalicelib.accounts.model import Account
from chalicelib.errors import NotDoable
from chalicelib.exchanges import registry
from chalicelib.exchanges.account_settings import AccountSettings
from chalicelib.exchanges.market_store import StoredMarkets
from chalicelib.exchanges.protocol import Credentials
from chalicelib.exchanges.rate_limiter import Limiter, Patience
from chalicelib.exchanges.session import ExchangeSession
from chalicelib.trading import MarketType

_KEPT_S = 300
_UNREADABLE = {"InvalidCiphertextException", "IncorrectKeyException"}


@dataclass(slots=True)
class _Opened:
    """A decrypted key, and the exchange's settings known for it."""

    credentials: Credentials
    until: float
    settings: dict[MarketType, AccountSettings] = field(default_factory=dict)


_opened: dict[tuple[str, int], _Opened] = {}


class Connections:
    """An account's exchange sessions for one message: one per market, opened on demand.

    Raises:
        NotDoable: `exchange_key_missing`, `exchange_key_unreadable`.
    """

    def __init__(self, account: Account, patience: Patience) -> None:
        """Decrypts the keys."""
        self._account = account
        self._patience = patience
        self._key = _open(account)
        self._sessions: dict[MarketType, ExchangeSession] = {}

    def of(self, market_type: MarketType) -> ExchangeSession:
        """Returns the session of a market."""
        if market_type not in self._sessions:
            account = self._account
            markets = StoredMarkets(account.exchange, market_type, demo=self._key.credentials.demo)
            settings = self._key.settings.setdefault(market_type, AccountSettings())
            settings.manage_modes = account.manage_account_modes
            exchange = registry.open_exchange(
                account.exchange, market_type, self._key.credentials, markets, settings=settings
            )
            limiter = Limiter(account.exchange, market_type, account.account_id)
            self._sessions[market_type] = ExchangeSession(
                exchange, markets, market_type, limiter, self._patience
            )
        return self._sessions[market_type]


def forget() -> None:
    """Discards every key. For tests."""
    _opened.clear()


def _open(account: Account) -> _Opened:
    if account.sealed_keys is None:
        raise NotDoable("exchange_key_missing", exchange=account.exchange)
    now = time.monotonic()
    for stale in [name for name, opened in list(_opened.items()) if opened.until <= now]:
        _opened.pop(stale, None)
    name = (account.account_id, account.key_version)
    if name not in _opened:
        try:
            credentials = key_encryption.unseal(
                account.account_id, account.sealed_keys, demo=account.kind == "demo"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _UNREADABLE:
                raise
            raise NotDoable("exchange_key_unreadable", exchange=account.exchange) from None
        except (ValueError, KeyError):
            # The error's text may contain a part of the key.
            raise NotDoable("exchange_key_unreadable", exchange=account.exchange) from None
        _opened[name] = _Opened(credentials, now + _KEPT_S)
    return _opened[name]
