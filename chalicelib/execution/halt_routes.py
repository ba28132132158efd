"""Halts and resumes trading. Part of `execution` because a halt also cancels resting entries."""

from chalicelib import inputs
from chalicelib.execution import queue_flatten
from chalicelib.http import Answer, Request, Route
from chalicelib.risk import halts
from chalicelib.risk.routes import HaltInput, named_switch
from chalicelib.users.access import caller
from chalicelib.users.models import Role


def post_switch(request: Request) -> Answer:
    """Halts or resumes trading."""
    who = caller(request)
    given = inputs.body(request, HaltInput)
    switch = named_switch(who, given.scope, given.id)
    admin = who.role is Role.ADMIN
    shown = halts.set_switch(switch, halted=given.halted, by=who.user_id, admin=admin, reason=given.reason)
    if given.halted:  # also if already halted: the messages of the first halt may have been lost
        queue_flatten.cancel_entries(switch, shown["at"])
    return Answer(200, shown)


SET_HALT = [Route("POST", "/halt", post_switch)]
