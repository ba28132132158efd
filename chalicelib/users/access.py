"""Authenticates API requests: `Authorization: Bearer` with an API token."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.errors import Forbidden, NotFound, Unauthorized
from chalicelib.http import Request
from chalicelib.telemetry import log
from chalicelib.users import addresses, credentials
from chalicelib.users.credentials import Scope
from chalicelib.users.models import Role, User

_LONGEST_ID = 128
_NOTED_EVERY = timedelta(minutes=1)  # resolution of a token's last use, to save writes


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who makes an API request.

    Attributes:
        role: The effective role. An admin has it only with a token of the scope `admin`.
        token_hash: The digest of the request's token.
        token_family: The id of the token, or of the first token that it replaces. Tokens made with it carry
            it as `made_by`.
        scope: The scope of the token.
        token_expires_at: When the token expires. None if it never expires.
        allowed_addresses: Where the token may be used. Empty permits every address.
    """

    user_id: str
    user_uuid: str
    role: Role
    token_hash: str = ""
    token_expires_at: datetime | None = None
    token_family: str = ""
    scope: Scope = Scope.ADMIN
    allowed_addresses: tuple[str, ...] = ()

    @property
    def credential(self) -> str:
        """The credential that idempotency keys belong to: the token with its successors."""
        return f"{self.user_id}#{self.token_family}"

    def require_admin(self) -> None:
        """Raises Forbidden unless the caller is an admin."""
        if self.role is not Role.ADMIN:
            raise Forbidden("admin_only")

    def require_owner(self, user_id: str | None) -> None:
        """Raises NotFound for another user's record, which hides that the record exists."""
        if self.role is not Role.ADMIN and self.user_id != user_id:
            raise NotFound("not_found")

    def whose(self, request: Request) -> str:
        """Returns the user whose records a list shows: the caller, or for an admin `?user_id=`.

        Raises as `owner_of` does.
        """
        return self.owner_of(request.query.get("user_id"))

    def whose_or_all(self, request: Request) -> str | None:
        """Returns the same as `whose`. None stands for all users: an admin without `?user_id=`."""
        wanted = request.query.get("user_id")
        return None if not wanted and self.role is Role.ADMIN else self.owner_of(wanted)

    def owner_of(self, wanted: object) -> str:
        """Returns the user that a request names. `me` and an empty value stand for the caller.

        Raises:
            Forbidden: The request names another user, and the caller is no admin.
            NotFound: The user does not exist.
        """
        if wanted in (None, "", "me", self.user_id):
            return self.user_id
        self.require_admin()
        user_id = str(wanted)
        if len(user_id) > _LONGEST_ID or aws.get("users", {"user_id": user_id, "part": "profile"}) is None:
            raise NotFound("user_not_found")
        return user_id


def caller(request: Request) -> Caller:
    """Returns the caller of an API request.

    Raises:
        Unauthorized: The bearer token is missing or is no valid API token.
        Forbidden: The user is not active, the token's scope does not cover the route, or the token may not be
            used from this address.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("token_missing")
    found = by_token(token.strip(), datetime.now(UTC), request.source_ip)
    needed = needed_scope(request.method, request.route)
    if not found.scope.covers(needed):
        raise Forbidden("scope_missing", scope=needed.value)
    return found


def needed_scope(method: str, route: str) -> Scope:
    """Returns the scope that a route requires. A route that shows a credential requires `manage`."""
    if (method, route) in _READS or (method == "GET" and not route.endswith("/xc-code")):
        return Scope.READ
    return Scope.TRADE if route in _TRADES else Scope.MANAGE


_READS = {("POST", "/signals/explain"), ("POST", "/realtime/tickets")}
_TRADES = {"/orders", "/orders/{order_id}", "/api/orders", "/paper/prices", "/halt", "/positions/close"}


def by_token(token: str, now: datetime, address: str | None = None) -> Caller:
    """Returns the caller that an API token belongs to. Raises as `caller` does.

    Args:
        address: The client's address. None if there is none: a token with a list of addresses is refused.
    """
    claimed = credentials.owner(token)
    if claimed is None:
        raise Unauthorized("token_wrong")
    return by_token_hash(credentials.digest(token), claimed, now, address)


def by_token_hash(token_hash: str, claimed: str, now: datetime, address: str | None = None) -> Caller:
    """Returns the caller that the token with this digest belongs to, of the claimed user.

    Raises as `caller` does.
    """
    stored, profile = aws.get_many(
        [("credentials", {"token_hash": token_hash}), ("users", {"user_id": claimed, "part": "profile"})]
    )
    credentials.verify_hash(token_hash, stored, (credentials.Kind.API,), now)
    if stored is None or profile is None or stored["user_id"] != claimed:
        raise Unauthorized("token_wrong")
    addresses.check_token(stored, address)
    user = User.model_validate(profile)
    if not user.is_active:
        raise Forbidden("user_not_active")
    _note_use(stored, now)
    expires_at = stored.get("expires_at")
    ends = datetime.fromisoformat(expires_at) if expires_at else None
    scope = Scope(stored.get("scope", Scope.ADMIN))
    role = user.role if scope is Scope.ADMIN else Role.USER
    allowed = tuple(stored.get("allowed_addresses") or ())
    return Caller(
        user.user_id, user.user_uuid, role, stored["token_hash"], ends, family_of(stored), scope, allowed
    )


def family_of(stored: aws.Item) -> str:
    """Returns the id that a token shares with its successors: the id of the first of them."""
    return str(stored.get("family") or stored.get("token_id") or "")


def _note_use(stored: aws.Item, now: datetime) -> None:
    """Stores when a token was last used, at most once a minute. Best effort."""
    before = (now - _NOTED_EVERY).isoformat()
    if stored.get("last_used_at", "") > before:
        return
    fresh = "attribute_exists(token_hash) AND (attribute_not_exists(last_used_at) OR last_used_at <= :before)"
    try:
        noted = {"now": now.isoformat(), "before": before}
        aws.write(
            aws.update_write(
                "credentials", {"token_hash": stored["token_hash"]}, "SET last_used_at = :now", fresh, **noted
            )
        )
    except aws.WriteRefused:
        return  # a concurrent request stored it, or the token has expired from the table
    except (ClientError, BotoCoreError) as fault:
        log.warning(
            "last use of a token not stored",
            extra={"user_id": stored["user_id"], "fault": type(fault).__name__},
        )
