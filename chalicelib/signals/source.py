"""Authenticates the source of a signal and checks its permissions. Contains acceptance's single read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address

from chalicelib import aws, config
from chalicelib.errors import Forbidden, NotFound, Refused, Unauthorized
from chalicelib.http import Request, is_id
from chalicelib.risk import rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.risk.rules import Rules
from chalicelib.signals.reading import presented
from chalicelib.signals.reading.fields import Fields
from chalicelib.telemetry import Metric, measure
from chalicelib.users import addresses, credentials, signal_quota
from chalicelib.users.models import UserContext, user_context_from_items
from chalicelib.users.signal_quota import Usage

_MOST_CREDENTIALS = 8  # read together. No signal has more
_INBOUND = (credentials.Kind.WEBHOOK, credentials.Kind.XC_CODE)


@dataclass(frozen=True, slots=True)
class SignalSource:
    """The user and webhook of a signal, as read at acceptance.

    Attributes:
        authenticated: The signal carries a valid token or code.
        halted: A halt is set: global, of this user, or of the strategy.
        strategy: The strategy that the signal names, as stored. None if it names none or none exists.
        credential: Digest of the signal's credential. `tokenless` if it has none, empty for manual orders.
        rules: The risk rules of the user and of the strategy. Execution checks them again, together with
            those of the account.
        usage: The token's quota. None for manual orders, which have no quota.
        token: The record of the signal's token. None without a token.
    """

    owner: UserContext
    authenticated: bool
    halted: bool
    strategy: aws.Item | None
    rules: tuple[Rules, ...] = ()
    usage: Usage | None = None
    credential: str = ""
    token: aws.Item | None = field(default=None, repr=False)

    @property
    def user_id(self) -> str:
        """The user's id."""
        return self.owner.user.user_id

    def check(self, source_ip: str) -> None:
        """Checks whether the user may send signals from this address.

        A manual order is authorised by its API token and permitted from any address.

        Raises:
            Unauthorized: There is no credential, and the user requires one, or the deployment does for this
                address.
            Forbidden: The user is not active, or the address is not on the list of the user or of the token.
        """
        if not self.credential:
            return
        if not self.owner.user.is_active:
            raise Forbidden("user_not_active")
        if not self.is_known or not (self.authenticated or _takes_tokenless(source_ip)):
            raise Unauthorized("token_missing")
        _check_address(source_ip, self.owner.settings.allowed_addresses, authenticated=self.authenticated)
        addresses.check_token(self.token or {}, source_ip)

    @property
    def is_known(self) -> bool:
        """Whether the user is certain, by a credential or because the user permits signals without one."""
        return self.authenticated or not self.owner.settings.require_token


def identify(request: Request, fields: Fields | None, user_id: str | None, now: datetime) -> SignalSource:
    """Identifies the source of a signal. `SignalSource.check` checks its permissions.

    Args:
        fields: The body. None if it is unreadable, then only header and query can carry a token.
        user_id: The user if no credential names another one: the user in the path, or the deployment's
            default user.

    Raises:
        Unauthorized: A credential is wrong, or nothing names the user.
        NotFound: The user does not exist.
        Refused: `conflicting_tokens`: two valid credentials. A choice would be a guess.
    """
    checked = presented.of(request, fields).checked
    first = checked[0] if checked else None
    if len(checked) > _MOST_CREDENTIALS:
        raise Refused("conflicting_tokens")
    claimed = user_id if request.path.get("user_id") else None
    if first:
        claimed = claimed or credentials.owner(first) or _owner_by_lookup(first)
    elif claimed is None:
        claimed = user_id
    claimed = _named(claimed)
    group_name = fields.text("group_name") if fields else None
    wanted: list[tuple[str, aws.Key]] = [
        *(("users", {"user_id": claimed, "part": part}) for part in ("profile", "settings", "directory")),
        ("risk", {"scope": "global"}),
        ("risk", {"scope": f"user#{claimed}"}),
    ]
    digests = [credentials.digest(each) for each in checked]
    counter = digests[0] if digests else signal_quota.TOKENLESS
    wanted += [("credentials", {"token_hash": digest}) for digest in digests]
    if group_name:
        wanted.append(("strategies", {"user_id": claimed, "group_name": group_name}))
        wanted.append(("risk", strategy_switch(claimed, group_name).key))
    found = iter(aws.get_many([*wanted, *signal_quota.item_keys(claimed, counter)]))
    owner = user_context_from_items(next(found), next(found), next(found))
    controls = [next(found), next(found)]
    stored = [next(found) for _ in digests]
    _check_credentials(dict(zip(checked, stored, strict=True)), claimed, now)
    credential = stored[0] if stored else None
    if owner is None:
        raise NotFound("user_not_found")
    strategy, switch = (next(found), next(found)) if group_name else (None, None)
    controls.append(switch)
    halted = any(bool((control or {}).get("halted")) for control in controls)
    limit = int((credential or {}).get("signals_per_minute") or owner.settings.signals_per_minute)
    used = signal_quota.Usage(claimed, counter, list(found), limit)
    return SignalSource(
        owner,
        bool(first),
        halted,
        strategy,
        tuple(map(rules.rules_from_item, controls)),
        used,
        counter,
        credential,
    )


def _named(claimed: str | None) -> str:
    """Returns the user that the signal claims to belong to.

    Raises Unauthorized if it names no user, NotFound if the name is no id.
    """
    if claimed is None:
        raise Unauthorized("token_missing")
    if not is_id(claimed):
        raise NotFound("user_not_found")
    return claimed


def strategy_switch(user_id: str, group_name: str) -> Switch:
    """Returns the halt switch of the strategy that a user's signal names."""
    return Switch(Scope.STRATEGY, None, user_id, group_name)


def _owner_by_lookup(credential: str) -> str:
    """Returns the user of a credential that a user chose, which does not contain the user's id."""
    stored = aws.get_many([("credentials", {"token_hash": credentials.digest(credential)})])[0]
    if stored is None:
        raise Unauthorized("token_wrong")
    return str(stored["user_id"])


def _check_credentials(stored: Mapping[str, aws.Item | None], claimed: str, now: datetime) -> None:
    """Verifies every presented credential against its record. The first one must belong to the user."""
    for position, (credential, record) in enumerate(stored.items()):
        credentials.verify(credential, record, _INBOUND, now)
        if position == 0 and (record is None or record["user_id"] != claimed):
            raise Unauthorized("token_wrong")
    if len(stored) > 1:
        raise Refused("conflicting_tokens")


def _takes_tokenless(source_ip: str) -> bool:
    """Returns whether the deployment takes signals without a token from this address, if the user does."""
    permitted = config.setting("TOKENLESS")
    return not permitted or (permitted == "loopback" and ip_address(source_ip).is_loopback)


def _check_address(source_ip: str, allowed: tuple[str, ...], *, authenticated: bool) -> None:
    if addresses.contains(allowed, source_ip):
        return
    if authenticated:  # the token may have leaked
        measure(Metric.TOKEN_FROM_UNKNOWN_ADDRESS)
    raise Forbidden("address_refused", address=source_ip)
