"""The webhooks' routes."""

from chalicelib.http import Answer, Request, Route
from chalicelib.signals import parse
from chalicelib.signals.accept import accept
from chalicelib.signals.answers import answer


def api_webhook(request: Request) -> Answer:
    """The group and paper webhook; the fields of the body tell which."""
    return answer(request, accept(request, parse.variant_of_api_webhook))


INBOUND = [Route("POST", "/api/webhook", api_webhook)]
