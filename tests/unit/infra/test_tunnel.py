"""`TUNNEL` and `PUBLIC_URL`, with programs of the tunnels' names that only print what the real ones print."""

import os
import stat
import time
from dataclasses import replace

import pytest

from infra.local import process, tunnel
from infra.local.paths import LocalStackPaths
from infra.local.public_address import load

pytestmark = pytest.mark.cloud

CLOUDFLARED = """
echo "2026-11-28T04:00:00Z INF Requesting new quick Tunnel on trycloudflare.com..." >&2
echo "2026-11-28T04:00:01Z INF |  https://calm-river-7.trycloudflare.com  |" >&2
"""
NGROK = """
echo 't=2026-11-28T04:00:00+0000 lvl=info msg="client session established" obj=tunnels.session'
echo 't=2026-11-28T04:00:01+0000 lvl=info msg="started tunnel" addr=http://127.0.0.1:8080 url=https://ab12.ngrok-free.app'
"""


@pytest.fixture
def place(tmp_path):
    """A stack whose tunnel ends with the test."""
    here = replace(LocalStackPaths.here({"PORT": "18123"}), directory=tmp_path / "stack")
    here.directory.mkdir()
    yield here
    tunnel.close_public(here)


def install(tmp_path, monkeypatch, name, prints, then="exec sleep 60"):
    """Puts a program on the PATH. It writes its arguments and environment next to itself."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(
        f'#!/bin/sh\necho "$@" > {folder}/arguments\nenv > {folder}/environment\n{prints}\n{then}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize(
    ("name", "prints", "url", "header", "arguments"),
    [
        (
            "cloudflared",
            CLOUDFLARED,
            "https://calm-river-7.trycloudflare.com",
            "cf-connecting-ip",
            "tunnel --no-autoupdate --url http://127.0.0.1:18123",
        ),
        (
            "ngrok",
            NGROK,
            "https://ab12.ngrok-free.app",
            "x-forwarded-for",
            "http 127.0.0.1:18123 --log stdout --log-format logfmt",
        ),
    ],
)
def test_a_tunnel_opens(place, tmp_path, monkeypatch, name, prints, url, header, arguments):
    """Its URL is what others get, and its own header names the client. Tokenless signals are off."""
    folder = install(tmp_path, monkeypatch, name, prints)
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_BOT_TOKEN", "1:secret")
    opened = tunnel.open_public(place, {"TUNNEL": name})
    assert (opened.shown_url, opened.url) == (url, "http://127.0.0.1:18123")
    assert opened.shown_ws_url == url.replace("https", "wss") + "/ws"
    assert opened.environment["TRADEHOOK_TOKENLESS"] == "off"
    assert place.environment["TRADEHOOK_TOKENLESS"] == "loopback"
    found = load(place.public_address)
    assert found is not None
    assert (found.url, found.header) == (url, header)
    assert (folder / "arguments").read_text().strip() == arguments
    assert "TRADEHOOK" not in (folder / "environment").read_text()


def test_a_running_tunnel_keeps_its_url(place, tmp_path, monkeypatch):
    """A second `make up` would otherwise change the URL in every alert."""
    install(tmp_path, monkeypatch, "cloudflared", CLOUDFLARED)
    first = tunnel.open_public(place, {"TUNNEL": "cloudflared"})
    pid = process.running(place.directory / "tunnel.pid")
    install(tmp_path, monkeypatch, "cloudflared", CLOUDFLARED.replace("calm", "other"))
    assert tunnel.open_public(place, {"TUNNEL": "cloudflared"}).public == first.public
    assert process.running(place.directory / "tunnel.pid") == pid


def test_without_it_the_stack_is_closed_again(place, tmp_path, monkeypatch):
    """The tunnel ends, and its address is forgotten."""
    install(tmp_path, monkeypatch, "cloudflared", CLOUDFLARED)
    tunnel.open_public(place, {"TUNNEL": "cloudflared"})
    closed = tunnel.open_public(place, {})
    assert (closed.public, closed.shown_url) == (None, closed.url)
    assert not place.public_address.exists()
    assert process.running(place.directory / "tunnel.pid") is None


def test_a_proxy_of_ones_own(place):
    """`PUBLIC_URL` is taken as it is, and `X-Forwarded-For` names the client."""
    opened = tunnel.open_public(place, {"PUBLIC_URL": "https://Hooks.example.org/"})
    assert (opened.shown_url, opened.shown_ws_url) == (
        "https://hooks.example.org",
        "wss://hooks.example.org/ws",
    )
    assert opened.public is not None
    assert opened.public.header == "x-forwarded-for"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TUNNEL": "cloudflared"}, "cloudflared is not installed"),
        ({"TUNNEL": "frp"}, "TUNNEL=frp is not known: cloudflared or ngrok"),
        ({"TUNNEL": "ngrok", "PUBLIC_URL": "https://a.example"}, "exclude each other"),
        ({"PUBLIC_URL": "http://a.example"}, "not of the form https://host"),
        ({"PUBLIC_URL": "https://a.example/x"}, "not of the form https://host"),
        ({"PUBLIC_URL": "https://u:p@a.example"}, "not of the form https://host"),
        ({"PUBLIC_URL": "a.example"}, "not of the form https://host"),
    ],
)
def test_what_cannot_work_is_said(place, monkeypatch, environ, said):
    """Nothing is opened, and nothing is left."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(process.ProcessError, match=said):
        tunnel.open_public(place, environ)
    assert not place.public_address.exists()


def test_a_program_that_ends_is_not_waited_for(place, tmp_path, monkeypatch):
    """Its last words are in the error."""
    install(
        tmp_path, monkeypatch, "ngrok", "echo 'ERROR: authentication failed: ERR_NGROK_4018'", then="exit 1"
    )
    started = time.monotonic()
    with pytest.raises(process.ProcessError, match="ERR_NGROK_4018"):
        tunnel.open_public(place, {"TUNNEL": "ngrok"})
    assert time.monotonic() - started < 10
