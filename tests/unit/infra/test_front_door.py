"""The front door before a cloud that only says what reached it."""

import asyncio
import io
import json
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from infra.local import admission, front_door
from infra.local.paths import LocalStackPaths
from infra.local.public_address import UNKNOWN, PublicAddress
from infra.local.routes import Routes

pytestmark = pytest.mark.cloud

ROUTES = [
    ["POST", "/api/webhook", "receive_signals"],
    ["GET", "/signals/{signal_id}", "serve_api"],
    ["GET", "/signals/newest", "other"],
    ["GET", "/files/{rest+}", "serve_api"],
]


class Cloud:
    """Stands in for API Gateway: echoes what it got, and counts how much of it at once."""

    def __init__(self):
        self.at_once = self.most_at_once = 0
        self.takes_s = 0.01
        self.app = web.Application(client_max_size=10**8)
        self.app.router.add_get("/live/v1", self.websocket)
        self.app.router.add_route("*", "/rest/v1/{path:.*}", self.echo)

    async def echo(self, request):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.takes_s)
        self.at_once -= 1
        told = {
            "path": request.raw_path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }
        return web.json_response(told, status=202, headers={"X-Answer": "yes"})

    async def websocket(self, request):
        if request.query.get("token") != "good":
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.data == "bye":
                await socket.close(code=4001)
            else:
                await socket.send_str(f"{request.query['token']}: {message.data}")
        return socket


def through_the_door(tmp_path, test):
    """Runs the test with a client of a front door before a running cloud."""

    async def run():
        cloud = Cloud()
        async with TestServer(cloud.app) as behind:
            place = replace(LocalStackPaths.here({}), directory=tmp_path)
            told = {
                "http": str(behind.make_url("/rest/v1")),
                "websockets": {"/ws": str(behind.make_url("/live/v1"))},
                "routes": ROUTES,
            }
            place.front_door.write_text(json.dumps(told))
            async with TestClient(TestServer(front_door.application(place))) as client:
                await test(client, cloud, behind)

    asyncio.run(run())


def test_listed_routes_pass_with_their_answer(tmp_path):
    """Status, headers and body come back; path and query go through as they were sent."""

    async def test(client, _cloud, _behind):
        answer = await client.get("/signals/a%2Fb%20c?x=1&x=2")
        assert (answer.status, answer.headers["X-Answer"]) == (202, "yes")
        assert (await answer.json())["path"] == "/rest/v1/signals/a%2Fb%20c?x=1&x=2"

    through_the_door(tmp_path, test)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/_aws/x"), ("GET", "/signals/a/b"), ("PUT", "/x"), ("PUT", "/files/a")],
)
def test_everything_else_is_404_and_stays_outside(tmp_path, method, path):
    """Behind the door anybody is root, so nothing unlisted goes through."""

    async def test(client, cloud, _behind):
        answer = await client.request(method, path)
        assert answer.status == 404
        assert (await answer.json())["code"] == "unknown_route"
        assert cloud.most_at_once == 0

    through_the_door(tmp_path, test)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/webhook", "POST"),
        ("HEAD", "/api/webhook/", "POST"),
        ("OPTIONS", "/signals/7", "GET"),
        ("DELETE", "/signals/newest", "GET"),
    ],
)
def test_a_wrong_method_is_405_and_stays_outside(tmp_path, method, path, allowed):
    """A client learns the methods of a known path, as RFC 9110 15.5.6 asks."""

    async def test(client, cloud, _behind):
        answer = await client.request(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)
        if method != "HEAD":
            assert (await answer.json())["code"] == "method_not_allowed"
        assert cloud.most_at_once == 0

    through_the_door(tmp_path, test)


