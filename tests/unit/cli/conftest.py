"""The command line in this process.

Its HTTP goes to the API's function, its AWS calls to an emulated cloud.
"""

import json
import re
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

import pytest
import requests
import typer

from chalicelib.users.create import create_user
from chalicelib.users.models import Role
from testkit import gateway
from testkit.api import Api
from testkit.cloud import emulated
from tradehook.__main__ import main


class Wire:
    """Replaces `requests.Session.request`: finds the route and calls the function.

    Records the requests.
    """

    def __init__(self, apps):
        self.routes = [
            (app, path, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$"))
            for app in apps
            for path in app.routes
        ]
        self.sent = []

    def request(self, _session, method, url, *, data, params, headers, **_):
        path = urlsplit(url).path
        self.sent.append(SimpleNamespace(method=method, path=path, body=data, headers=headers))
        for app, route, pattern in self.routes:
            if (found := pattern.match(path)) and method in app.routes[route]:
                query = {name: str(value) for name, value in params.items()} or None
                event = gateway.request(
                    method,
                    path,
                    data,
                    route=route,
                    path_parameters=found.groupdict() or None,
                    query=query,
                    headers=headers,
                )
                answer = app(event, gateway.CONTEXT)
                response = self._response(answer["statusCode"], answer["body"], f"{url}?{urlencode(params)}")
                response.headers.update(answer["headers"])
                return response
        return self._response(403, '{"message": "Missing Authentication Token"}', url)

    @staticmethod
    def _response(status, body, url):
        response = requests.Response()
        response.status_code, response._content, response.url, response.encoding = (
            status,
            body.encode(),
            url,
            "utf-8",
        )
        return response


@pytest.fixture
def cloud():
    with emulated():
        yield


@pytest.fixture
def wire(cloud, monkeypatch):
    from functions import receive_signals, serve_api

    monkeypatch.delenv(
        "POWERTOOLS_METRICS_NAMESPACE"
    )  # the functions run in this process, and their metrics are no output of a command
    wire = Wire([serve_api.app, receive_signals.app])
    # a bound method would not be given the session
    monkeypatch.setattr(
        requests.Session,
        "request",
        lambda session, *args, **more: wire.request(session, *args, **more),  # noqa: PLW0108
    )
    return wire


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs a command; returns its exit code, its output and its errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code or 0
        except typer.Exit as ended:
            code = ended.exit_code
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)

    return run


@pytest.fixture
def admin(wire, monkeypatch):
    create_user(by="test", user_id=1, role=Role.ADMIN)
    api = Api()
    api.sign_in("1")
    monkeypatch.setenv("TRADEHOOK_ADMIN_TOKEN", api.tokens["1"])
    return api.tokens["1"]


@pytest.fixture
def told(run, admin):
    """Runs a command with `--json`; returns its parsed output."""

    def told(*words):
        ended = run(*words, "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    return told
