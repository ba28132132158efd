"""The first account of a new user."""

from datetime import datetime

from chalicelib import counters
from chalicelib.accounts import store
from chalicelib.accounts.model import Account
from chalicelib.config import exchanges
from chalicelib.users.create import FirstAccount
from chalicelib.users.models import AccountKind, Settings


def starter_account(user_id: str, now: datetime, *, by: str) -> FirstAccount:
    """Returns a simulated demo account for a user who is being created.

    The user's first signal needs an account.
    """
    exchange = Settings().exchange if Settings().exchange in exchanges() else exchanges()[0]
    number = str(counters.next_value("account"))
    account = Account(
        account_id=number,
        user_id=user_id,
        name="Demo",
        exchange=exchange,
        kind=AccountKind.DEMO.value,
        currency="USDT",
    )
    return FirstAccount(account.name, store.entry(account), store.creation_writes(account, by, now))
