"""Tokens and codes: how they are made, told apart and checked. Only their SHA-256 is ever stored.

A token names its owner, `whk_{user_id}_{random}`, so that one read can fetch it together with the owner's
records. The random part has 256 bits, so a plain SHA-256 is as good as a slow hash here: there is nothing to
guess.
"""

import hashlib
import hmac
import math
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from chalicelib.errors import Unauthorized


class Kind(StrEnum):
    """What a credential opens. A webhook token never opens the API, an API token never posts a signal."""

    WEBHOOK = "whk"
    API = "api"
    XC_CODE = "xc"


class Scope(StrEnum):
    """What an API token may do, each as much as the one before and more.

    `read` what its user may read · `trade` orders, prices, halts · `manage` accounts, strategies, webhooks,
    tokens, settings · `admin` what only admins may, where its user is one.
    """

    READ = "read"
    TRADE = "trade"
    MANAGE = "manage"
    ADMIN = "admin"

    def covers(self, other: "Scope") -> bool:
        """Whether a token of this scope may do what the other scope is needed for."""
        ranks = list(Scope)
        return ranks.index(self) >= ranks.index(other)


_NAMES_OWNER = re.compile(r"(?:whk|api|xc)_([A-Za-z0-9]{1,32})_[A-Za-z0-9_-]{20,}")


def new(kind: Kind, user_id: str) -> str:
    """A fresh random credential. Shown to its owner once; store `digest` of it."""
    return f"{kind}_{user_id}_{secrets.token_urlsafe(32)}"


def digest(credential: str) -> str:
    """What is stored instead of the credential."""
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()


def entropy(text: str) -> float:
    """At most so many bits a text holds, by how often its characters and its pairs of characters repeat."""
    return min(_shannon(list(text)), _shannon([text[n : n + 2] for n in range(len(text) - 1)]))


def _shannon(parts: list[str]) -> float:
    counts = Counter(parts)
    return -sum(count * math.log2(count / len(parts)) for count in counts.values())


def owner(credential: str) -> str | None:
    """The user a credential claims to belong to; None for one that was chosen by hand. A claim only.

    `verify` decides.
    """
    found = _NAMES_OWNER.fullmatch(credential)
    return found.group(1) if found else None


def verify(credential: str, stored: Mapping[str, Any] | None, kinds: tuple[Kind, ...], now: datetime) -> None:
    """Checks a credential against its record.

    Args:
        stored: The record found under `digest(credential)`; None if there is none.
        kinds: What the credential may be to open this door.

    Raises:
        Unauthorized: `token_wrong` if it is unknown, of another kind or revoked; `token_expired` if its time
            is over.
    """
    verify_hash(digest(credential), stored, kinds, now)


def verify_hash(
    token_hash: str, stored: Mapping[str, Any] | None, kinds: tuple[Kind, ...], now: datetime
) -> None:
    """Checks a credential of which only the digest is known, as `verify` does."""
    known = stored is not None and hmac.compare_digest(str(stored["token_hash"]), token_hash)
    if stored is None or not known or stored["kind"] not in kinds or stored.get("revoked_at"):
        raise Unauthorized("token_wrong")
    expires_at = stored.get("expires_at")
    if expires_at and datetime.fromisoformat(expires_at) <= now:
        raise Unauthorized("token_expired")
