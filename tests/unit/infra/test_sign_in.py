"""The one-time link to the dashboard."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from infra.local import sign_in
from infra.local.paths import LocalStackPaths
from infra.local.public_address import PublicAddress
from tests.unit.infra.test_front_door import through_the_door

TOKEN = "api_1_" + "a" * 43


@pytest.fixture
def place(tmp_path):
    """A stack with an admin's token."""
    (tmp_path / "stack.env").write_text(f"TRADEHOOK_ADMIN_TOKEN={TOKEN}\n")
    return replace(LocalStackPaths.here({}), directory=tmp_path)


def code_of(place):
    """The code of a new link."""
    return sign_in.make_link(place).partition("#sign-in=")[2]


def test_a_link_works_once(place):
    """The code is not stored, its file is private, and a second use gets nothing."""
    link = sign_in.make_link(place)
    address, _, code = link.partition("#sign-in=")
    assert address == f"{place.url}/dashboard"
    [file] = place.directory.glob("sign_in*")
    assert code not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert (sign_in.redeem(place, code), sign_in.redeem(place, code)) == (TOKEN, None)
    assert list(place.directory.glob("sign_in*")) == []


def test_of_several_at_once_one_succeeds(place):
    """Two tabs, or somebody who read the screen."""
    code = code_of(place)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: sign_in.redeem(place, code), range(40)))
    assert sorted(found, key=str) == [None] * 39 + [TOKEN]


def test_a_wrong_code_leaves_the_link(place):
    """Nobody uses up the link by guessing. A newer link replaces it."""
    earlier, code = code_of(place), code_of(place)
    for wrong in ("", "x", earlier, code[:-1], "\ud800"):
        assert sign_in.redeem(place, wrong) is None
    assert sign_in.redeem(place, code) == TOKEN


def test_it_expires(place, monkeypatch):
    """After ten minutes the code opens nothing."""
    code, now = code_of(place), time.time()
    monkeypatch.setattr(sign_in.time, "time", lambda: now + sign_in.GOOD_FOR_S + 1)
    assert sign_in.redeem(place, code) is None


def test_the_public_url_is_never_in_it(place):
    """It would let somebody outside sign in."""
    public = replace(place, public=PublicAddress("https://a.example", "x-forwarded-for"))
    assert sign_in.make_link(public).startswith("http://127.0.0.1:")


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "a.example"}, 404),
        ({"X-Forwarded-For": "127.0.0.1"}, 404),
        ({"CF-Connecting-IP": "127.0.0.1"}, 404),
    ],
)
def test_the_front_door_exchanges_it_for_this_machine_alone(place, headers, status):
    """No page of another site, and nothing that a proxy forwarded. The link stays for its owner."""
    PublicAddress("https://a.example", "x-forwarded-for").save(place.public_address)
    code = code_of(place)

    async def test(client, cloud, _behind):
        answer = await client.post(sign_in.PATH, json={"code": code}, headers=headers)
        assert answer.status == status
        assert answer.headers["Cache-Control"] == "no-store"
        if status == 200:
            assert await answer.json() == {"token": TOKEN}
        else:
            assert sign_in.redeem(place, code) == TOKEN
        assert cloud.most_at_once == 0

    through_the_door(place.directory, test)


@pytest.mark.cloud
def test_bad_requests(place):
    """What is no exchange says so."""

    async def test(client, _cloud, _behind):
        asked = {"{": 400, "[]": 400, '{"code": 1}': 401, '{"code": "x"}': 401}
        for body, status in asked.items():
            assert (await client.post(sign_in.PATH, data=body)).status == status
        assert (await client.get(sign_in.PATH)).status == 405

    through_the_door(place.directory, test)
