"""The dashboard's files as the API serves them."""

import re
from pathlib import Path

import pytest

from chalicelib import dashboard
from functions.serve_api import app
from testkit.gateway import CONTEXT, request

WEB = Path(dashboard.__file__).resolve().parent.parent / "web"


def _get(path, route="/dashboard", parameters=None, headers=None):
    answer = app(request("GET", path, route=route, path_parameters=parameters, headers=headers), CONTEXT)
    return (
        answer["statusCode"],
        answer["body"],
        {name.lower(): value for name, value in answer["headers"].items()},
    )


@pytest.fixture(autouse=True)
def _address(monkeypatch):
    monkeypatch.setenv("TRADEHOOK_WS_URL", "wss://events.example.com/live")
    dashboard._policy.cache_clear()
    yield
    dashboard._policy.cache_clear()


def test_page():
    """The page comes as HTML, with a policy that allows nothing inline and nothing from elsewhere but the
    WebSocket.
    """
    status, body, headers = _get("/dashboard")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith("<!doctype html>")
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'self' wss://events.example.com;" in policy


def test_nothing_inline():
    """The page keeps to its own policy: no inline script, style or handler."""
    page = (WEB / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)


@pytest.mark.parametrize(
    ("folder", "file", "type_"),
    [("pages", "signals.js", "text/javascript"), ("vendor", "uplot.css", "text/css")],
)
def test_file(folder, file, type_):
    """Scripts and styles have their types, and are not sent again to a client with the same version."""
    parameters = {"name": file, "file": folder}  # in an order of AWS's choice
    status, _, headers = _get(f"/dashboard/{folder}/{file}", "/dashboard/{file}/{name}", parameters)
    assert status == 200
    assert headers["content-type"].startswith(type_)
    again = _get(
        f"/dashboard/{folder}/{file}",
        "/dashboard/{file}/{name}",
        parameters,
        {"If-None-Match": headers["etag"]},
    )
    assert again[:2] == (304, "")


def test_addresses_are_relative():
    """The page works below a stage's name too: no file of ours names an address from the root of the host."""
    absolute = {
        path.name: found
        for path in [*WEB.glob("*.js"), *WEB.glob("pages/*.js"), *WEB.glob("*.css"), *WEB.glob("*.html")]
        if (
            found := re.findall(
                r"""(?:src|href)=["']/[^"']*|url\(["']?/[^)]*|fetch\(path""", path.read_text()
            )
        )
    }
    assert absolute == {}


@pytest.mark.parametrize("name", ["app.js", "styles.css", "icon.svg"])
def test_page_with_a_trailing_slash(name):
    """From "/dashboard/" the page's relative addresses go one level too deep, and are sent back to the right
    one.
    """
    assert f'"dashboard/{name}"' in (WEB / "index.html").read_text()
    status, _, headers = _get(
        f"/dashboard/dashboard/{name}", "/dashboard/{file}/{name}", {"file": "dashboard", "name": name}
    )
    assert (status, headers["location"]) == (308, f"../{name}")


def test_page_names_no_folder():
    """The page's own files are next to it, where the redirect reaches them."""
    assert all(
        address.count("/") == 1
        for address in re.findall(r'(?:src|href)="([^"]+)"', (WEB / "index.html").read_text())
    )


@pytest.mark.parametrize("file", ["..", "../stack.yaml", "%2e%2e%2fapp.py", "nothing.js", "/etc/passwd", ""])
def test_nothing_else(file):
    """Only what lies in web/ is served."""
    assert _get(f"/dashboard/{file}", "/dashboard/{file}", {"file": file})[0] == 404


def test_nothing_from_elsewhere():
    """No file of ours names another host, so nothing is fetched from one."""
    named = {
        path.name: found
        for path in [*WEB.glob("*.js"), *WEB.glob("pages/*.js"), *WEB.glob("*.css"), *WEB.glob("*.html")]
        if (found := re.findall(r"(?:https?|wss?)://(?!example\.com|www\.w3\.org)[\w.]+", path.read_text()))
    }
    assert named == {}


def test_every_import_is_there():
    """Every module that a module imports is a file here."""
    for path in WEB.rglob("*.js"):
        for module in re.findall(
            r"""(?:^|;|\n)\s*(?:import|export)[^;'"]*?from\s*["']([^"']+)["']""", path.read_text()
        ):
            assert (path.parent / module).resolve().is_file(), f"{path.name} imports {module}"


def test_arabic_is_whole():
    """Every sentence of the pages has its Arabic."""
    known = (WEB / "lang" / "ar.js").read_text()
    for path in [*WEB.glob("*.js"), *WEB.glob("pages/*.js")]:
        for sentence in re.findall(r"""\bt\("([^"]+)\"""", path.read_text()):
            key = sentence if re.fullmatch(r"[A-Za-z_]\w*", sentence) else f'"{sentence}"'
            assert re.search(rf"(?:^|[\s,{{]){re.escape(key)}: ", known), f"{path.name}: {sentence}"
