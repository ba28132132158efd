"""The address guard: which destinations a webhook may call.

Creation, test event and every delivery use this guard. A subscriber names the URL. Without a guard, the URL
could reach addresses that only this system reaches: the cloud's metadata service, a database, the system
itself (server-side request forgery).

Only public unicast addresses are called. The lists follow the IANA special-purpose address registries (RFC
6890 and its updates):

- IPv4: everything that is listed.
- IPv6: everything outside 2000::/3 and its special parts.
- IPv4-mapped and ISATAP addresses are judged by the IPv4 address inside.
- NAT64, 6to4, Teredo, IPv4-compatible and IPv4-translated addresses are always refused.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from chalicelib import config
from chalicelib.errors import Refused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[..., Sequence[Any]]

_LONGEST_URL = 2048
_LAST_PORT = 65535
_LOOPBACK = "loopback"
_LONGEST_HOST = 253
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")  # some resolvers read such a name as an IPv4 address
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # the upper half of the interface identifier, RFC 5214 §6.1


class Forbidden(Exception):
    """The destination may not be called. The text says why, without path and query of the URL."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The destinations that a deployment allows.

    Attributes:
        allow_http: Plain http. Only the local stack turns this on, and `allow_loopback` likewise.
        hosts: If hosts or networks are listed, only they are called: `hooks.example.com`, `*.example.com`.
        networks: Address ranges. All addresses of a name must be inside.
        own: The deployment's own hosts and ports. A delivery to one of them would be the next signal, in an
            endless loop.
        ports: Ports that may be called. None allows any, as the local stack does.
    """

    allow_http: bool = False
    allow_loopback: bool = False
    hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    own: frozenset[tuple[str, int]] = frozenset()
    ports: frozenset[int] | None = None

    @classmethod
    def of_deployment(cls) -> "Policy":
        """Returns the policy of this deployment's settings.

        The settings are `WEBHOOK_ALLOW_HTTP`, `WEBHOOK_ALLOW_LOOPBACK`, `WEBHOOK_HOSTS` and
        `WEBHOOK_NETWORKS`.
        """
        return cls(
            allow_http=_is_on("WEBHOOK_ALLOW_HTTP"),
            allow_loopback=_is_on("WEBHOOK_ALLOW_LOOPBACK"),
            hosts=tuple(host.lower() for host in _setting_list("WEBHOOK_HOSTS")),
            networks=tuple(ipaddress.ip_network(network) for network in _setting_list("WEBHOOK_NETWORKS")),
            own=_own(),
            ports=None
            if _is_on("WEBHOOK_ALLOW_LOOPBACK")
            else frozenset({443, 80, *map(int, _setting_list("WEBHOOK_PORTS"))}),
        )


def why_not_public(address: Address) -> str | None:
    """Returns why this is not a public unicast address, or None if it is one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return why_not_public(address.ipv4_mapped)
        special = address not in _UNICAST_V6 or any(address in network for network in _SPECIAL_V6)
        if special or address.scope_id:
            return "not a public unicast address"
        if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            return why_not_public(IPv4Address(int(address) & 0xFFFFFFFF))
        return None
    return "not a public unicast address" if any(address in network for network in _SPECIAL_V4) else None


def check_url(url: str, policy: Policy) -> SplitResult:
    """Returns the URL's parts if its form is allowed.

    Raises:
        Forbidden: The form is not allowed.
    """
    if (
        len(url) > _LONGEST_URL
        or not url.isascii()
        or any(character <= " " or character in '\\<>"\x7f' for character in url)
    ):
        raise Forbidden("URL is too long or has characters that a URL cannot have")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Forbidden("URL is malformed") from error
    if parts.scheme not in (("https", "http") if policy.allow_http else ("https",)):
        raise Forbidden("URL must be https")
    if not parts.hostname or parts.username is not None or parts.password is not None or "%" in parts.netloc:
        raise Forbidden("URL must name a host, and no user or password")
    if not _is_host(parts.hostname):
        raise Forbidden("host is not written as one")
    if port is not None and not 0 < port <= _LAST_PORT:
        raise Forbidden("port is out of range")
    called = port or (443 if parts.scheme == "https" else 80)
    if policy.ports is not None and called not in policy.ports:
        raise Forbidden("port is not one that webhooks may use")
    if is_own(parts.hostname, called, policy):
        raise Forbidden("URL is this deployment's own")
    return parts


