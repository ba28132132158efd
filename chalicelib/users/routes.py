"""The users' routes. Users see and change themselves, admins all users."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib import aws, idempotency, inputs, paging
from chalicelib.errors import Conflict, NotFound
from chalicelib.http import Answer, Request, Route
from chalicelib.users import change, create, signal_quota, store, tokens, xc_codes
from chalicelib.users.access import Caller, caller
from chalicelib.users.inputs import NewTokenInput, NewUser, OwnProfile, Profile, Rotation, SettingsChange
from chalicelib.users.models import Role, Settings, User, shown_id
from chalicelib.versions import answering_conflicts


def list_users(request: Request) -> Answer:
    """Lists all users, newest first, or those that pass the filters.

    A caller who is no admin gets only the own user.
    """
    who, page = caller(request), paging.page_request(request)
    if who.role is not Role.ADMIN:
        return paging.list_response([store.user(who.user_id).view()], 1, None)
    for field in store.UNIQUE:
        if value := request.query.get(field):
            found = store.lookup(field, value) if len(value) <= _LONGEST_VALUE else None
            return paging.list_response([store.user(found).view()] if found else [], int(bool(found)), None)
    filters: dict[str, Any] = {}
    if (active := inputs.flag(request, "is_active")) is not None:
        filters["is_active"] = active
    if role := inputs.choice(request, "role", tuple(Role)):
        filters["role"] = role
    if username := request.query.get("username"):
        filters["username"] = username
    expression = " AND ".join(f"#{name} = :{name}" for name in filters)
    more = filters | ({"filter_expression": expression} if filters else {})
    referrer = inputs.number(request, "referred_by_id")
    if referrer is not None:
        return paging.answer(
            "users",
            "referred_by_id = :by",
            page,
            _item_view,
            index="by_referrer",
            by=str(referrer),
            newest_first=True,
            **more,
        )
    return paging.answer(
        "users",
        "listed = :all",
        page,
        _item_view,
        index="listed",
        all=store.LISTED,
        newest_first=True,
        **more,
    )


def create_user(request: Request) -> Answer:
    """Creates a user."""
    who = caller(request)
    who.require_admin()
    given = inputs.body(request, NewUser)
    settings, profile = inputs.set_fields(given.settings, "version"), inputs.set_fields(given, "settings")
    return idempotency.answer_once(
        request,
        who.credential,
        datetime.now(UTC),
        lambda once: create.create_user(by=who.user_id, settings=settings, once=once, **profile).view(),
    )


def get_user(request: Request) -> Answer:
    """Returns one user."""
    _, user_id = _target(request)
    return Answer(200, store.user(user_id).view())


def patch_user(request: Request) -> Answer:
    """Changes a profile."""
    who, user_id = _target(request)
    given = inputs.body(request, Profile if who.role is Role.ADMIN else OwnProfile)
    fields = inputs.set_fields(given, "version")
    if user_id == who.user_id and (
        fields.get("is_active") is False or fields.get("role", who.role) is not who.role
    ):
        raise Conflict("not_oneself")  # so that at least one admin remains
    return Answer(200, change.update_user(user_id, fields, by=who.user_id, version=given.version).view())


def activate_user(request: Request) -> Answer:
    """Activates a user: tokens and signals are valid again."""
    return _set_active(request, active=True)


def deactivate_user(request: Request) -> Answer:
    """Deactivates a user: tokens are void, signals are refused."""
    return _set_active(request, active=False)


def get_referrals(request: Request) -> Answer:
    """Lists a user's referrer, the referrer's referrer and so on, nearest first."""
    _, user_id = _target(request)
    chain = change.referral_chain(user_id)
    return paging.part(request, chain, shown_id)


def get_settings(request: Request) -> Answer:
    """Returns a user's settings."""
    _, user_id = _target(request)
    return Answer(200, _settings_view(user_id, store.settings(user_id)))


def patch_settings(request: Request) -> Answer:
    """Changes settings."""
    who, user_id = _target(request)
    given = inputs.body(request, SettingsChange)
    settings = change.update_settings(
        user_id, inputs.set_fields(given, "version"), by=who.user_id, version=given.version
    )
    return Answer(200, _settings_view(user_id, settings))


def list_tokens(request: Request) -> Answer:
    """Lists a user's tokens, newest first, without the secrets."""
    _, user_id = _target(request)
    page = paging.page_request(request)
    kind = inputs.choice(request, "kind", tuple(tokens.KINDS))
    kinds = [tokens.KINDS[kind].value] if kind else [stored.value for stored in tokens.KINDS.values()]
    values = {f"kind{number}": value for number, value in enumerate(kinds)}
    wanted = " OR ".join(f"kind = :{name}" for name in values)
    last_used = signal_quota.last_used(user_id)
    only = values | {"u": user_id, "filter_expression": wanted}
    return paging.answer(
        "credentials",
        "user_id = :u",
        page,
        lambda item: tokens.view(item, last_used),
        index="by_user",
        newest_first=True,
        **only,
    )


