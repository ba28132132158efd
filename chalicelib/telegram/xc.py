"""`POST /xc`: a signal, or a chat's request for its connection string."""

from decimal import Decimal

from chalicelib.errors import Refused
from chalicelib.http import Answer, Request, Route
from chalicelib.signals import routes
from chalicelib.signals.reading import fields
from chalicelib.telegram.hand_out import hand_out


def xc(request: Request) -> Answer:
    """Accepts requests of PalmaBot's executor webhook.

    A body with a `chat_id` and neither code nor command asks for the connection string. Any other body is a
    signal.
    """
    try:
        body = fields.read(request.body)
    except Refused:
        return routes.xc(request)
    if "chat_id" in body and not body.code and "side" not in body:
        chat_id = body.values["chat_id"]
        return hand_out(
            f"{chat_id:f}" if isinstance(chat_id, Decimal) else chat_id, request
        )  # numbers of a body are Decimal
    return routes.xc(request)


XC = [Route("POST", "/xc", xc)]