def _is_host(host: str) -> bool:
    """Returns whether a host is a name by RFC 1123 or an address in its usual form.

    Other forms of an address, which only some resolvers read, are no host.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        return (
            len(host) <= _LONGEST_HOST
            and all(map(_LABEL.fullmatch, labels))
            and not _NUMERIC.fullmatch(labels[-1])
        )
    return True


def is_own(host: str, port: int, policy: Policy) -> bool:
    """Returns whether a host is the deployment's own.

    A name counts on every port, loopback only on the port that the deployment listens on.
    """
    name = _canonical(host)
    return (name, port) in policy.own or (name != _LOOPBACK and any(name == own for own, _ in policy.own))


def check_addresses(host: str, addresses: Sequence[Address], policy: Policy, port: int = 443) -> None:
    """Raises Forbidden unless every address of a name may be called.

    One forbidden address forbids the name.
    """
    for address in addresses:
        if is_own(str(address), port, policy):
            raise Forbidden("URL is this deployment's own")
        if _plain(address).is_loopback and policy.allow_loopback:
            continue
        if reason := why_not_public(address):
            raise Forbidden(reason)
    if not (policy.hosts or policy.networks) or _host_listed(host, policy.hosts):
        return
    if (
        not addresses
        or not policy.networks
        or not all(_in_any(_plain(address), policy.networks) for address in addresses)
    ):
        raise Forbidden("destination is not on this deployment's list")


def resolve(host: str, port: int, getaddrinfo: Resolve = socket.getaddrinfo) -> list[Address]:
    """Returns every address of a name, in the resolver's order. Raises OSError without one."""
    return [ipaddress.ip_address(answer[4][0]) for answer in getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def check(url: str, policy: Policy, getaddrinfo: Resolve = socket.getaddrinfo) -> None:
    """The guard at creation: raises Refused where a delivery would be refused too.

    A name that does not resolve now passes: it may resolve at delivery time, and every delivery checks again.
    """
    try:
        parts = check_url(url, policy)
        host = str(parts.hostname)
        try:
            addresses = resolve(host, parts.port or 443, getaddrinfo)
        except (OSError, UnicodeError):
            addresses = []
            if policy.networks and not _host_listed(host, policy.hosts):
                return
        check_addresses(host, addresses, policy, parts.port or (443 if parts.scheme == "https" else 80))
    except Forbidden as refused:
        raise Refused("webhook_url_refused", field="url", reason=str(refused)) from None


def _own() -> frozenset[tuple[str, int]]:
    """Returns the hosts and ports of the deployment's own URLs."""
    found = set()
    for url in (
        *map(config.setting, ("PUBLIC_URL", "WS_URL", "API_URL", "DASHBOARD_URL")),
        config.aws_endpoint() or "",
    ):
        parts = urlsplit(url)
        if parts.hostname:
            found.add(
                (_canonical(parts.hostname), parts.port or (443 if parts.scheme in ("https", "wss") else 80))
            )
    return frozenset(found)


def _canonical(host: str) -> str:
    """Returns a host for comparison: lower case, no root dot, one form for loopback."""
    name = host.lower().rstrip(".").strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return _LOOPBACK
    try:
        return _LOOPBACK if _plain(ipaddress.ip_address(name)).is_loopback else name
    except ValueError:
        return name


def _plain(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _in_any(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _host_listed(host: str, hosts: Sequence[str]) -> bool:
    host = host.lower().rstrip(".")
    return any(host == listed or (listed.startswith("*.") and host.endswith(listed[1:])) for listed in hosts)


def _is_on(setting: str) -> bool:
    return config.setting(setting).lower() in ("1", "true", "yes", "on")


def _setting_list(setting: str) -> list[str]:
    return [entry.strip() for entry in config.setting(setting).split(",") if entry.strip()]
