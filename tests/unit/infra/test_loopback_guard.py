"""What listens on a developer's machine serves tools, not pages of other sites.

The cloud's root key is its stack's own.
"""

import asyncio
import stat
from dataclasses import replace

import pytest

from infra.local import loopback_guard, process
from infra.local.paths import LocalStackPaths

PORT = 18080
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=ROOTABC/20260101/us-east-1/dynamodb/aws4_request"}
OWN = {"host": f"127.0.0.1:{PORT}"} | SIGNED


def status(headers, path="/", query=b"", kind="http"):
    """What the guard makes of a request; the cloud behind it allows every origin."""
    sent = []

    async def cloud(_scope, _receive, send):
        cors = [(b"Access-Control-Allow-Origin", b"*"), (b"x-answer", b"yes")]
        await send({"type": "http.response.start", "status": 200, "headers": cors})

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "headers": raw, "path": path, "query_string": query}
    asyncio.run(loopback_guard.CloudGuard(cloud, PORT)(scope, None, send))
    return sent[0].get("status", sent[0].get("code")), dict(sent[0].get("headers", []))


@pytest.mark.parametrize(
    "host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"]
)
def test_a_tool_is_served_without_cors(host):
    """A signed request of no page gets through, and the answer opens itself to no page."""
    assert status(OWN | {"host": host}) == (200, {b"x-answer": b"yes"})
    assert status(OWN | {"sec-fetch-site": "none"})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": "127.0.0.1"},
        {"host": f"127.0.0.1:{PORT}.evil.example"},
        {"host": ""},
        {"authorization": ""},
        {"authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"},
        {"authorization": "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/s3/aws4_request"},
    ],
)
def test_pages_and_keys_that_anybody_knows(headers):
    """A page's request, one for another name, and one without a key of its own are refused."""
    assert status(OWN | headers)[0] == 403
    assert status(OWN | headers, kind="websocket")[0] == 1008


def test_what_is_open():
    """The APIs behind the front door and the readiness need no signature; a presigned URL carries its own."""
    unsigned = {"host": f"127.0.0.1:{PORT}"}
    assert status(unsigned, "/_aws/execute-api/x/v1/health")[0] == 200
    assert status(unsigned, "/_ministack/ready")[0] == 200
    assert status(unsigned, "/_ministack/reset")[0] == 403
    assert status(unsigned, "/b/k", b"X-Amz-Credential=ROOTABC%2F20260101")[0] == 200
    assert status(unsigned, "/b/k", b"X-Amz-Credential=test%2F20260101")[0] == 403


def test_the_root_key_is_the_stacks_own(tmp_path):
    """Each stack makes its key once, in a file that only its user reads."""
    places = [replace(LocalStackPaths.here({}), directory=tmp_path / name) for name in ("one", "two")]
    keys = [place.root_key for place in places]
    assert keys[0] != keys[1]
    assert places[0].root_key == keys[0]
    assert len(keys[0]) == 36
    assert stat.S_IMODE((tmp_path / "one" / "root.key").stat().st_mode) == 0o600
    assert replace(places[0], elsewhere="http://127.0.0.1:4566").root_key == "test"


def test_what_processes_write_is_this_users_own(tmp_path):
    """No other user reads the directory, the logs, or the files of a started process."""
    directory = tmp_path / "local"
    pid = directory / "x.pid"
    process.start(
        ["sh", "-c", "echo x > made; mkdir sub"],
        pid,
        directory / "x.log",
        {"PATH": "/usr/bin:/bin"},
        tmp_path,
    )
    process._children[pid].wait()
    modes = {
        name: stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("local", "local/x.log", "made", "sub")
    }
    assert modes == {"local": 0o700, "local/x.log": 0o600, "made": 0o600, "sub": 0o700}
