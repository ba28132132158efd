"""Points of an account's equity over time, in the table `snapshots`."""

from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib import aws

_KEPT = timedelta(days=400)


def point_write(account_id: str, worth: Decimal, at: datetime) -> aws.Write:
    """Returns the write that stores an account's equity at a time."""
    forget_at = int((at + _KEPT).timestamp())
    return aws.put_write(
        "snapshots", {"account_id": account_id, "at": at.isoformat(), "equity": worth, "forget_at": forget_at}
    )