PUBLIC = PublicAddress("https://a-b.trycloudflare.com", "cf-connecting-ip", "cloudflared")
TUNNELLED = {"Host": PUBLIC.host, "CF-Connecting-IP": "203.0.113.7", "X-Forwarded-For": "9.9.9.9"}


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "127.0.0.1"),
        (TUNNELLED, "203.0.113.7"),
        (TUNNELLED | {"CF-Connecting-IP": "127.0.0.1"}, UNKNOWN),
        (TUNNELLED | {"CF-Connecting-IP": "::ffff:127.0.0.1"}, UNKNOWN),
        (TUNNELLED | {"CF-Connecting-IP": "nobody"}, UNKNOWN),
        ({"Host": PUBLIC.host}, UNKNOWN),
        ({"X-Forwarded-For": "9.9.9.9"}, UNKNOWN),
        ({"Forwarded": "for=127.0.0.1"}, UNKNOWN),
        ({"X-Real-IP": "127.0.0.1"}, UNKNOWN),
    ],
)
def test_only_the_proxys_own_header_names_a_client(tmp_path, headers, address):
    """Any other forwarding header says only that the client is not on this machine."""
    PUBLIC.save(tmp_path / "public.json")

    async def test(client, _cloud, _behind):
        answer = await client.post("/api/webhook", data=b"{}", headers=headers)
        got = (await answer.json())["headers"]
        assert got["x-forwarded-for"] == address
        assert got["x-forwarded-proto"] == ("https" if "Host" in headers else "http")

    through_the_door(tmp_path, test)


