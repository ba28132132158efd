"""A call and its answer, as the exchanges' modules see them."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl


@dataclass
class Request:
    """A request. Header names are lower case. `query` and `body` are raw, because they are signed."""

    exchange: str
    host: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str

    @property
    def parameters(self) -> dict[str, str]:
        """Returns query and form fields together."""
        form = "" if self.body.startswith(("{", "[")) else self.body
        return dict(parse_qsl(self.query, keep_blank_values=True)) | dict(
            parse_qsl(form, keep_blank_values=True)
        )

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else {}


@dataclass
class Answer:
    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An error in the exchange's own words."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.body))
        self.answer = answer


def text(value: Decimal | None) -> str:
    """Returns a number without exponent. Empty for None."""
    if value is None:
        return ""
    plain = format(value, "f")
    return (plain.rstrip("0").rstrip(".") if "." in plain else plain) or "0"


def number(value: Any) -> Decimal | None:
    return None if value in {None, ""} else Decimal(str(value))
