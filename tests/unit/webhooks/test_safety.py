"""What a change of a subscription leaves behind and gives away.

Audit, sealed secrets, another host, our own hosts, header names.
"""

import json
from typing import Any

import pytest

from chalicelib.errors import Refused, TooMany
from chalicelib.webhooks.delivery import ssrf_guard
from tests.unit.webhooks.conftest import World


def trail(world: World) -> list[str]:
    """The actions of the audit trail, oldest first."""
    return [row["action"] for row in sorted(world.rows("audit"), key=lambda row: row["at"])]


@pytest.mark.parametrize(
    ("method", "path", "body", "action"),
    [
        ("PATCH", "/webhooks/1", {"name": "x"}, "webhook.updated"),
        ("PATCH", "/webhooks/1", {"name": "x", "is_active": False}, "webhook.paused"),
        ("PATCH", "/webhooks/1", {"url": "https://other.example.com/"}, "webhook.updated"),
        ("POST", "/webhooks/1/pause", None, "webhook.paused"),
        ("POST", "/webhooks/1/rotate-secret", None, "webhook.secret_rotated"),
        ("POST", "/webhooks/1/replay", None, "webhook.replayed"),
        ("DELETE", "/webhooks/1", None, "webhook.deleted"),
    ],
)
def test_each_change_leaves_one_entry(world: World, method: str, path: str, body: Any, action: str) -> None:
    """Any change of a subscription has one audit entry, and a change of nothing has none."""
    world.subscribe()
    world.passes(seconds=1)
    world.call(method, path, body)
    assert trail(world) == ["webhook.created", action]
    if method == "PATCH" and "url" not in body:
        world.passes(seconds=1)
        world.call(method, path, body)
        assert len(trail(world)) == 2


def test_all_admins_are_told_of_a_subscription_with_admin_scope(world: World) -> None:
    """A new subscription to all users' events is an event of the admins' stream, in the same transaction."""
    world.subscribe(scope="user", user_id="7")
    assert not world.rows("outbox")
    world.subscribe()
    [told] = world.rows("outbox")
    assert (told["type"], told["user_id"], told["payload"]["scope"]) == ("webhook.created", None, "admin")


def test_secrets_and_header_values_are_sealed(world: World) -> None:
    """No table holds a secret or a header value; deliveries are signed with them all the same."""
    world.subscribe(secret="the-secret", headers={"X-Key": "the-value", "X-Empty": ""})
    world.call("POST", "/webhooks/1/rotate-secret", {"secret": "the-next-secret"})
    world.call("PATCH", "/webhooks/1", {"name": "still readable"})
    stored = json.dumps(
        [world.rows(table) for table in ("webhooks", "deliveries", "outbox", "audit")], default=str
    )
    assert not [word for word in ("the-secret", "the-value", "the-next-secret") if word in stored]
    world.publish(world.event())
    world.passes(minutes=1)
    [sent] = world.sent
    assert (sent["headers"]["X-Key"], sent["headers"]["X-Empty"]) == ("the-value", "")
    assert len(sent["headers"]["webhook-signature"].split()) == 2


def test_a_sealed_value_opens_for_its_own_subscription_only(world: World) -> None:
    """A ciphertext that is copied to another subscription cannot be opened there."""
    from botocore.exceptions import ClientError

    from chalicelib.webhooks.sealing import Sealed

    world.subscribe(secret="the-secret")
    world.subscribe()
    sealed = world.webhook(1).secrets[0].value.sealed
    with pytest.raises(ClientError):
        Sealed(2, sealed).get_secret_value()


