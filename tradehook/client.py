"""The API over HTTP, for the commands."""

from collections.abc import Iterator, Mapping
from typing import Any

import requests
import simplejson
import typer

from tradehook.show import Output

_TIMEOUT_S = 35  # the API itself gives up after 29
_PAGE = 200


class Failed(Exception):
    """A command could not be carried out.

    Attributes:
        body: What the API said, or a sentence of ours in the same form.
        status: The HTTP status; None if there was no answer.
    """

    def __init__(self, body: Mapping[str, Any], status: int | None = None) -> None:
        super().__init__(body.get("error", "failed"))
        self.body = dict(body)
        self.status = status


class Client:
    """A deployment, and how its answers are printed.

    Args:
        url: Where the API is.
        token: An API token; only ever sent as a header.
    """

    def __init__(self, url: str, token: str, output: Output) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.output = output
        self._session = requests.Session()

    def __call__(
        self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """One call of the API. Raises Failed unless it succeeds."""
        if not self.token:
            raise Failed(
                {"error": "No API token: set TRADEHOOK_ADMIN_TOKEN or give --token", "code": "token_missing"}
            )
        return self.send(method, path, body, {"Authorization": f"Bearer {self.token}"}, query)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """A request with no token of its own, such as a webhook.

        A text goes out as it is, anything else as JSON.
        """
        data = (
            body.encode()
            if isinstance(body, str)
            else None
            if body is None
            else simplejson.dumps(body, use_decimal=True).encode()
        )
        try:
            answer = self._session.request(
                method,
                self.url + path,
                data=data,
                params={name: value for name, value in (query or {}).items() if value is not None},
                headers={
                    "Content-Type": "text/plain" if isinstance(body, str) else "application/json",
                    **(headers or {}),
                },
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as fault:
            # The exception's own text may hold the URL with what is in its query.
            raise Failed(
                {"error": f"No answer from {self.url} ({type(fault).__name__})", "code": "no_answer"}
            ) from None
        return _read(answer)

    def everything(
        self, path: str, query: Mapping[str, Any] | None = None, most: int | None = None
    ) -> list[Any]:
        """The items of a list, page after page, at most so many."""
        items: list[Any] = []
        for page in self._pages(path, query or {}, min(most or _PAGE, _PAGE)):
            items += page
            if most and len(items) >= most:
                return items[:most]
        return items

    def _pages(self, path: str, query: Mapping[str, Any], limit: int) -> Iterator[list[Any]]:
        cursor = None
        while True:
            answer = self("GET", path, query={**query, "limit": limit, "cursor": cursor})
            yield answer["items"]
            cursor = answer["next"]
            if not cursor:
                return


def of(context: typer.Context) -> Client:
    """The client of this run."""
    client = context.obj
    assert isinstance(client, Client)
    return client


def fields(words: list[str]) -> dict[str, Any]:
    """`name=value` words as a body: what reads as JSON is taken as that, anything else as text.

    Raises Failed for another form.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise Failed({"error": f"{word} is not of the form field=value", "code": "broken_pair"})
        try:
            values[name] = simplejson.loads(text, use_decimal=True)
        except ValueError:
            values[name] = text
    return values


def _read(answer: requests.Response) -> Any:
    try:
        body = simplejson.loads(answer.text, use_decimal=True) if answer.text else {}
    except ValueError:
        body = {"error": f"HTTP {answer.status_code}, and no JSON", "code": "no_json"}
        raise Failed(body, answer.status_code) from None
    if not answer.ok:
        raise Failed(body if isinstance(body, dict) else {"error": str(body)}, answer.status_code)
    return body
