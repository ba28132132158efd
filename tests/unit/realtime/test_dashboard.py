"""The dashboard's files as the API serves them."""

import json
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


def test_root():
    """The root leads to the dashboard, below a stage's name too."""
    status, _, headers = _get("/", "/")
    assert (status, headers["location"]) == (307, "dashboard")


def test_reference():
    """`/docs` answers HTML with the dashboard's policy, and names only files that are there."""
    status, body, headers = _get("/docs", "/docs")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert headers["content-security-policy"] == _get("/dashboard")[2]["content-security-policy"]
    named = re.findall(r'(?:src|href)="dashboard/([^"]+)"', body)
    assert {"docs.css", "docs.js", "vendor/swagger-ui.js"} <= set(named)
    assert [name for name in named if not (WEB / name).is_file()] == []


@pytest.mark.parametrize("page", ["index.html", "docs.html"])
def test_nothing_inline(page):
    """The pages keep to their own policy: no inline script, style or handler."""
    page = (WEB / page).read_text()
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


def test_dashboard_does_not_load_the_viewer():
    """The viewer of the API reference is larger than the whole dashboard, so only `/docs` loads it."""
    pages = [WEB / "index.html", WEB / "styles.css", *WEB.glob("pages/*.js"), *WEB.glob("*.js")]
    assert [path.name for path in pages if "swagger-ui" in path.read_text()] == []


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


LANGUAGES = sorted(path.stem for path in (WEB / "lang").glob("*.js"))
_LITERAL = r'"(?:[^"\\]|\\.)*"'


def _catalogue(language):
    """A language's sentences by their English."""
    text = (WEB / "lang" / f"{language}.js").read_text().partition("export default ")[2]
    pairs = json.loads(text.rstrip().removesuffix(";").replace(",\n}", "\n}"), object_pairs_hook=list)
    assert len(dict(pairs)) == len(pairs), f"{language} has a sentence twice"
    return dict(pairs)


def _sentences():
    """Every sentence that the pages show: what stands in `t()` and `s()`, and the words of the API."""
    found = set()
    for path in [*WEB.glob("*.js"), *WEB.glob("pages/*.js")]:
        text = path.read_text()
        found |= {json.loads(each) for each in re.findall(rf"(?<![\w.])[ts]\(({_LITERAL})", text)}
        for pair in re.findall(rf"(?<![\w.])t\([^()\"]*\? ({_LITERAL}) : ({_LITERAL})\)", text):
            found |= set(map(json.loads, pair))
    words = (WEB / "words.js").read_text()
    plain = re.search(r"`(.*?)`", words, re.DOTALL).group(1)
    labels = words.partition("LABELS = {")[2].partition("};")[0]
    found |= set(re.split(r",\s*", plain.strip()))
    return found | {json.loads(each) for each in re.findall(rf": ({_LITERAL}),", labels)}


def test_languages():
    """The dashboard speaks the languages of the API, and offers each of them."""
    assert {*LANGUAGES, "en"} == {path.stem for path in (WEB.parent / "chalicelib/messages").glob("*.json")}
    offered = (WEB / "i18n.js").read_text().partition("LANGUAGES = {")[2].partition("}")[0]
    assert set(re.findall(r"(\w\w): ", offered)) == {*LANGUAGES, "en"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_is_whole(language):
    """Every sentence of the pages stands in every language, and no language has one that no page shows."""
    catalogue, sentences = _catalogue(language), _sentences()
    assert sentences - catalogue.keys() == set()
    assert catalogue.keys() - sentences == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations(language):
    """A translation is not empty, keeps the placeholders, and is not the English sentence itself."""
    catalogue = _catalogue(language)
    for sentence, translated in catalogue.items():
        assert translated.strip(), sentence
        assert sorted(re.findall(r"{\w+}", translated)) == sorted(re.findall(r"{\w+}", sentence)), sentence
    same = {sentence for sentence, translated in catalogue.items() if sentence == translated}
    assert same <= {"API", "Id", "Telegram", "UTC", "Webhook", "Webhook URL", "p95", "the API", "xc"}


def _loaded_first(path, seen):
    """The files that a module loads before the first page is drawn."""
    if path in seen:
        return
    seen.add(path)
    for module in re.findall(
        r"""(?:^|;|\n)\s*(?:import|export)\s[^;'"]*?from\s*["']([^"']+)["']""", path.read_text()
    ):
        _loaded_first((path.parent / module).resolve(), seen)


def test_first_load_is_small():
    """The first load, with the largest language, stays under 250 KB before compression."""
    files = {WEB / "index.html", WEB / "styles.css", WEB / "vendor" / "uplot.css", WEB / "icon.svg"}
    _loaded_first(WEB / "app.js", files)
    largest = max((WEB / "lang" / f"{each}.js").stat().st_size for each in LANGUAGES)
    assert sum(path.stat().st_size for path in files) + largest < 250_000
