"""Exchange keys, encrypted by KMS with the account's id as context.

Keys sealed for one account cannot be opened as another account's. Sealing needs the grant Encrypt on the key
"secrets", unsealing needs Decrypt.
"""

import base64
import json

from chalicelib import aws, config
from chalicelib.errors import Retryable
from chalicelib.exchanges.protocol import Credentials
from chalicelib.telemetry import log
from chalicelib.trading import MarketType


def seal(account_id: str, credentials: Credentials) -> str:
    """Returns the keys as stored with the account."""
    plain = json.dumps(
        {"api_key": credentials.api_key, "secret": credentials.secret, "passphrase": credentials.passphrase}
    )
    answer = aws.client("kms").encrypt(
        KeyId=config.key("secrets"), Plaintext=plain.encode(), EncryptionContext=_context(account_id)
    )
    return base64.b64encode(answer["CiphertextBlob"]).decode()


def unseal(account_id: str, sealed: str, *, demo: bool) -> Credentials:
    """Returns the keys of an account.

    Args:
        demo: The keys are for the exchange's own test environment.
    """
    answer = aws.client("kms").decrypt(
        KeyId=config.key("secrets"),
        CiphertextBlob=base64.b64decode(sealed),
        EncryptionContext=_context(account_id),
    )
    stored = json.loads(answer["Plaintext"])
    return Credentials(stored["api_key"], stored["secret"], stored["passphrase"], demo=demo)


def check(exchange: str, market_type: MarketType, credentials: Credentials) -> bool:
    """Asks the exchange whether the keys may trade.

    False if the exchange cannot be asked now, or if it only confirms that the key exists.

    Raises:
        NotDoable: The exchange does not know the key, the key may not trade, or the key may withdraw.
    """
    try:
        from chalicelib.exchanges import registry  # noqa: PLC0415 - ccxt is large, and only this needs it here

        return registry.open_exchange(exchange, market_type, credentials, {}).check_key().verified
    except (ImportError, Retryable) as fault:
        log.warning("exchange key not checked", extra={"exchange": exchange, "fault": type(fault).__name__})
        return False


def _context(account_id: str) -> dict[str, str]:
    return {"account_id": account_id}
