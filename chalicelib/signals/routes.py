"""The webhooks' routes."""

from chalicelib.errors import Refused
from chalicelib.http import Answer, Request, Route, refusal
from chalicelib.signals import manual
from chalicelib.signals.accept import accept, inbound_route
from chalicelib.signals.answers import answer
from chalicelib.signals.reading import fields, variants
from chalicelib.trading import Variant


def api_webhook(request: Request) -> Answer:
    """Accepts group and paper signals. The fields of the body decide which."""
    try:
        return answer(request, accept(request, inbound_route(variants.variant_of_api_webhook)))
    except Refused as refused:
        response = refusal(refused, request.language)
        if not _is_group(request.body):
            return response
        body = {"success": False, **dict(response.body)}  # type: ignore[arg-type]
        return Answer(response.status, body, response.headers)


def legacy(request: Request) -> Answer:
    """Accepts signals of the deployment's default user."""
    return answer(request, accept(request, inbound_route(lambda _: Variant.LEGACY)))


def personal(request: Request) -> Answer:
    """Accepts signals of the user in the path."""
    return answer(request, accept(request, inbound_route(lambda _: Variant.PERSONAL)))


def xc(request: Request) -> Answer:
    """Accepts signals of PalmaBot's executor webhook. The code in the body names the user."""
    return answer(request, accept(request, inbound_route(lambda _: Variant.XC)))


def _is_group(body: bytes) -> bool:
    """Returns whether a refused body is a group signal, whose errors carry `success`."""
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