def test_the_last_address_of_a_list_counts(tmp_path):
    """A proxy appends the address that it saw. What stands before came from the client."""
    PublicAddress("https://own.example", "x-forwarded-for").save(tmp_path / "public.json")

    async def test(client, _cloud, _behind):
        headers = {"Host": "own.example", "X-Forwarded-For": "127.0.0.1, 9.9.9.9, 2001:db8::7"}
        answer = await client.post("/api/webhook", data=b"{}", headers=headers)
        assert (await answer.json())["headers"]["x-forwarded-for"] == "2001:db8::7"

    through_the_door(tmp_path, test)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"Origin": PUBLIC.url}, 202),
        ({"Origin": f"http://{PUBLIC.host}"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.trycloudflare.com"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_the_public_host_is_one_of_its_own(tmp_path, headers, status):
    """While there is one, its own pages may post. Those of other sites and other hosts stay refused."""

    async def test(client, _cloud, _behind):
        for opened in (True, False):
            if opened:
                PUBLIC.save(tmp_path / "public.json")
            else:
                (tmp_path / "public.json").unlink()
            answer = await client.post("/api/webhook", data=b"{}", headers=TUNNELLED | headers)
            assert answer.status == (status if opened else 403)

    through_the_door(tmp_path, test)


def test_the_client_cannot_say_who_or_when_it_is(tmp_path):
    """Address and time are the door's; headers that steer the emulator are dropped; the client's own stay."""

    async def test(client, _cloud, _behind):
        sent = {
            "X-Forwarded-For": "9.9.9.9",
            "X-Request-Start": "t=1",
            "X-Amz-Target": "DynamoDB.Scan",
            "X-Api-Key": "k",
            "X-Mine": "1",
        }
        answer = await client.post("/api/webhook", data=b"{}", headers=sent)
        got = (await answer.json())["headers"]
        assert (
            got["x-forwarded-for"] == "0.0.0.0"
        )  # some proxy's client, of an address that nobody vouches for
        assert float(got["x-request-start"].removeprefix("t=")) > 10**9
        assert got["x-mine"] == "1"
        assert not {"x-amz-target", "x-api-key"} & set(got)

    through_the_door(tmp_path, test)


@pytest.mark.parametrize(("takes_s", "at_once"), [(0.01, admission.AT_FIRST), (1.5, admission.AT_ONCE)])
def test_few_at_once_per_function(tmp_path, monkeypatch, takes_s, at_once):
    """The others wait their turn, and all are answered.

    Where none leaves for a while, places are added, up to a limit.
    """
    monkeypatch.setattr(admission, "_STUCK_S", 0.2)

    async def test(client, cloud, _behind):
        cloud.takes_s = takes_s
        answers = await asyncio.gather(*(client.post("/api/webhook", data=b"{}") for _ in range(12)))
        assert {answer.status for answer in answers} == {202}
        assert cloud.most_at_once == at_once

    through_the_door(tmp_path, test)


def test_too_large_is_413(tmp_path):
    """Two megabytes are the limit of the door; the product's own is lower."""

    async def test(client, _cloud, _behind):
        answer = await client.post("/api/webhook", data=io.BytesIO(b"x" * (front_door.BODY_LIMIT + 1)))
        assert (answer.status, (await answer.json())["code"]) == (413, "too_large")

    through_the_door(tmp_path, test)


def test_no_cloud_is_503(tmp_path):
    """A cloud that is not there is said in JSON."""

    async def test(client, _cloud, behind):
        await behind.close()
        answer = await client.post("/api/webhook", data=b"{}")
        assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")

    through_the_door(tmp_path, test)


def test_websocket_passes_both_ways(tmp_path):
    """Messages, query string and close code go through."""

    async def test(client, _cloud, _behind):
        async with client.ws_connect("/ws?token=good") as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "good: hello"
            await socket.send_str("bye")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4001

    through_the_door(tmp_path, test)


def test_a_message_larger_than_api_gateway_takes_closes_the_connection(tmp_path):
    """128 KB go through, a byte more is closed with 1009, as in the cloud."""

    async def test(client, _cloud, _behind):
        async with client.ws_connect("/ws?token=good", max_msg_size=0) as socket:
            await socket.send_str("x" * 128 * 1024)
            assert len(await socket.receive_str()) == 128 * 1024 + len("good: ")
            await socket.send_str("x" * (128 * 1024 + 1))
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1009

    through_the_door(tmp_path, test)


def test_websocket_refused_is_403(tmp_path):
    """Refused at `$connect`, refused at the door."""

    async def test(client, _cloud, _behind):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/ws?token=bad")
        assert refused.value.status == 403
        assert (await client.get("/ws")).status == 426

    through_the_door(tmp_path, test)


def test_routes_prefer_the_plain_segment_and_follow_the_file(tmp_path):
    """`/signals/newest` is not a signal's id; `{rest+}` takes the rest.

    A new file counts from the next request.
    """
    file = tmp_path / "front_door.json"
    file.write_text(json.dumps({"http": "a", "websockets": {}, "routes": ROUTES}))
    routes = Routes(file)
    routes.refresh()
    assert [routes.function("GET", path) for path in ("/signals/newest", "/signals/7", "/files/a/b")] == [
        "other",
        "serve_api",
        "serve_api",
    ]
    assert routes.function("DELETE", "/signals/7") is None
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"http": "b", "websockets": {}, "routes": []}))
    other.replace(file)
    routes.refresh()
    assert (routes.http, routes.function("GET", "/signals/7")) == ("b", None)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 202),
        ("GET", {"Origin": "https://evil.example"}, 202),
        ("GET", {"Host": "evil.example"}, 403),
        ("GET", {"Host": "127.0.0.1"}, 403),
        ("POST", {}, 202),
        ("POST", {"Origin": "https://evil.example"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, 202),
        ("POST", {"Host": "evil.example"}, 403),
        ("POST", {"Content-Encoding": "gzip"}, 415),
    ],
)
def test_pages_of_other_sites(tmp_path, method, headers, status):
    """Another host is refused, and so is everything but reading from a page of another site.

    Packed bodies too.
    """

    async def test(client, _cloud, _behind):
        path = "/signals/1" if method == "GET" else "/api/webhook"
        answer = await client.request(
            method,
            path,
            headers=headers,
            data=b"x" if method == "POST" else None,
            skip_auto_headers=["Origin"],
        )
        assert answer.status == status

    through_the_door(tmp_path, test)


def test_its_own_page_may_post_and_connect(tmp_path):
    """The dashboard's requests carry the front door's own origin, under each of its names.

    The cloud never sees it.
    """

    async def test(client, _cloud, _behind):
        for name in ("127.0.0.1", "localhost"):
            origin = {"Origin": f"http://{name}:{client.port}", "Sec-Fetch-Site": "same-origin"}
            answer = await client.post("/api/webhook", headers=origin, data=b"x")
            assert (answer.status, "origin" in (await answer.json())["headers"]) == (202, False)
        async with client.ws_connect("/ws?token=good", origin=f"http://127.0.0.1:{client.port}") as socket:
            await socket.send_str("hello")
            assert (await socket.receive_str()) == "good: hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect("/ws?token=good", origin="https://evil.example")

    through_the_door(tmp_path, test)


def test_every_answer_is_guarded(tmp_path):
    """Answers of the functions and of the front door itself tell no versions, and are neither guessed at nor
    cached.
    """

    async def test(client, _cloud, _behind):
        for path in ("/signals/1", "/nowhere"):
            answer = await client.get(path)
            assert "Server" not in answer.headers
            assert (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"]) == (
                "nosniff",
                "no-store",
            )

    through_the_door(tmp_path, test)
