"""The halt switches' routes."""

from typing import Annotated

from chalicelib import inputs, paging
from chalicelib.accounts import store as accounts
from chalicelib.controls import halt
from chalicelib.controls.halt import Scope, Switch
from chalicelib.errors import NotFound, Refused
from chalicelib.http import Answer, Request, Route
from chalicelib.inputs import Caseless, Input, Note, UserId
from chalicelib.users import store as users
from chalicelib.users.access import Caller, caller
from chalicelib.users.models import Role


class HaltInput(Input):
    """A switch to throw; `id` is the user or account, by default the caller."""

    scope: Annotated[Scope, Caseless]
    id: UserId | None = None
    halted: bool
    reason: Note | None = None


def list_switches(request: Request) -> Answer:
    """The switches that concern a user: the global one, the user's, those of the user's accounts."""
    who = caller(request)
    user_id, page = who.whose(request), paging.asked(request)
    entries = users.directory(user_id).accounts.values()
    switches = [Switch(Scope.GLOBAL), Switch(Scope.USER, user_id, user_id)]
    switches += [Switch(Scope.ACCOUNT, entry.account_id, user_id) for entry in entries]
    shown = halt.read(switches[page.offset : page.offset + page.limit])
    return paging.listed(shown, len(switches), None)


def throw_switch(request: Request) -> Answer:
    """Halts, or resumes."""
    who = caller(request)
    given = inputs.body(request, HaltInput)
    switch = _switch(who, given)
    admin = who.role is Role.ADMIN
    return Answer(200, halt.throw(switch, halted=given.halted, by=who.user_id, admin=admin, reason=given.reason))


def _switch(who: Caller, given: HaltInput) -> Switch:
    if given.scope is Scope.GLOBAL:
        who.require_admin()
        return Switch(Scope.GLOBAL)
    if given.scope is Scope.USER:
        user_id = str(given.id) if given.id is not None else who.user_id
        who.require_owner(user_id)
        users.user(user_id)
        return Switch(Scope.USER, user_id, user_id)
    if given.id is None:
        raise Refused("missing_field", field="id")
    try:
        account = accounts.item(str(given.id))
        who.require_owner(account["user_id"])
    except NotFound:
        raise NotFound("account_not_found", account=given.id) from None
    return Switch(Scope.ACCOUNT, account["account_id"], account["user_id"])


HALT = [
    Route("GET", "/halt", list_switches),
    Route("POST", "/halt", throw_switch),
]