def create_token(request: Request) -> Answer:
    """Creates a token. The answer is the only one that shows it."""
    who, user_id = _target(request)
    given = inputs.body(request, NewTokenInput)
    kind = tokens.KINDS[given.kind]
    limit = given.signals_per_minute
    made = tokens.create_token(
        user_id,
        kind,
        by=who.user_id,
        name=given.name,
        expires_at=given.expires_at,
        chosen=given.chosen,
        signals_per_minute=limit,
        scope=given.scope,
        allowed_addresses=given.allowed_addresses,
        maker=who,
    )
    return Answer(201, tokens.view(made.item) | {"token": made.token}, _UNSTORED)


def rotate_token(request: Request) -> Answer:
    """Creates a token's successor. The answer is the only one that shows it."""
    who, user_id = _target(request)
    given = inputs.body(request, Rotation) if request.body.strip() else Rotation()
    overlap = timedelta(seconds=given.overlap_s)
    made = tokens.rotate_token(user_id, request.path["token_id"], by=who.user_id, overlap=overlap, maker=who)
    return Answer(201, tokens.view(made.item) | {"token": made.token}, _UNSTORED)


def revoke_token(request: Request) -> Answer:
    """Revokes a token and every token that was made with it."""
    who, user_id = _target(request)
    revoked = tokens.revoke_token(user_id, request.path["token_id"], by=who.user_id)
    return Answer(200, {"token_id": request.path["token_id"], "is_active": False, "revoked": revoked})


def revoke_all_tokens(request: Request) -> Answer:
    """Revokes all tokens of a user, the caller's own included, and every token that was made with them."""
    who, user_id = _target(request)
    return Answer(200, {"user_id": shown_id(user_id), "revoked": tokens.revoke_all(user_id, by=who.user_id)})


def get_xc_code(request: Request) -> Answer:
    """Returns a user's xc code. Creates the code if there is none."""
    who, user_id = _target(request)
    return Answer(
        200,
        {"user_id": shown_id(user_id), "code": xc_codes.get_or_create(user_id, by=who.user_id)},
        _UNSTORED,
    )


def rotate_xc_code(request: Request) -> Answer:
    """Replaces the xc code. The old code is void at once."""
    who, user_id = _target(request)
    return Answer(
        201, {"user_id": shown_id(user_id), "code": xc_codes.rotate(user_id, by=who.user_id)}, _UNSTORED
    )


def _set_active(request: Request, *, active: bool) -> Answer:
    who, user_id = _target(request)
    who.require_admin()
    if user_id == who.user_id and not active:
        raise Conflict("not_oneself")
    return Answer(200, change.set_active(user_id, active=active, by=who.user_id).view())


def _target(request: Request) -> tuple[Caller, str]:
    """Returns the caller and the user in the path (`me` is the caller). Raises NotFound for other users."""
    who = caller(request)
    user_id = request.path["user_id"]
    if user_id == "me":
        return who, who.user_id
    who.require_owner(user_id)
    if len(user_id) > _LONGEST_VALUE:
        raise NotFound("user_not_found")
    return who, user_id


def _item_view(item: aws.Item) -> dict[str, Any]:
    return User.model_validate(item).view()


def _settings_view(user_id: str, settings: Settings) -> dict[str, Any]:
    return {"user_id": shown_id(user_id), **settings.model_dump()}


_LONGEST_VALUE = 128
_UNSTORED = {"Cache-Control": "no-store"}

USERS = [
    Route("GET", "/users", list_users),
    Route("POST", "/users", create_user),
    Route("GET", "/users/{user_id}", get_user),
    Route("PATCH", "/users/{user_id}", answering_conflicts(patch_user)),
    Route("POST", "/users/{user_id}/activate", activate_user),
    Route("POST", "/users/{user_id}/deactivate", deactivate_user),
    Route("GET", "/users/{user_id}/referrals", get_referrals),
    Route("GET", "/users/{user_id}/settings", get_settings),
    Route("PATCH", "/users/{user_id}/settings", answering_conflicts(patch_settings)),
    Route("GET", "/users/{user_id}/tokens", list_tokens),
    Route("POST", "/users/{user_id}/tokens", create_token),
    Route("POST", "/users/{user_id}/tokens/{token_id}/rotate", rotate_token),
    Route("DELETE", "/users/{user_id}/tokens", revoke_all_tokens),
    Route("DELETE", "/users/{user_id}/tokens/{token_id}", revoke_token),
    Route("GET", "/users/{user_id}/xc-code", get_xc_code),
    Route("POST", "/users/{user_id}/xc-code", rotate_xc_code),
]
