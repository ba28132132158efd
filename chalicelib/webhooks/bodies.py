"""Validated bodies of the webhook API. A refusal names the field."""

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from chalicelib import inputs
from chalicelib.errors import Refused
from chalicelib.events import event_types
from chalicelib.http import Request, to_json
from chalicelib.unknown_fields import refuse_unknown
from chalicelib.webhooks import filters
from chalicelib.webhooks.models import Format, is_usable_secret

_LONGEST = {"name": 100, "description": 500, "secret": 256, "url": 2048}
_MOST_TYPES = 50
_MOST_HEADERS = 10
_LONGEST_FILTER = 4096
# A token of RFC 9110 §5.6.2. The token has no character that some receivers fold onto a hyphen: otherwise
# `x_webhook_signature` would pass for our header.
_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1024}")
_OURS = frozenset(
    [
        "host",
        "user-agent",
        "accept-encoding",
        "cookie",
        "expect",
        "te",
        "trailer",
        "upgrade",
        "range",
        "if-range",
        "via",
        "forwarded",
    ]
)
_OURS_PREFIXES = (
    *("content-", "transfer-", "connection", "keep-alive", "proxy-", "x-webhook-", "webhook-"),
    *(
        "x-forwarded-",
        "x-real-",
        "http2-",
        "x-http-method",
        "x-original-",
        "x-rewrite-",
        "sec-",
    ),  # proxies read these headers
)
_LONGEST_OVERLAP = timedelta(days=7)


SUBSCRIPTION = (
    "name",
    "url",
    "event_type",
    "event_types",
    "description",
    "filter",
    "headers",
    "rate_limit",
    "format",
    "is_active",
)
"""The fields that a change of a subscription may have."""


def parse_body(request: Request, known: Collection[str]) -> dict[str, Any]:
    """Returns the JSON object of a request. An empty body is an empty object.

    Raises Refused for an unknown name.
    """
    body = inputs.json_object(request) if request.body.strip() else {}
    refuse_unknown(body, known)
    return body


def changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a subscription that a body sets, by attribute.

    The address guard checks the URL, not this function.
    """
    found: dict[str, Any] = {}
    for name in ("name", "url"):
        if name in body:
            found[name] = text(body, name)
    if "description" in body:
        found["description"] = None if body["description"] is None else text(body, "description", empty=True)
    if "event_type" in body or "event_types" in body:
        found["event_types"] = _event_types(body)
    if "filter" in body:
        found["filter"] = _filter(body["filter"])
    if "headers" in body:
        found["headers"] = _headers(body["headers"])
    if "rate_limit" in body:
        found["rate_limit"] = None if body["rate_limit"] is None else integer(body, "rate_limit", 1, 1000)
    if "format" in body:
        if body["format"] not in list(Format):
            raise Refused("invalid_choice", field="format", allowed=", ".join(Format))
        found["format"] = Format(body["format"])
    return found


def text(body: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    """Returns a text field. Raises Refused if the field is missing, not a text, or too long."""
    value = body.get(name)
    if value is None or value == "":
        if empty and value == "":
            return ""
        raise Refused("missing_field", field=name)
    if not isinstance(value, str) or any(ord(character) < ord(" ") for character in value):
        raise Refused("invalid_text", field=name)
    if len(value) > _LONGEST[name]:
        raise Refused("too_long", field=name, limit=_LONGEST[name])
    return value


def secret(body: Mapping[str, Any]) -> str | None:
    """Returns the secret in the body, or None without one. The refusal does not show the secret."""
    if body.get("secret") in (None, ""):
        return None
    value = text(body, "secret").strip()
    if not is_usable_secret(value):
        raise Refused("invalid_secret", field="secret")
    return value


def flag(body: Mapping[str, Any], name: str) -> bool | None:
    """Returns a true or false, or None if the field is absent."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused("invalid_choice", field=name, allowed="true, false")
    return value


def integer(body: Mapping[str, Any], name: str, minimum: int, maximum: int) -> int:
    """Returns a whole number within the bounds."""
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise Refused("out_of_range", field=name, minimum=minimum, maximum=maximum)
    return value


def overlap(body: Mapping[str, Any]) -> timedelta:
    """Returns how long an old secret keeps signing next to the new one. Default: 24 h."""
    longest = int(_LONGEST_OVERLAP.total_seconds())
    return (
        timedelta(seconds=integer(body, "overlap_s", 0, longest))
        if "overlap_s" in body
        else timedelta(hours=24)
    )


def event_type(body: Mapping[str, Any]) -> str | None:
    """Returns the event type that a test asks for, or None without one."""
    value = body.get("event_type")
    if value is not None and not isinstance(value, str):
        raise Refused("invalid_text", field="event_type")
    return value


def _event_types(body: Mapping[str, Any]) -> tuple[str, ...]:
    field = "event_types" if "event_types" in body else "event_type"
    given = body[field] if isinstance(body[field], list) else [body[field]]
    if not given or given[0] in (None, ""):
        raise Refused("missing_field", field=field)
    if len(given) > _MOST_TYPES:
        raise Refused("too_long", field=field, limit=_MOST_TYPES)
    for event_type in given:
        if not isinstance(event_type, str):
            raise Refused("invalid_text", field=field)
        if not event_types.is_known(event_type):
            raise Refused("unknown_event_type", field=field, event_type=event_type[:100])
    return tuple(dict.fromkeys(given))


def _filter(given: Any) -> dict[str, Any]:
    given = {} if given is None else given
    if problem := filters.find_problem(given):
        raise Refused("invalid_filter", field="filter", reason=problem[:200])
    if len(to_json(given)) > _LONGEST_FILTER:
        raise Refused("too_long", field="filter", limit=_LONGEST_FILTER)
    return dict(given)


def _headers(given: Any) -> dict[str, SecretStr]:
    given = {} if given is None else given
    if not isinstance(given, dict) or len(given) > _MOST_HEADERS:
        raise Refused("invalid_headers", field="headers")
    for name, value in given.items():
        reserved = name.lower() in _OURS or name.lower().startswith(_OURS_PREFIXES)
        if (
            reserved
            or not _HEADER_NAME.fullmatch(name)
            or not isinstance(value, str)
            or not _HEADER_VALUE.fullmatch(value)
        ):
            raise Refused("invalid_headers", field=f"headers.{name[:64]}")
    return {name: SecretStr(value) for name, value in given.items()}
