"""The API over HTTP, for the commands."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests
import simplejson
import typer

from tradehook.show import Output

_TIMEOUT_S = 35  # the API itself gives up after 29
_PAGE = 200


class Failed(Exception):
    """A command failed.

    Attributes:
        body: The API's answer, or our own sentence in the same form.
        status: The HTTP status. None without an answer.
    """

    def __init__(self, body: Mapping[str, Any], status: int | None = None) -> None:
        super().__init__(body.get("error", "failed"))
        self.body = dict(body)
        self.status = status


class Client:
    """A deployment, and the format of its printed answers.

    Args:
        url: The API's URL.
        token: An API token. It is only sent as a header.
    """

    def __init__(self, url: str, token: str, output: Output) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.output = output
        self._session = requests.Session()

    def __call__(
        self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """Makes one call of the API. Raises Failed unless it succeeds."""
        return self.send(method, path, body, self._authorization(), query)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """Sends a request without the API token, such as a webhook.

        A text is sent unchanged, anything else as JSON.
        """
        return _read(self._request(method, path, body, headers, query))

    def csv_pages(self, path: str, query: Mapping[str, Any]) -> Iterator[str]:
        """Yields the pages of a list as CSV, each with its header. Raises Failed unless all succeed."""
        headers = self._authorization() | {"Accept": "text/csv"}
        cursor = None
        while True:
            asked = {**query, "limit": _PAGE, "cursor": cursor}
            answer = self._request("GET", path, None, headers, asked)
            if not answer.ok:
                _read(answer)
            yield answer.content.decode()
            cursor = answer.headers.get("X-Next-Cursor")
            if not cursor:
                return

    def _authorization(self) -> dict[str, str]:
        if not self.token:
            hint = "No API token: set TRADEHOOK_TOKEN or TRADEHOOK_ADMIN_TOKEN, or add a profile"
            raise Failed({"error": hint, "code": "token_missing"})
        return {"Authorization": f"Bearer {self.token}"}

    def _request(
        self,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
    ) -> requests.Response:
        data = (
            body.encode()
            if isinstance(body, str)
            else None
            if body is None
            else simplejson.dumps(body, use_decimal=True).encode()
        )
        try:
            return self._session.request(
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
            # The exception's own text may hold the URL with its query.
            raise Failed(
                {"error": f"No answer from {self.url} ({type(fault).__name__})", "code": "no_answer"}
            ) from None

    def everything(
        self, path: str, query: Mapping[str, Any] | None = None, most: int | None = None
    ) -> list[Any]:
        """Returns the items of a list, page by page, at most `most`."""
        items: list[Any] = []
        for page in self._pages(path, query or {}, min(most or _PAGE, _PAGE)):
            items += page
            if most and len(items) >= most:
                return items[:most]
        return items

    def show_list(self, path: str, query: Mapping[str, Any], columns: Sequence[str], most: int) -> None:
        """Prints a list of at most `most` records, and says whether there are more."""
        found = self.everything(path, query, most + 1)
        self.output.records(found[:most], columns)
        if len(found) > most:
            self.output.note(f"There are more than {most}. --most {most * 4} shows more.")
        elif not found and "user_id" not in query:
            self.output.note("An admin's lists have their own records. user_id=… names another user.")

    def _pages(self, path: str, query: Mapping[str, Any], limit: int) -> Iterator[list[Any]]:
        cursor = None
        while True:
            answer = self("GET", path, query={**query, "limit": limit, "cursor": cursor})
            yield answer["items"]
            cursor = answer["next"]
            if not cursor:
                return


def of(context: typer.Context) -> Client:
    """Returns the client of this run."""
    client = context.obj
    assert isinstance(client, Client)
    return client


def fields(words: list[str]) -> dict[str, Any]:
    """Returns `name=value` words as a body. A valid JSON value is JSON, anything else text.

    Raises Failed for another form.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise Failed({"error": f"{word} must have the form field=value", "code": "broken_pair"})
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