@pytest.mark.parametrize("url", ["https://other.example.com/webhook", "https://www.example.com/webhook"])
def test_another_host_gets_nothing_of_the_one_before(world: World, url: str) -> None:
    """A new host drops the headers and makes a new secret; the headers of the same request stay."""
    world.subscribe(secret="the-secret", headers={"X-Key": "the-value"})
    changed = world.call("PATCH", "/webhooks/1", {"url": url}).body
    assert (changed["headers"], changed["secret"] != "the-secret") == ({}, True)
    assert [secret.value.get_secret_value() for secret in world.webhook().secrets] == [changed["secret"]]
    changed = world.call(
        "PATCH", "/webhooks/1", {"url": "https://third.example.com/", "headers": {"X-New": "v"}}
    ).body
    assert changed["headers"] == {"X-New": "***"}


def test_another_path_keeps_headers_and_secret(world: World) -> None:
    """On the same host nothing is given away."""
    world.subscribe(secret="the-secret", headers={"X-Key": "the-value"})
    changed = world.call("PATCH", "/webhooks/1", {"url": "https://example.com/other"}).body
    assert (changed["headers"], "secret" in changed) == ({"X-Key": "***"}, False)


@pytest.mark.parametrize(
    "name",
    [
        "x_webhook_signature",
        "X_Key",
        "X-Forwarded-For",
        "Range",
        "HTTP2-Settings",
        "Forwarded",
        "Sec-Fetch-Site",
        "X-Original-URL",
        "a.b",
    ],
)
def test_header_names_that_are_read_otherwise(world: World, name: str) -> None:
    """Names that a receiver maps to ours, or that a proxy reads, are refused."""
    with pytest.raises(Refused) as refused:
        world.subscribe(headers={name: "v"})
    assert refused.value.code == "invalid_headers"


OWN = ssrf_guard.Policy(allow_http=True, own=frozenset({("api.example.com", 443), ("loopback", 8080)}))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/webhook",
        "https://API.example.com./webhook",
        "https://api.example.com:8443/",
        "http://127.0.0.1:8080/webhook",
        "http://localhost:8080/",
        "http://[::1]:8080/",
        "http://127.9.9.9:8080/",
        "http://[::ffff:127.0.0.1]:8080/",
    ],
)
def test_our_own_hosts_are_refused(url: str) -> None:
    """An order of ours must not become the next signal, however our host is written."""
    with pytest.raises(ssrf_guard.Forbidden):
        ssrf_guard.check_url(url, OWN)


def test_our_own_hosts_under_another_name() -> None:
    """A name that resolves to our loopback port is refused too; other ports of loopback are not ours."""
    from ipaddress import ip_address

    loopback = ssrf_guard.Policy(allow_http=True, allow_loopback=True, own=OWN.own)
    with pytest.raises(ssrf_guard.Forbidden):
        ssrf_guard.check_addresses("ours.example.org", [ip_address("127.0.0.1")], loopback, 8080)
    ssrf_guard.check_addresses("ours.example.org", [ip_address("127.0.0.1")], loopback, 9000)
    ssrf_guard.check_url("http://127.0.0.1:9000/", loopback)


def test_the_deployments_hosts_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy takes them from the deployment's URLs, and allows the usual ports and the listed ones."""
    monkeypatch.setenv("TRADEHOOK_PUBLIC_URL", "https://api.example.com")
    monkeypatch.setenv("TRADEHOOK_WS_URL", "wss://ws.example.com/ws")
    monkeypatch.setenv("TRADEHOOK_WEBHOOK_PORTS", "8443")
    policy = ssrf_guard.Policy.of_deployment()
    for url in ("https://api.example.com/x", "https://ws.example.com/", "https://example.org:25/"):
        with pytest.raises(ssrf_guard.Forbidden):
            ssrf_guard.check_url(url, policy)
    for url in ("https://example.org/", "https://example.org:8443/"):
        ssrf_guard.check_url(url, policy)


def test_the_test_event_keeps_to_the_rate_limit(world: World) -> None:
    """The test route calls the endpoint no more often than its rate limit."""
    world.subscribe(rate_limit=1)
    world.call("POST", "/webhooks/1/test")
    with pytest.raises(TooMany):
        world.call("POST", "/webhooks/1/test")
    assert len(world.sent) == 1
