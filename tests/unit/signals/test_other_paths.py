"""Webhooks in another spelling, and requests that miss a webhook."""

import re
from typing import Any
from urllib.parse import urljoin

import pytest

from app import OWNERS
from functions import receive_signals
from infra.build.routes import document
from infra.local.routes import Routes
from testkit import pump
from testkit.gateway import CONTEXT, call, request
from tests.unit.signals.test_keys_and_credentials import GROUP, PAPER, PERSONAL, events, signals, trader

__all__ = ["trader"]

XC = {"symbol": "BTCUSDT", "side": "buy", "exchange": "binance", "amount": "0.1"}


def send(
    path: str, body: Any, token: str | None = None, method: str = "POST", **more: Any
) -> tuple[int, Any, dict[str, str]]:
    """A request as API Gateway passes it on where no route has its path."""
    given = {"route": "/{rest+}", "path_parameters": {"rest": path.strip("/")}}
    headers = {"X-Webhook-Token": token} if token else {}
    return call(
        receive_signals.app, method, path, body, headers=headers, query={"wait": "0"}, **given, **more
    )


@pytest.mark.parametrize(
    ("path", "body", "variant"),
    [
        ("/Webhook", PERSONAL, "legacy"),
        ("/WEBHOOK/", PERSONAL, "legacy"),
        ("/api/webhook/", PAPER, "paper"),
        ("/API/webhook", PAPER, "paper"),
        ("/Api/WebHook//", GROUP, "group"),
        ("/personal/1/webhook/", PERSONAL, "personal"),
        ("/Personal/1/Webhook", PERSONAL, "personal"),
        ("/XC/", XC, "xc"),
    ],
)
def test_slash_and_case_do_not_matter(
    trader: str, path: str, body: Any, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken as the plain path."""
    monkeypatch.setenv("TRADEHOOK_DEFAULT_USER_ID", "1")
    assert send(path, body, trader)[0] == 202
    assert [(item["variant"], item["user_id"]) for item in signals()] == [(variant, "1")]
    assert "{rest+}" not in str(pump.items("webhook_logs"))


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("POST", "/webhook/extra", (404, "unknown_route")),
        ("POST", "/personal/1/webhok", (404, "unknown_route")),
        ("POST", "/personal/1", (404, "unknown_route")),
        ("POST", "/personal/1/webhook/extra", (404, "unknown_route")),
        ("POST", "/api/webhook/x", (404, "unknown_route")),
        ("PUT", "/xc", (405, "method_not_allowed")),
        ("GET", "/webhook", (405, "method_not_allowed")),
        ("DELETE", "/personal/1/webhook", (405, "method_not_allowed")),
        ("GET", "/Api/Webhook/", (405, "method_not_allowed")),
    ],
)
def test_what_misses_a_webhook_is_logged(
    trader: str, method: str, path: str, refusal: tuple[int, str]
) -> None:
    """404 or 405 and in the log, with or without a token. A token's owner is notified."""
    code = refusal[1]
    path = path.rstrip("/")
    status, answer, _ = send(path, PAPER, method=method)
    assert (status, answer["code"]) == refusal
    assert (events("signal.refused"), [entry["owner"] for entry in pump.items("webhook_logs")]) == (
        [],
        ["unknown"],
    )
    assert send(path, PAPER, trader, method)[1]["code"] == code
    assert [(told["code"], told["webhook"]) for told in events("signal.refused")] == [(code, path)]
    entries = sorted(pump.items("webhook_logs"), key=lambda entry: entry["owner"])
    assert [(entry["owner"], entry["route"], entry["code"]) for entry in entries] == [
        (each, path, code) for each in ("1", "unknown")
    ]
    assert signals() == []


@pytest.mark.parametrize("body", ["", "{", '{"a": ', b"\xff".decode("latin-1")])
def test_any_body_and_a_wrong_token(trader: str, body: str) -> None:
    """Still a 404, logged as unknown."""
    assert send("/webhook/extra", body, "whk_1_" + "A" * 43)[0] == 404
    assert [entry["owner"] for entry in pump.items("webhook_logs")] == ["unknown"]


def test_a_token_in_a_path_is_masked(trader: str) -> None:
    """People paste the token into the path."""
    assert send(f"/webhook/{trader}", PAPER, trader)[0] == 404
    assert trader not in str([pump.items(each) for each in ("webhook_logs", "outbox")])


def test_elsewhere_nothing_is_logged(trader: str) -> None:
    """A path that has nothing to do with webhooks."""
    for path in ("/", "/wp-login.php", "/webhooks/x/y/z", "/signals/a/b"):
        assert send(path, "", method="GET")[1]["code"] == "unknown_route"
    assert pump.items("webhook_logs") == []


@pytest.mark.parametrize("path", sorted({path for _, path in OWNERS if "+}" not in path}))
def test_a_wrong_method_is_405_with_the_methods_that_work(path: str) -> None:
    """Every path of both functions: `Allow` has exactly the methods of its routes."""
    takes = sorted({method for method, taken in OWNERS if taken == path})
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        if method not in takes:
            status, answer, headers = send(re.sub(r"\{\w+\}", "7", path), "", method=method)
            assert (status, answer["code"]) == (405, "method_not_allowed"), path
            assert headers["Allow"] == ", ".join(takes)


def test_a_browser_finds_the_icon() -> None:
    """`/favicon.ico` leads to the dashboard's icon, below a stage's name too."""
    event = request("GET", "/favicon.ico", route="/{rest+}", path_parameters={"rest": "favicon.ico"})
    answer = receive_signals.app(event, CONTEXT)
    assert (answer["statusCode"], answer["headers"]["Location"]) == (308, "dashboard/icon.svg")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("docs/dashboard/docs.js", "../../dashboard/docs.js"),
        ("docs/dashboard/vendor/swagger-ui.js", "../../../dashboard/vendor/swagger-ui.js"),
    ],
)
def test_the_reference_works_with_a_trailing_slash(path: str, location: str) -> None:
    """From `/docs/` the page's relative addresses go one level too deep, and are sent back."""
    event = request("GET", f"/{path}", route="/{rest+}", path_parameters={"rest": path})
    answer = receive_signals.app(event, CONTEXT)
    assert (answer["statusCode"], answer["headers"]["Location"]) == (308, location)
    assert (
        urljoin(f"https://host/stage/{path}", location) == f"https://host/stage/{path.removeprefix('docs/')}"
    )


