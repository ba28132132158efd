"""The hash chain over the audit trail. Changing or removing an entry breaks the chain.

An entry is written in the transaction of its change and carries a hash of its content. Linking in that
transaction would serialise all changes, so the one-minute sweeper links. Each link holds entries with their
hashes, and the hash of the link before. Each month has its own chain. Links are written once, conditionally.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from chalicelib import aws
from chalicelib.audit import record

SETTLED = timedelta(minutes=1)
"""An entry's time is taken before its transaction, which has ended after this time."""
_OVERLAP = timedelta(minutes=15)  # finds entries that reach the index late
_ENTRIES = 200  # of one link


def link(now: datetime) -> int:
    """Links the entries without a link and returns their number.

    The first run of a month also finishes the month before.
    """
    months = dict.fromkeys(month_of(moment) for moment in (now - _OVERLAP - SETTLED, now))
    return sum(_link_month(month, now) for month in months)


def month_of(moment: datetime) -> str:
    """Returns the month of the chain that a time belongs to, `2026-11`."""
    return f"{moment:%Y-%m}"


def verify(month: str, now: datetime) -> dict[str, Any]:
    """Checks a month's chain against its entries.

    Returns:
        The number of `entries` and `links`, `head` (the hash of the last link, None without one), and
        `problems`, empty if nothing was altered.
    """
    problems: list[str] = []
    links = _links(month)
    linked: dict[str, str] = {}
    before = ""
    for number, item in enumerate(links, 1):
        if int(item["number"]) != number:
            problems.append(f"link {number} is missing")
            break
        if item["before"] != before or item["hash"] != _link_hash(item):
            problems.append(f"link {number} does not follow from the one before it")
        before = item["hash"]
        linked |= dict(zip(item["entries"], item["hashes"], strict=True))
    entries = {item["audit_id"]: item for item in _entries(month, "", _end(month))}
    problems += [f"entry {audit_id} is missing" for audit_id in linked if audit_id not in entries]
    settled = (now - SETTLED - _OVERLAP).isoformat()
    for audit_id, item in entries.items():
        if audit_id not in linked:
            if item["at"] < settled:
                problems.append(f"entry {audit_id} is not linked")
        elif item.get("hash") != linked[audit_id] or record.content_hash(item) != linked[audit_id]:
            problems.append(f"entry {audit_id} is not as it was written")
    return {
        "month": month,
        "entries": len(entries),
        "links": len(links),
        "head": before or None,
        "problems": problems,
    }


def _link_month(month: str, now: datetime) -> int:
    links = _links(month)
    last = links[-1] if links else None
    since = (datetime.fromisoformat(last["until"]) - _OVERLAP).isoformat() if last else ""
    known = {audit_id for item in links if item["until"] >= since for audit_id in item["entries"]}
    until = min((now - SETTLED).isoformat(timespec="microseconds"), _end(month))
    fresh = [item for item in _entries(month, since, until) if item["audit_id"] not in known]
    number = int(last["number"]) if last else 0
    before = str(last["hash"]) if last else ""
    for start in range(0, len(fresh), _ENTRIES):
        part = fresh[start : start + _ENTRIES]
        number += 1
        item: dict[str, Any] = {
            "audit_id": f"chain#{month}#{number:08}",
            "trail": f"chain#{month}",
            "at": f"{number:08}",
            "number": number,
            "before": before,
            "until": part[-1]["at"],
            "entries": [entry["audit_id"] for entry in part],
            "hashes": [record.content_hash(entry) for entry in part],
        }
        item["hash"] = before = _link_hash(item)
        try:
            aws.write(aws.put_write("audit", item, "attribute_not_exists(audit_id)"))
        except aws.WriteRefused:
            return start  # another sweeper is linking
    return len(fresh)


def _links(month: str) -> Sequence[aws.Item]:
    return list(aws.query_all("audit", "trail = :chain", index="trail", chain=f"chain#{month}"))


def _entries(month: str, since: str, until: str) -> Iterable[aws.Item]:
    begin = max(since, f"{month}-01")
    return aws.query_all(
        "audit",
        "trail = :trail AND #at BETWEEN :begin AND :until",
        index="trail",
        trail=record.EVERYTHING,
        begin=begin,
        until=until,
    )


def _end(month: str) -> str:
    return f"{month}-31T23:59:59.999999+00:00~"


def _link_hash(item: aws.Item) -> str:
    content = [
        str(item["audit_id"]),
        item["before"],
        item["until"],
        list(item["entries"]),
        list(item["hashes"]),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
