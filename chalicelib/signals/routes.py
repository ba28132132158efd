"""The webhooks' routes."""

from chalicelib.errors import Refused
from chalicelib.http import Answer, Request, Route, refusal
from chalicelib.signals import fields, manual, variants
from chalicelib.signals.accept import accept, inbound_route
from chalicelib.signals.answers import answer
from chalicelib.trading import Variant


def api_webhook(request: Request) -> Answer:
    """The group and paper webhook; the fields of the body tell which."""
    try:
        return answer(request, accept(request, inbound_route(variants.variant_of_api_webhook)))
    except Refused as refused:
        told = refusal(refused, request.language)
        if not _is_group(request.body):
            return told
        return Answer(told.status, {"success": False, **dict(told.body)}, told.headers)  # type: ignore[arg-type]


def legacy(request: Request) -> Answer:
    """The one webhook of the deployment's default user."""
    return answer(request, accept(request, inbound_route(lambda _: Variant.LEGACY)))


def personal(request: Request) -> Answer:
    """A user's own webhook."""
    return answer(request, accept(request, inbound_route(lambda _: Variant.PERSONAL)))


def xc(request: Request) -> Answer:
    """The executor webhook: the code in the body says whose it is."""
    return answer(request, accept(request, inbound_route(lambda _: Variant.XC)))


def _is_group(body: bytes) -> bool:
    """Whether a refused body was meant for a strategy group, whose errors carry `success`."""
    try:
        return variants.variant_of_api_webhook(fields.read(body)) is Variant.GROUP
    except Refused:
        return False


INBOUND = [
    Route("POST", "/api/webhook", api_webhook),
    Route("POST", "/webhook", legacy),
    Route("POST", "/personal/{user_id}/webhook", personal),
    Route("POST", "/orders", manual.place_order),
    Route("POST", "/api/orders", manual.place_order),
]
