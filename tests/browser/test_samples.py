"""The samples of the API reference: each one, in each language, sends what the OpenAPI document shows."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest

from functions.serve_api import app as serve_api
from testkit import gateway
from tests.browser.conftest import HERE

TOKENS = {
    "TRADEHOOK_TOKEN": "api_1",
    "TRADEHOOK_WEBHOOK_TOKEN": "whk_1",
    "TRADEHOOK_TELEGRAM_WEBHOOK_SECRET": "tg_1",
}
HEADERS = {
    "bearer": ("Authorization", "Bearer api_1"),
    "webhook": ("X-Webhook-Token", "whk_1"),
    "telegram": ("X-Telegram-Bot-Api-Secret-Token", "tg_1"),
}


class Recorder(ThreadingHTTPServer):
    """Answers every request with 200 and keeps it."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self) -> list[dict[str, Any]]:
        taken, self.seen = self.seen, []
        return taken


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def _keep(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(
            {
                "request": f"{self.command} {self.path}",
                "header": {name: self.headers[name] for name, _ in HEADERS.values() if name in self.headers},
                "body": json.loads(body) if body else None,
                "type": self.headers.get("Content-Type"),
            }
        )
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _keep  # noqa: N815 - the base class looks for these

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    """The document as it is served."""
    return gateway.call(serve_api, "GET", "/openapi.json")[1]


def _expected(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """What each operation's sample sends, in the order of the document."""
    found = []
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            url = path
            for each in operation["parameters"]:
                url = url.replace(f"{{{each['name']}}}", quote(str(each.get("example")), safe=""))
            scheme = next((name for option in operation["security"] for name in option), None)
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            shown = [each["value"] for each in content.get("examples", {}).values()]
            found.append(
                {
                    "request": f"{method.upper()} {url}",
                    "header": dict([HEADERS[scheme]]) if scheme else {},
                    "body": shown[0] if shown else None,
                    "type": "application/json" if shown else None,
                }
            )
    return found


def test_every_sample_sends_the_documented_request(
    node: str, recorder: Recorder, spec: dict[str, Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run as printed, curl, Python and JavaScript send method, path, token and body of the document."""
    for name, value in TOKENS.items():
        monkeypatch.setenv(name, value)
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(spec))
    done = subprocess.run(
        [node, "run_samples.mjs", document, recorder.url],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = _expected(spec)
    assert recorder.take() == expected
    made = json.loads(done.stdout)
    for sample in made.values():
        exec(compile(sample["Python"], "sample", "exec"), {})
    assert recorder.take() == expected
    for sample in made.values():
        subprocess.run(["bash", "-c", sample["curl"]], check=True, capture_output=True, timeout=20)
    assert recorder.take() == expected
