"""Profiles: a token only ever goes to the deployment it was stored for."""

import json

import pytest
import typer


@pytest.fixture(autouse=True)
def profiles(tmp_path, monkeypatch):
    """Two stored profiles. The first one is the default."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("TRADEHOOK_URL", "TRADEHOOK_TOKEN", "TRADEHOOK_ADMIN_TOKEN", "TRADEHOOK_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "tradehook" / "profiles.json"


@pytest.fixture
def calls(monkeypatch):
    """The URL and the token of each call."""
    from tradehook.client import Client

    made = []

    def record(client, *_, **__):
        made.append((client.url, client.token))
        return {"items": [], "next": None}

    monkeypatch.setattr(Client, "__call__", record)
    return made


@pytest.fixture
def stored(run, monkeypatch):
    for name in ("home", "work"):
        monkeypatch.setattr(typer, "prompt", lambda *_, name=name, **__: f"token of {name}")
        assert run("profiles", "add", name, f"https://{name}.example").code == 0


def test_the_default_and_a_named_one(run, calls, stored):
    """Without a word the default counts, with `--profile` the named one."""
    run("users", "list")
    run("--profile", "work", "users", "list")
    run("profiles", "use", "work")
    run("users", "list")
    assert calls == [
        ("https://home.example", "token of home"),
        ("https://work.example", "token of work"),
        ("https://work.example", "token of work"),
    ]


def test_url_and_token_never_mix(run, calls, stored, monkeypatch):
    """A stored token never goes to a URL of the environment, and a named profile outranks the environment."""
    monkeypatch.setenv("TRADEHOOK_URL", "https://other.example")
    run("users", "list")
    run("--profile", "home", "users", "list")
    monkeypatch.setenv("TRADEHOOK_TOKEN", "token of the environment")
    run("users", "list")
    run("--profile", "home", "users", "list")
    assert calls == [
        ("https://other.example", ""),
        ("https://home.example", "token of home"),
        ("https://other.example", "token of the environment"),
        ("https://home.example", "token of home"),
    ]


def test_the_file_is_private_and_lists_show_no_token(run, stored, profiles):
    """Only the owner reads the file, and no command prints a stored token."""
    assert profiles.stat().st_mode & 0o777 == 0o600
    listed = run("profiles", "list", "--json")
    assert [(each["name"], each["default"]) for each in json.loads(listed.out)] == [
        ("home", True),
        ("work", False),
    ]
    assert "token" not in listed.out + listed.err


def test_removal(run, calls, stored):
    """A removed profile is unknown. Without a default the local stack is asked, without a token."""
    assert run("profiles", "remove", "home").code == 0
    assert "work" in run("--profile", "home", "users", "list").err
    run("users", "list")
    assert calls == [("http://localhost:8080", "")]


def test_a_damaged_file_is_named(run, profiles):
    """A file that is no file of profiles is named, and not overwritten."""
    profiles.parent.mkdir()
    profiles.write_text("{")
    ended = run("users", "list")
    assert (ended.code, str(profiles) in ended.err.replace("\n", "")) == (1, True)
    assert profiles.read_text() == "{"
