"""Creates, classifies and verifies tokens and codes. Only their SHA-256 is stored.

A token names its user, `whk_{user_id}_{random}`, so one read fetches the token together with the user's
records. The random part has 256 bits. A slow hash would add nothing, because the token cannot be guessed.
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
    """What a credential gives access to. A webhook token never opens the API, nor an API token a webhook."""

    WEBHOOK = "whk"
    API = "api"
    XC_CODE = "xc"


class Scope(StrEnum):
    """The scope of an API token. Each scope includes the ones before.

    `read` what its user may read · `trade` orders, prices, halts · `manage` accounts, strategies, webhooks,
    tokens, settings · `admin` what only admins may do, if the user is an admin.
    """

    READ = "read"
    TRADE = "trade"
    MANAGE = "manage"
    ADMIN = "admin"

    def covers(self, other: "Scope") -> bool:
        """Returns whether a token of this scope may do what requires the other scope."""
        ranks = list(Scope)
        return ranks.index(self) >= ranks.index(other)


_NAMES_OWNER = re.compile(r"(?:whk|api|xc)_([A-Za-z0-9]{1,32})_[A-Za-z0-9_-]{20,}")


def new(kind: Kind, user_id: str) -> str:
    """Returns a new random credential. The user sees it once. Store its `digest`."""
    return f"{kind}_{user_id}_{secrets.token_urlsafe(32)}"


def digest(credential: str) -> str:
    """Returns the hash that is stored in place of the credential."""
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()


def entropy(text: str) -> float:
    """Returns an upper bound of a text's entropy in bits, from repeated characters and pairs."""
    return min(_shannon(list(text)), _shannon([text[n : n + 2] for n in range(len(text) - 1)]))


def _shannon(parts: list[str]) -> float:
    counts = Counter(parts)
    return -sum(count * math.log2(count / len(parts)) for count in counts.values())


def owner(credential: str) -> str | None:
    """Returns the user that a credential claims to belong to. Only `verify` confirms the claim.

    None for a credential that a user chose.
    """
    found = _NAMES_OWNER.fullmatch(credential)
    return found.group(1) if found else None


def verify(credential: str, stored: Mapping[str, Any] | None, kinds: tuple[Kind, ...], now: datetime) -> None:
    """Verifies a credential against its record.

    Args:
        stored: The record found under `digest(credential)`. None if there is none.
        kinds: The kinds of credential that are valid here.

    Raises:
        Unauthorized: `token_wrong` if the credential is unknown, of another kind or revoked; `token_expired`
            if it has expired.
    """
    verify_hash(digest(credential), stored, kinds, now)


def verify_hash(
    token_hash: str, stored: Mapping[str, Any] | None, kinds: tuple[Kind, ...], now: datetime
) -> None:
    """Verifies a credential of which only the digest is known, as `verify` does."""
    known = stored is not None and hmac.compare_digest(str(stored["token_hash"]), token_hash)
    if stored is None or not known or stored["kind"] not in kinds or stored.get("revoked_at"):
        raise Unauthorized("token_wrong")
    expires_at = stored.get("expires_at")
    if expires_at and datetime.fromisoformat(expires_at) <= now:
        raise Unauthorized("token_expired")
