"""Signatures, verified by the published receiver code and by the standardwebhooks package."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Standard
from standardwebhooks import WebhookVerificationError

from chalicelib.webhooks.delivery import sign
from chalicelib.webhooks.models import Scope, Secret, Webhook, canonical

WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()


def verify_webhook_signature(payload: dict[str, Any], signature_header: str, secret: str) -> bool:
    """The verifier as subscribers were given it."""
    payload_json = json.dumps(payload, sort_keys=True)
    expected_signature = hmac.new(
        secret.encode("utf-8"), payload_json.encode("utf-8"), hashlib.sha256
    ).hexdigest()

    received_signature = signature_header.replace("sha256=", "")
    return hmac.compare_digest(expected_signature, received_signature)


def subscription(*secrets: Secret, **more: Any) -> Webhook:
    now = datetime.now(UTC)
    return Webhook(
        webhook_id=1,
        owner="1",
        scope=Scope.ADMIN,
        name="n",
        url="https://example.com/",
        event_types=("*",),
        secrets=secrets,
        created_at=now,
        updated_at=now,
        **more,
    )


def signed(webhook: Webhook, body: str) -> dict[str, str]:
    names = {"event_type": "user.created", "event_id": "e-1", "message_id": "msg_1"}
    return sign.headers(webhook, **names, sequence=3, body=body, now=datetime.now(UTC))


@pytest.mark.parametrize("secret", ["optional-secret-for-signing", "s", "ключ", WHSEC])
def test_the_published_verifier_accepts(secret: str) -> None:
    """The published verifier re-serialises the payload and finds the signature right, whatever the secret and
    the payload.
    """
    payload = {
        "user_id": 123,
        "username": "Тест ✓",
        "referred_by_id": None,
        "b": True,
        "amount": "18577.56",
        "a": [1, {"z": 1, "y": 2}],
    }
    body = canonical(payload)
    headers = signed(subscription(Secret(value=SecretStr(secret))), body)
    assert verify_webhook_signature(json.loads(body), headers["X-Webhook-Signature"], secret)
    assert not verify_webhook_signature(
        json.loads(body) | {"user_id": 124}, headers["X-Webhook-Signature"], secret
    )


def test_the_standard_webhooks_package_accepts_every_active_secret() -> None:
    """During an overlap either secret verifies; a secret whose overlap is over, or another body, does not."""
    now = datetime.now(UTC)
    plain, old = "plain-secret-of-some-length", "whsec_" + base64.b64encode(b"o" * 24).decode()
    webhook = subscription(
        Secret(value=SecretStr(WHSEC)),
        Secret(value=SecretStr(plain), expires_at=now + timedelta(hours=1)),
        Secret(value=SecretStr(old), expires_at=now - timedelta(seconds=1)),
    )
    body = canonical({"a": 1})
    headers = signed(webhook, body)
    assert headers["webhook-signature"].count("v1,") == 2
    assert Standard(WHSEC).verify(body, headers) == {"a": 1}
    assert Standard(base64.b64encode(plain.encode()).decode()).verify(body, headers) == {"a": 1}
    for secret, sent in ((old, body), (WHSEC, body + " ")):
        with pytest.raises(WebhookVerificationError):
            Standard(secret).verify(sent, headers)


def test_our_signature_is_the_packages_own() -> None:
    """Entry for entry what the standardwebhooks package would sign."""
    now = datetime.now(UTC)
    assert sign.standard(b"k" * 32, "msg_1", int(now.timestamp()), "{}") == Standard(WHSEC).sign(
        "msg_1", now, "{}"
    )


def test_own_headers_are_sent_and_never_replace_ours() -> None:
    """Custom headers go along; ours win; in the history their values are masked."""
    webhook = subscription(
        Secret(value=SecretStr("s")), headers={"Authorization": "Bearer abc", "x-webhook-id": "9"}
    )
    headers = signed(webhook, "{}")
    assert headers["Authorization"] == "Bearer abc"
    assert headers["X-Webhook-Id"] == "1"
    assert sign.mask_headers(headers, webhook)["Authorization"] == "***"


def test_secrets_do_not_show() -> None:
    """Neither the representation of a subscription nor its JSON shows secrets or header values."""
    webhook = subscription(Secret(value=SecretStr("hush-hush")), headers={"Authorization": "Bearer abc"})
    for text in (repr(webhook), str(webhook), webhook.model_dump_json()):
        assert "hush-hush" not in text
        assert "abc" not in text
