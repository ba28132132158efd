"""Signing secrets and custom header values, encrypted by KMS with the subscription's id as context.

Only the signing of an attempt opens them. Lists and changes of subscriptions carry the stored values. Sealing
needs the grant Encrypt on the key "webhooks", opening needs Decrypt.
"""

import base64
from functools import lru_cache
from time import monotonic

from pydantic import SecretStr

from chalicelib import aws, config

_OPEN_FOR_S = 300
"""Seconds that a decrypted value stays in memory, so that not every attempt calls KMS."""


class Sealed(SecretStr):
    """A stored value that is opened on use."""

    def __init__(self, webhook_id: int, sealed: str) -> None:
        super().__init__("")
        self.webhook_id = webhook_id
        self.sealed = sealed

    def get_secret_value(self) -> str:
        """Returns the decrypted value."""
        return _open(self.webhook_id, self.sealed, int(monotonic() // _OPEN_FOR_S))


def seal(webhook_id: int, value: SecretStr) -> str:
    """Returns a value as stored. A stored value stays unchanged."""
    if isinstance(value, Sealed) and value.webhook_id == webhook_id:
        return value.sealed
    plain = value.get_secret_value().encode()
    answer = aws.client("kms").encrypt(
        KeyId=config.key("webhooks"), Plaintext=plain or _EMPTY, EncryptionContext=_context(webhook_id)
    )
    return base64.b64encode(answer["CiphertextBlob"]).decode()


@lru_cache(maxsize=4096)
def _open(webhook_id: int, sealed: str, _stretch: int) -> str:
    blob = base64.b64decode(sealed)
    answer = aws.client("kms").decrypt(
        KeyId=config.key("webhooks"), CiphertextBlob=blob, EncryptionContext=_context(webhook_id)
    )
    plain = bytes(answer["Plaintext"])
    return "" if plain == _EMPTY else plain.decode()


_EMPTY = b"\x00"  # KMS encrypts at least one byte; no secret or header value is this byte


def _context(webhook_id: int) -> dict[str, str]:
    return {"webhook_id": str(webhook_id)}
