"""Re-checks exchange keys once a day.

A key that could not be checked when it was stored is checked on first use.
"""

from datetime import datetime, timedelta

from chalicelib import aws
from chalicelib.accounts import store
from chalicelib.accounts.connections import Connections
from chalicelib.accounts.model import Account
from chalicelib.errors import NotDoable, Retryable
from chalicelib.telemetry import log
from chalicelib.trading import MarketType

EVERY = timedelta(days=1)


def check(account: Account, sessions: Connections, now: datetime) -> None:
    """Checks, if due, that the key may trade and may not withdraw. Notifies the owner of a failed check.

    If the exchange does not answer, the next call checks again.
    """
    if account.key_checked_at and now - datetime.fromisoformat(account.key_checked_at) < EVERY:
        return
    code = None
    try:
        sessions.of(MarketType(account.market_types[0])).run(lambda exchange: exchange.check_key())
    except Retryable as fault:
        log.warning(
            "exchange key check failed, retrying later",
            extra={"account_id": account.account_id, "fault": str(fault)},
        )
        return
    except NotDoable as refused:
        code = refused.code
        log.warning("exchange key failed its check", extra={"account_id": account.account_id, "code": code})
    noted = {"at": now.isoformat(), "verified": code is None, "seen": account.key_version}
    writes = [
        aws.update_write(
            "accounts",
            {"account_id": account.account_id},
            "SET key_checked_at = :at, verified = :verified",
            "attribute_exists(sealed_keys) AND key_version = :seen",
            **noted,
        )
    ]
    if code and account.verified is not False:
        writes.append(store.event("account.key_failed", account, {"code": code}, int(now.timestamp()), now))
    try:
        aws.transact(writes)
    except aws.WriteRefused:
        return  # another key has been stored since
