"""Who is calling the API: `Authorization: Bearer` with an API token."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from chalicelib.errors import Forbidden, NotFound, Unauthorized
from chalicelib.http import Request
from chalicelib.telemetry import log
from chalicelib.users import credentials
from chalicelib.users.credentials import Scope
from chalicelib.users.models import Role, User

_LONGEST_ID = 128
_NOTED_EVERY = timedelta(minutes=1)  # the last use of a token, so coarse that it costs next to nothing


@dataclass(frozen=True, slots=True)
class Caller:
    """The user behind an API request.

    Attributes:
        role: What they act as: an admin only with a token of the scope `admin`.
        token_hash: The digest of the token that let them in.
        token_family: The id of that token, or of the first it replaces; what it makes carries it as
            `made_by`.
        scope: What the token may do.
        token_expires_at: When that token's time is over; None for one without an end.
    """

    user_id: str
    user_uuid: str
    role: Role
    token_hash: str = ""
    token_expires_at: datetime | None = None
    token_family: str = ""
    scope: Scope = Scope.ADMIN

    def require_admin(self) -> None:
        """Raises Forbidden unless the caller is an admin."""
        if self.role is not Role.ADMIN:
            raise Forbidden("admin_only")

    def require_owner(self, user_id: str | None) -> None:
        """Raises NotFound for another user's record: that it exists is not theirs to know."""
        if self.role is not Role.ADMIN and self.user_id != user_id:
            raise NotFound("not_found")

    def whose(self, request: Request) -> str:
        """The user whose records a list is to show: the caller, or for an admin `?user_id=`.

        Raises as `owner_of` does.
        """
        return self.owner_of(request.query.get("user_id"))

    def whose_or_all(self, request: Request) -> str | None:
        """The same, where an admin who names nobody sees everybody's records (None)."""
        wanted = request.query.get("user_id")
        return None if not wanted and self.role is Role.ADMIN else self.owner_of(wanted)

    def owner_of(self, wanted: object) -> str:
        """The user a request names; `me` and nothing are the caller.

        Raises:
            Forbidden: It is another user, and the caller is no admin.
            NotFound: There is no such user.
        """
        if wanted in (None, "", "me", self.user_id):
            return self.user_id
        self.require_admin()
        user_id = str(wanted)
        if len(user_id) > _LONGEST_ID or aws.get("users", {"user_id": user_id, "part": "profile"}) is None:
            raise NotFound("user_not_found")
        return user_id


def caller(request: Request) -> Caller:
    """The caller of an API request.

    Raises:
        Unauthorized: No bearer token, or one that does not open the API.
        Forbidden: The user is not active, or the token's scope does not cover the route.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("token_missing")
    found = by_token(token.strip(), datetime.now(UTC))
    needed = needed_scope(request.method, request.route)
    if not found.scope.covers(needed):
        raise Forbidden("scope_missing", scope=needed.value)
    return found


def needed_scope(method: str, route: str) -> Scope:
    """The scope that a token needs for a route. What shows a credential is no mere reading."""
    if (method, route) in _READS or (method == "GET" and not route.endswith("/xc-code")):
        return Scope.READ
    return Scope.TRADE if route in _TRADES else Scope.MANAGE


_READS = {("POST", "/signals/explain"), ("POST", "/realtime/tickets")}
_TRADES = {"/orders", "/api/orders", "/paper/prices", "/halt"}


def by_token(token: str, now: datetime) -> Caller:
    """The caller an API token belongs to; raises as `caller` does."""
    claimed = credentials.owner(token)
    if claimed is None:
        raise Unauthorized("token_wrong")
    return by_token_hash(credentials.digest(token), claimed, now)


def by_token_hash(token_hash: str, claimed: str, now: datetime) -> Caller:
    """The caller an API token with this digest belongs to, of the user claimed; raises as `caller` does."""
    stored, profile = aws.get_many(
        [("credentials", {"token_hash": token_hash}), ("users", {"user_id": claimed, "part": "profile"})]
    )
    credentials.verify_hash(token_hash, stored, (credentials.Kind.API,), now)
    if stored is None or profile is None or stored["user_id"] != claimed:
        raise Unauthorized("token_wrong")
    user = User.model_validate(profile)
    if not user.is_active:
        raise Forbidden("user_not_active")
    _note_use(stored, now)
    expires_at = stored.get("expires_at")
    ends = datetime.fromisoformat(expires_at) if expires_at else None
    scope = Scope(stored.get("scope", Scope.ADMIN))
    role = user.role if scope is Scope.ADMIN else Role.USER
    return Caller(user.user_id, user.user_uuid, role, stored["token_hash"], ends, family_of(stored), scope)


def family_of(stored: aws.Item) -> str:
    """What a token and its successors have in common: the id of the first of them."""
    return str(stored.get("family") or stored.get("token_id") or "")


def _note_use(stored: aws.Item, now: datetime) -> None:
    """Notes when a token was used last, at most once a minute. A request never fails for it."""
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
        return  # another request was faster, or the token has just been forgotten
    except (ClientError, BotoCoreError) as fault:
        log.warning(
            "last use of a token not noted",
            extra={"user_id": stored["user_id"], "fault": type(fault).__name__},
        )
