"""The code of `/xc` signals.

Each user has one. The user can see it again at any time, so it is stored encrypted, next to its hash.
"""

import base64
from datetime import UTC, datetime

from chalicelib import aws, config
from chalicelib.audit import record
from chalicelib.errors import NotFound, Retryable
from chalicelib.users import credentials, store

_TRIES = 5


def get_or_create(user_id: str, *, by: str = "system") -> str:
    """Returns the user's code. Creates it if there is none.

    Raises:
        NotFound: The user does not exist.
    """
    stored = aws.get("users", store.key(user_id, "xc_code"))
    return _decrypt(user_id, stored) if stored else _replace(user_id, by=by, only_if_none=True)


def rotate(user_id: str, *, by: str) -> str:
    """Replaces the user's code and returns the new one. The old code is void at once.

    Raises:
        NotFound: The user does not exist.
    """
    return _replace(user_id, by=by, only_if_none=False)


def _replace(user_id: str, *, by: str, only_if_none: bool) -> str:
    for _ in range(_TRIES):
        stored = aws.get("users", store.key(user_id, "xc_code"))
        if stored and only_if_none:
            return _decrypt(user_id, stored)
        code = credentials.new(credentials.Kind.XC_CODE, user_id)
        try:
            aws.transact(_writes(user_id, code, stored, by))
        except aws.WriteRefused as refused:
            if refused.failed[0] is not None:
                raise NotFound("user_not_found") from None
        else:
            return code
    raise Retryable("code changed concurrently in every try")


def _writes(user_id: str, code: str, old: aws.Item | None, by: str) -> list[aws.Write]:
    now = datetime.now(UTC)
    hashed = credentials.digest(code)
    item = {
        **store.key(user_id, "xc_code"),
        "encrypted": _encrypt(user_id, code),
        "token_hash": hashed,
        "created_at": now.isoformat(),
    }
    credential = {
        "token_hash": hashed,
        "kind": credentials.Kind.XC_CODE.value,
        "user_id": user_id,
        "name": "xc",
        "created_at": now.isoformat(timespec="microseconds"),
    }
    unmoved = (
        ("token_hash = :old", {"old": old["token_hash"]}) if old else ("attribute_not_exists(user_id)", {})
    )
    action = "xc_code.rotated" if old else "xc_code.created"
    writes = [
        aws.check_write("users", store.key(user_id, "profile"), "attribute_exists(user_id)"),
        aws.put_write("users", item, unmoved[0], **unmoved[1]),
        aws.put_write("credentials", credential, "attribute_not_exists(token_hash)"),
        record.write(record.Change(by, action, f"user#{user_id}", user_id, now)),
    ]
    if old:
        void = aws.update_write(
            "credentials", {"token_hash": old["token_hash"]}, "SET revoked_at = :now", now=now.isoformat()
        )
        writes.append(void)
    return writes


def _encrypt(user_id: str, code: str) -> str:
    answer = aws.client("kms").encrypt(
        KeyId=config.key("codes"), Plaintext=code.encode(), EncryptionContext={"user_id": user_id}
    )
    return base64.b64encode(answer["CiphertextBlob"]).decode()


def _decrypt(user_id: str, stored: aws.Item) -> str:
    answer = aws.client("kms").decrypt(
        KeyId=config.key("codes"),
        CiphertextBlob=base64.b64decode(stored["encrypted"]),
        EncryptionContext={"user_id": user_id},
    )
    return bytes(answer["Plaintext"]).decode()
