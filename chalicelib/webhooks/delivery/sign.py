"""The headers of an attempt, signatures included.

Two schemes, so that both kinds of receiver work:

- `X-Webhook-Signature`: hex HMAC-SHA256 of the body under the newest secret as given.
- Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks, spec): signs `id.timestamp.body`,
  with one `v1` entry per active secret, so that a rotation never breaks a receiver.
"""

import base64
import hashlib
import hmac
from datetime import datetime

from chalicelib.webhooks.models import Webhook


def legacy(secret: str, body: str) -> str:
    """Returns the value of `X-Webhook-Signature`."""
    return "sha256=" + hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def standard(key: bytes, message_id: str, timestamp: int, body: str) -> str:
    """Returns one entry of `webhook-signature`. `timestamp` is in Unix seconds."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(
    webhook: Webhook,
    *,
    event_type: str,
    event_id: str,
    message_id: str,
    sequence: int,
    body: str,
    now: datetime,
) -> dict[str, str]:
    """Returns every header of an attempt made now. The subscription's headers never replace ours.

    Args:
        event_id: The event's id: the same for every subscription, on the WebSocket and in the event log.
        message_id: The delivery's id, one per subscription and event.
    """
    timestamp = int(now.timestamp())
    secrets = webhook.active_secrets(now)
    own = {name: value.get_secret_value() for name, value in webhook.headers.items()}
    ours = {
        "Content-Type": "application/json",
        "User-Agent": "tradehook",
        "X-Webhook-Event": event_type,
        "X-Webhook-Event-Id": event_id,
        "X-Webhook-Id": str(webhook.webhook_id),
        "X-Webhook-Signature": legacy(secrets[0].value.get_secret_value(), body),
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            standard(secret.key, message_id, timestamp, body) for secret in secrets
        ),
    }
    if sequence:
        ours["X-Webhook-Sequence"] = str(sequence)
    return own | ours


def mask_headers(sent: dict[str, str], webhook: Webhook) -> dict[str, str]:
    """Returns the headers for the history: values of the subscription's own headers are masked."""
    hidden = {name.lower() for name in webhook.headers}
    return {name: "***" if name.lower() in hidden else value for name, value in sent.items()}
