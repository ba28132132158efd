"""Who sends a signal, and may they: the one read of the acceptance path, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network

from chalicelib import aws
from chalicelib.errors import Forbidden, NotFound, Refused, Unauthorized
from chalicelib.http import Request, is_id
from chalicelib.risk import rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.risk.rules import Rules
from chalicelib.signals import presented
from chalicelib.signals.fields import Fields
from chalicelib.telemetry import Metric, measure
from chalicelib.users import credentials, signal_quota
from chalicelib.users.models import UserContext, user_context_from_items
from chalicelib.users.signal_quota import Usage

TRADINGVIEW = ("52.89.214.238/32", "34.212.75.30/32", "54.218.53.128/32", "52.32.178.7/32")
"""Where TradingView sends from (https://www.tradingview.com/support/solutions/43000529348)."""

_MOST_CREDENTIALS = 8  # read together; a request with more of them is no signal
_INBOUND = (credentials.Kind.WEBHOOK, credentials.Kind.XC_CODE)


@dataclass(frozen=True, slots=True)
class SignalSource:
    """The user a signal belongs to, as read at acceptance.

    Attributes:
        authenticated: A token or code came with the signal, and was right.
        halted: A halt switch, of everybody, of this user or of the strategy, is on.
        strategy: The strategy the signal names, as stored; None if it names none or there is none.
        credential: Digest of the credential it came with; `tokenless` if it came with none, empty for orders
            by hand.
        rules: The risk rules of the user and of the strategy. Those of the account are asked at execution, as
            these are again.
        usage: How often its token has been used; None for orders by hand, which are not counted.
    """

    owner: UserContext
    authenticated: bool
    halted: bool
    strategy: aws.Item | None
    rules: tuple[Rules, ...] = ()
    usage: Usage | None = None
    credential: str = ""

    @property
    def user_id(self) -> str:
        """The owner's id."""
        return self.owner.user.user_id

    def check(self, source_ip: str) -> None:
        """Refuses what the user may not send.

        An order by hand is permitted by its API token, from any address.

        Raises:
            Unauthorized: There is no credential, and the user requires one.
            Forbidden: The user is not active, or the address is not on their list.
        """
        if not self.credential:
            return
        if not self.owner.user.is_active:
            raise Forbidden("user_not_active")
        if not self.is_known:
            raise Unauthorized("token_missing")
        _check_address(source_ip, self.owner.settings.allowed_addresses, authenticated=self.authenticated)

    @property
    def is_known(self) -> bool:
        """Whether the signal is the user's for certain.

        By its credential, or because the user takes signals without one.
        """
        return self.authenticated or not self.owner.settings.require_token


def identify(request: Request, fields: Fields | None, user_id: str | None, now: datetime) -> SignalSource:
    """Finds out whose signal this is. Whether they may send it, `Sender.check` says.

    Args:
        fields: The body; None if it could not be read, in which case only header and query can carry a token.
        user_id: Whose it is if no credential says otherwise: the user in the path, or the deployment's
            default user.

    Raises:
        Unauthorized: One of the credentials presented is wrong, or nothing says whose signal it is.
        NotFound: There is no such user.
        Refused: `conflicting_tokens`: two credentials are right, and which of them counts would be a guess.
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
        owner, bool(first), halted, strategy, tuple(map(rules.rules_from_item, controls)), used, counter
    )


def _named(claimed: str | None) -> str:
    """The user whose signal this claims to be.

    Raises Unauthorized if it claims nobody, NotFound if that is no id.
    """
    if claimed is None:
        raise Unauthorized("token_missing")
    if not is_id(claimed):
        raise NotFound("user_not_found")
    return claimed


def strategy_switch(user_id: str, group_name: str) -> Switch:
    """The switch of the strategy that a user's signal names."""
    return Switch(Scope.STRATEGY, None, user_id, group_name)


def _owner_by_lookup(credential: str) -> str:
    """The owner of a credential that was chosen by hand and so does not name them."""
    stored = aws.get_many([("credentials", {"token_hash": credentials.digest(credential)})])[0]
    if stored is None:
        raise Unauthorized("token_wrong")
    return str(stored["user_id"])


def _check_credentials(stored: Mapping[str, aws.Item | None], claimed: str, now: datetime) -> None:
    """Checks every credential presented against its record; the first one has to be the user's."""
    for position, (credential, record) in enumerate(stored.items()):
        credentials.verify(credential, record, _INBOUND, now)
        if position == 0 and (record is None or record["user_id"] != claimed):
            raise Unauthorized("token_wrong")
    if len(stored) > 1:
        raise Refused("conflicting_tokens")


def _check_address(source_ip: str, allowed: tuple[str, ...], *, authenticated: bool) -> None:
    networks = [
        network
        for entry in allowed
        for network in (TRADINGVIEW if entry.lower() == "tradingview" else (entry,))
    ]
    if not networks or any(
        ip_address(source_ip) in ip_network(network, strict=False) for network in networks
    ):
        return
    if authenticated:  # somebody else may have the token
        measure(Metric.TOKEN_FROM_UNKNOWN_ADDRESS)
    raise Forbidden("address_refused", address=source_ip)
