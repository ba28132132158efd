"""Who sends a signal, and may they: the one read of the acceptance path, and what follows from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network

from chalicelib import aws
from chalicelib.controls import rules
from chalicelib.controls.halt import Scope, Switch
from chalicelib.controls.rules import Rules
from chalicelib.errors import Forbidden, NotFound, Refused, Unauthorized
from chalicelib.http import Request, is_id
from chalicelib.signals.fields import Fields
from chalicelib.telemetry import Metric, measure
from chalicelib.users import credentials, rate_limit
from chalicelib.users.models import Owner, owner_of
from chalicelib.users.rate_limit import Usage

TRADINGVIEW = ("52.89.214.238/32", "34.212.75.30/32", "54.218.53.128/32", "52.32.178.7/32")
"""Where TradingView sends from (https://www.tradingview.com/support/solutions/43000529348)."""

_INBOUND = (credentials.Kind.WEBHOOK, credentials.Kind.XC_CODE)


@dataclass(frozen=True, slots=True)
class Sender:
    """The user a signal belongs to, as read at acceptance.

    Attributes:
        authenticated: A token or code came with the signal, and was right.
        halted: A halt switch, of everybody, of this user or of the strategy, is on.
        strategy: The strategy the signal names, as stored; None if it names none or there is none.
        rules: The risk rules of the user and of the strategy. Those of the account are asked at execution, as these are again.
        usage: How often its token has been used; None for orders by hand, which are not counted.
    """

    owner: Owner
    authenticated: bool
    halted: bool
    strategy: aws.Item | None
    rules: tuple[Rules, ...] = ()
    usage: Usage | None = None

    @property
    def user_id(self) -> str:
        """The owner's id."""
        return self.owner.user.user_id


def identify(request: Request, fields: Fields | None, user_id: str | None, now: datetime) -> Sender:
    """Finds out whose signal this is, and refuses it if they may not send it.

    Args:
        fields: The body; None if it could not be read, in which case only header and query can carry a token.
        user_id: Whose it is if no credential says otherwise: the user in the path, or the deployment's default user.

    Raises:
        Unauthorized: A credential is wrong, or missing where the user requires one.
        NotFound: There is no such user.
        Forbidden: The user is not active, or the address is not on their list.
    """
    presented = _presented(request, fields)
    claimed = user_id if request.path.get("user_id") else None
    if presented:
        claimed = claimed or credentials.owner(presented) or _owner_by_lookup(presented)
    elif claimed is None:
        claimed = user_id
    claimed = _named(claimed)
    group_name = fields.text("group_name") if fields else None
    wanted: list[tuple[str, aws.Key]] = [
        *(("users", {"user_id": claimed, "part": part}) for part in ("profile", "settings", "directory")),
        ("controls", {"scope": "global"}),
        ("controls", {"scope": f"user#{claimed}"}),
    ]
    counter = credentials.digest(presented) if presented else rate_limit.TOKENLESS
    if presented:
        wanted.append(("credentials", {"token_hash": counter}))
    if group_name:
        wanted.append(("strategies", {"user_id": claimed, "group_name": group_name}))
        wanted.append(("controls", strategy_switch(claimed, group_name).key))
    found = iter(aws.get_many([*wanted, *rate_limit.keys(claimed, counter)]))
    owner = owner_of(next(found), next(found), next(found))
    controls = [next(found), next(found)]
    credential = next(found) if presented else None
    if presented:
        _check_credential(presented, credential, claimed, now)
    if owner is None:
        raise NotFound("user_not_found")
    if not owner.user.is_active:
        raise Forbidden("user_not_active")
    if not presented and owner.settings.require_token:
        raise Unauthorized("token_missing")
    _check_address(request.source_ip, owner.settings.allowed_addresses, authenticated=bool(presented))
    strategy, switch = (next(found), next(found)) if group_name else (None, None)
    controls.append(switch)
    halted = any(bool((control or {}).get("halted")) for control in controls)
    limit = int((credential or {}).get("signals_per_minute") or owner.settings.signals_per_minute)
    used = rate_limit.Usage(claimed, counter, list(found), limit)
    return Sender(owner, bool(presented), halted, strategy, tuple(map(rules.of_item, controls)), used)


def _named(claimed: str | None) -> str:
    """The user whose signal this claims to be. Raises Unauthorized if it claims nobody, NotFound if that is no id."""
    if claimed is None:
        raise Unauthorized("token_missing")
    if not is_id(claimed):
        raise NotFound("user_not_found")
    return claimed


def strategy_switch(user_id: str, group_name: str) -> Switch:
    """The switch of the strategy that a user's signal names."""
    return Switch(Scope.STRATEGY, None, user_id, group_name)


def _presented(request: Request, fields: Fields | None) -> str | None:
    """The credential a request carries. Two different ones are refused: which of them counts would be a guess."""
    distinct = list(dict.fromkeys(_credentials(request, fields)))
    if len(distinct) > 1:
        raise Refused("conflicting_tokens")
    return distinct[0] if distinct else None


def _credentials(request: Request, fields: Fields | None) -> Iterator[str]:
    for value in (request.headers.get("x-webhook-token"), request.query.get("token")):
        if value:
            yield value
    if fields:
        for value in (fields.token, fields.code):
            if value:
                yield value


def _owner_by_lookup(credential: str) -> str:
    """The owner of a credential that was chosen by hand and so does not name them."""
    stored = aws.get_many([("credentials", {"token_hash": credentials.digest(credential)})])[0]
    if stored is None:
        raise Unauthorized("token_wrong")
    return str(stored["user_id"])


def _check_credential(presented: str, stored: aws.Item | None, claimed: str, now: datetime) -> None:
    credentials.verify(presented, stored, _INBOUND, now)
    if stored is None or stored["user_id"] != claimed:
        raise Unauthorized("token_wrong")


def _check_address(source_ip: str, allowed: tuple[str, ...], *, authenticated: bool) -> None:
    networks = [network for entry in allowed for network in (TRADINGVIEW if entry.lower() == "tradingview" else (entry,))]
    if not networks or any(ip_address(source_ip) in ip_network(network, strict=False) for network in networks):
        return
    if authenticated:  # somebody else may have the token
        measure(Metric.TOKEN_FROM_UNKNOWN_ADDRESS)
    raise Forbidden("address_refused", address=source_ip)