@pytest.mark.parametrize("path", ["docs/dashboard/a\r\nX: y", "docs/dashboard/", "docs/dashboard/a/b/c"])
def test_only_names_of_files_are_sent_back(path: str) -> None:
    """Nothing else of a path gets into a header."""
    event = request("GET", f"/{path}", route="/{rest+}", path_parameters={"rest": path})
    assert receive_signals.app(event, CONTEXT)["statusCode"] == 404


def test_an_order_by_hand_needs_its_own_credential(trader: str) -> None:
    """Another spelling opens no other door."""
    assert (
        send("/Orders/", {"symbol": "BTCUSDT", "side": "buy", "account": "demo", "quantity": 1}, trader)[0]
        == 401
    )


def test_the_catch_all_has_no_sibling_variable() -> None:
    """API Gateway allows one path variable at each level."""
    below_root = {path.split("/")[1] for _, path in OWNERS if path.split("/")[1].startswith("{")}
    assert below_root == {"{rest+}"}


def test_the_route_document_declares_the_catch_all() -> None:
    """For each of its methods, with the parameter that holds the path."""
    methods = document()["paths"]["/{rest+}"]
    assert sorted(methods) == ["delete", "get", "patch", "post", "put"]
    for operation in methods.values():
        assert operation["x-tradehook-function"] == "receive_signals"
        assert operation["parameters"] == [{"name": "rest", "in": "path", "required": True, "type": "string"}]


def test_the_front_door_ignores_a_slash_at_the_end(tmp_path: Any) -> None:
    """Locally as at API Gateway."""
    import json

    file = tmp_path / "routes.json"
    routes = [
        ["POST", "/webhook", "receive"],
        ["GET", "/signals/{id}", "serve"],
        ["POST", "/{rest+}", "other"],
    ]
    file.write_text(json.dumps({"http": "", "websockets": {}, "routes": routes}))
    found = Routes(file)
    found.refresh()
    wanted = {"/webhook/": "receive", "/webhook": "receive", "/Webhook": "other", "/webhook/extra": "other"}
    assert {path: found.function("POST", path) for path in wanted} == wanted
    assert found.function("GET", "/signals/7/") == "serve"
