"""Which destinations are refused."""

import ipaddress
import socket
from typing import Any

import pytest
from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES

from chalicelib.errors import Refused
from chalicelib.webhooks.delivery import ssrf_guard
from chalicelib.webhooks.delivery.ssrf_guard import Policy, why_not_public

NOT_PUBLIC_V4 = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
)
NOT_PUBLIC_V6 = (
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "::a9fe:a9fe",
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:7f00:1",  # IPv4-translated, RFC 2765
    "::5efe:7f00:1",  # ISATAP
    "2001:470::5efe:10.0.0.1",
    "2a00:1450::200:5efe:192.168.0.1",
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",  # discard
    "2001::1",  # Teredo
    "2001:0:7f00:1::1",
    "2001:2::1",  # benchmarks
    "2001:10::1",  # ORCHID
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4
    "2002:a9fe:a9fe::1",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # cloud metadata
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",  # site-local
    "ff02::1",
)
PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "100.128.0.1",
    "172.32.0.1",
    "198.20.0.1",
    "2606:4700::1111",
    "2a00:1450:4001:80e::200e",
    "::ffff:8.8.8.8",
)


def answers(*addresses: str) -> Any:
    """A resolver that gives these addresses for any name."""
    return lambda host, port, **_: [(0, 0, 0, "", (address, port)) for address in addresses]


@pytest.mark.parametrize("address", NOT_PUBLIC_V4 + NOT_PUBLIC_V6)
def test_an_address_that_is_not_public_unicast_is_refused(address: str) -> None:
    """Every special-purpose address, IPv4, IPv6 and transition form, is refused at creation."""
    assert why_not_public(ipaddress.ip_address(address))
    with pytest.raises(Refused, match="webhook_url_refused"):
        ssrf_guard.check("https://example.com/hook", Policy(), answers(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_let_through(address: str) -> None:
    """Public unicast addresses are called."""
    ssrf_guard.check("https://example.com/hook", Policy(), answers(address))


def test_nothing_that_the_base_refuses_is_let_through() -> None:
    """Creation refuses whatever the delivery's base adapter would refuse, so a webhook that can be made can
    be called.
    """
    for network in EXTRA_BLOCKED_NET_RANGES:
        assert why_not_public(network[0])
        assert why_not_public(network[-1])


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_bad_answer_condemns_the_name(position: int) -> None:
    """A name is refused when any of its addresses is, wherever in the answer it stands."""
    addresses = ["8.8.8.8", "1.1.1.1", "2606:4700::1111"]
    addresses[position] = "10.0.0.1"
    with pytest.raises(Refused):
        ssrf_guard.check("https://example.com/", Policy(), answers(*addresses))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://",
        "https:///path",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: x",
        "https://example.com\\@127.0.0.1/",
        "https://ex%61mple.com/",
        "https://[::1",
        "https://пример.example/",
        "https://example.com/" + "x" * 2048,
    ],
)
def test_a_url_of_the_wrong_form_is_refused(url: str) -> None:
    """Other schemes, credentials, odd characters and broken hosts are refused before a name is resolved."""
    with pytest.raises(Refused, match="webhook_url_refused"):
        ssrf_guard.check(url, Policy(), answers("8.8.8.8"))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "0",
        "localhost",
    ],
)
def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    """Loopback is refused however the host spells it."""
    with pytest.raises(Refused):
        ssrf_guard.check(f"https://{host}/", Policy(), socket.getaddrinfo)


def test_http_and_loopback_are_for_the_local_stack() -> None:
    """Both settings permit exactly what they name."""
    local = Policy(allow_http=True, allow_loopback=True)
    ssrf_guard.check("http://localhost:18450/", local, answers("127.0.0.1", "::1"))
    with pytest.raises(Refused):
        ssrf_guard.check("http://localhost:18450/", local, answers("127.0.0.1", "10.0.0.1"))
    with pytest.raises(Refused):
        ssrf_guard.check("http://example.com/", Policy(allow_loopback=True), answers("8.8.8.8"))


def test_a_deployment_may_restrict_destinations() -> None:
    """With hosts or ranges listed, only those are called; a range permits no address that is not public."""
    listed = Policy(
        hosts=("hooks.example.com", "*.example.org"), networks=(ipaddress.ip_network("198.20.0.0/16"),)
    )
    ssrf_guard.check("https://hooks.example.com/", listed, answers("8.8.8.8"))
    ssrf_guard.check("https://a.example.org/", listed, answers("8.8.8.8"))
    ssrf_guard.check("https://other.example.net/", listed, answers("198.20.0.7"))
    for url, addresses in (
        ("https://example.org/", ["8.8.8.8"]),
        ("https://evilexample.org/", ["8.8.8.8"]),
        ("https://other.example.net/", ["198.20.0.7", "8.8.8.8"]),
        ("https://hooks.example.com/", ["10.0.0.1"]),
    ):
        with pytest.raises(Refused):
            ssrf_guard.check(url, listed, answers(*addresses))


def test_a_name_that_does_not_resolve_yet_may_be_subscribed() -> None:
    """Creation lets an unknown name through; the delivery checks again."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    ssrf_guard.check("https://not-yet.example.com/", Policy(), unknown)


def test_the_policy_comes_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings make the policy; without any, https to public addresses is all."""
    assert Policy.of_deployment() == Policy(ports=frozenset({80, 443}))
    monkeypatch.setenv("TRADEHOOK_WEBHOOK_ALLOW_HTTP", "true")
    monkeypatch.setenv("TRADEHOOK_WEBHOOK_HOSTS", "A.example.com, *.example.org")
    monkeypatch.setenv("TRADEHOOK_WEBHOOK_NETWORKS", "198.20.0.0/16")
    policy = Policy.of_deployment()
    assert (policy.allow_http, policy.allow_loopback, policy.hosts) == (
        True,
        False,
        ("a.example.com", "*.example.org"),
    )
    assert policy.networks == (ipaddress.ip_network("198.20.0.0/16"),)
