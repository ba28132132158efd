"""The routes of halt switches and risk rules."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from chalicelib import aws, inputs, paging, symbols
from chalicelib.accounts import store as accounts
from chalicelib.errors import NotFound, Refused
from chalicelib.http import Answer, Request, Route
from chalicelib.inputs import Caseless, Input, Money, Note, ShortText, UserId, Whole
from chalicelib.risk import halts, rules, update_rules
from chalicelib.risk.halts import Scope, Switch
from chalicelib.users import store as users
from chalicelib.users.access import Caller, caller
from chalicelib.users.models import Role
from chalicelib.versions import answering_conflicts

Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
_DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Day = Annotated[_DayName, Caseless]
_EVERY_DAY: tuple[_DayName, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Notional = Annotated[Money, Field(gt=0)]


class HaltInput(Input):
    """A switch to set. `id` is the user, account or strategy. None means the caller."""

    scope: Annotated[Scope, Caseless]
    id: UserId | None = None
    halted: bool
    reason: Note | None = None


class HoursInput(Input):
    """A weekly time window, UTC. Without `days` it applies every day.

    If `end` is at or before `start`, `end` is on the next day.
    """

    days: Annotated[
        tuple[Day, ...],
        Field(min_length=1, max_length=7),
        AfterValidator(lambda days: tuple(dict.fromkeys(days))),
    ] = _EVERY_DAY
    start: Clock
    end: Clock


class RulesInput(Input):
    """Risk rules to set. Null removes a rule.

    `id` is the user, account or strategy. None means the caller.
    """

    scope: Annotated[Literal[Scope.USER, Scope.ACCOUNT, Scope.STRATEGY], Caseless]
    id: UserId | None = None
    allowed_symbols: Annotated[tuple[ShortText, ...], Field(max_length=500)] | None = None
    max_order_notional: Notional | None = None
    max_position_notional: Notional | None = None
    max_open_positions: Annotated[Whole, Field(ge=0, le=10_000)] | None = None
    max_orders_per_minute: Annotated[Whole, Field(ge=0, le=200)] | None = None
    max_daily_loss: Notional | None = None
    flatten: bool | None = None
    cancel_on_halt: bool | None = None
    trading_hours: Annotated[tuple[HoursInput, ...], Field(max_length=50)] | None = None
    cooldown_s: Annotated[Whole, Field(ge=0, le=86_400)] | None = None
    version: Annotated[Whole, Field(ge=0, le=10**12)] | None = None


def list_switches(request: Request) -> Answer:
    """Returns the switches that concern a user.

    They are the global switch and those of the user and of the user's accounts and strategies.
    """
    who = caller(request)
    user_id, page = who.whose(request), paging.page_request(request)
    switches = [Switch(Scope.GLOBAL), *_of_user(user_id)]
    shown = halts.read_switches(switches[page.offset : page.offset + page.limit])
    return paging.list_response(shown, len(switches), None)


def list_rules(request: Request) -> Answer:
    """Returns the risk rules of a user and of the user's accounts and strategies."""
    who = caller(request)
    user_id, page = who.whose(request), paging.page_request(request)
    about = _of_user(user_id)
    part = about[page.offset : page.offset + page.limit]
    return paging.list_response(
        [update_rules.view(each, item) for each, item in zip(part, halts.stored_parts(part), strict=True)],
        len(about),
        None,
    )


def patch_rules(request: Request) -> Answer:
    """Changes risk rules."""
    who = caller(request)
    given = inputs.body(request, RulesInput)
    about = named_switch(who, given.scope, given.id)
    wanted: dict[str, Any] = inputs.set_fields(given, "scope", "id", "version")
    if wanted.get("allowed_symbols"):
        wanted["allowed_symbols"] = tuple(
            dict.fromkeys(symbols.resolve(each).name for each in wanted["allowed_symbols"])
        )
    if wanted.get("trading_hours"):
        wanted["trading_hours"] = tuple(rules.Hours(**each.model_dump()) for each in wanted["trading_hours"])
    admin = who.role is Role.ADMIN
    return Answer(
        200, update_rules.update_rules(about, wanted, by=who.user_id, admin=admin, version=given.version)
    )


def _of_user(user_id: str) -> list[Switch]:
    """Returns the switches of a user and of the user's accounts and strategies."""
    accounts_of = users.directory(user_id).accounts.values()
    found = [
        Switch(Scope.USER, user_id, user_id),
        *(Switch(Scope.ACCOUNT, entry.account_id, user_id) for entry in accounts_of),
    ]
    strategies = aws.query_all("strategies", "user_id = :user", user=user_id)
    return found + [
        Switch(Scope.STRATEGY, item["strategy_id"], user_id, item["group_name"]) for item in strategies
    ]


def named_switch(who: Caller, scope: Scope, id_: int | None) -> Switch:
    """Returns the switch that a request names, if the caller may change it."""
    if scope is Scope.GLOBAL:
        who.require_admin()
        return Switch(Scope.GLOBAL)
    if scope is Scope.USER:
        user_id = str(id_) if id_ is not None else who.user_id
        who.require_owner(user_id)
        users.user(user_id)
        return Switch(Scope.USER, user_id, user_id)
    if id_ is None:
        raise Refused("missing_field", field="id")
    if scope is Scope.STRATEGY:
        # Reads the strategies' own index item: the package `strategies` is a layer above this one.
        pointer = aws.get("strategies", {"user_id": f"strategy#{id_}", "group_name": "lookup"})
        if pointer is None:
            raise NotFound("not_found")
        who.require_owner(pointer["owner"])
        return Switch(Scope.STRATEGY, str(id_), pointer["owner"], pointer["points_to"])
    try:
        account = accounts.item(str(id_))
        who.require_owner(account["user_id"])
    except NotFound:
        raise NotFound("account_not_found", account=id_) from None
    return Switch(Scope.ACCOUNT, account["account_id"], account["user_id"])


HALT = [
    Route("GET", "/halt", list_switches),
    Route("GET", "/risk-rules", list_rules),
    Route("PATCH", "/risk-rules", answering_conflicts(patch_rules)),
]
