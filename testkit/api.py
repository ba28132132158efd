"""The API as a caller sees it: routes by their pattern, callers by their user."""

from typing import Any

from chalicelib.users.credentials import Kind
from testkit import gateway, records


class Api:
    """The `serve_api` function with its users' tokens. Each call returns status and body."""

    def __init__(self) -> None:
        from functions import serve_api

        self.app = serve_api.app
        self.tokens: dict[str, str] = {}

    def sign_in(self, user_id: str) -> None:
        """Gives an existing user an API token."""
        self.tokens[user_id] = records.add_token(user_id, Kind.API)

    def __call__(
        self,
        who: str | None,
        method: str,
        route: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        language: str = "en",
        **path: Any,
    ) -> tuple[int, Any]:
        headers = {"Accept-Language": language}
        if who is not None:
            headers["Authorization"] = f"Bearer {self.tokens.get(who, who)}"
        parameters = {name: str(value) for name, value in path.items()}
        status, answer, _ = gateway.call(
            self.app,
            method,
            route.format(**parameters),
            body,
            route=route,
            path_parameters=parameters or None,
            query=query,
            headers=headers,
        )
        return status, answer


def outbox() -> list[dict[str, Any]]:
    """Returns the unpublished events, oldest first."""
    return sorted(_all("outbox"), key=lambda item: item["created_at"])


def trail() -> list[dict[str, Any]]:
    """Returns the audit trail, oldest first."""
    return sorted(_all("audit"), key=lambda item: item["at"])


def everything() -> str:
    """Returns every item of every table as text, to search for secrets."""
    from infra import stack

    return str([_all(table) for table in stack.load().source.tables])


def _all(table: str) -> list[dict[str, Any]]:
    from chalicelib import aws, config

    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=config.table(table))
    return [aws.from_dynamodb(item) for page in pages for item in page["Items"]]
