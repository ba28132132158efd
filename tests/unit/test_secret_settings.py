"""Secrets are read by name, kept for a while, and then read again."""

from types import SimpleNamespace

import pytest

from chalicelib import aws, secret_settings

NAME = "/tradehook/test/telegram-bot-token"


@pytest.fixture
def store(monkeypatch):
    """A parameter store with one secret, which counts how often it is asked, and a clock."""
    store = SimpleNamespace(value="1:first", asked=[], now=1_000_000.0)

    def get_parameter(**arguments):
        store.asked.append(arguments)
        return {"Parameter": {"Value": store.value}}

    monkeypatch.delenv("TRADEHOOK_TELEGRAM_BOT_TOKEN", raising=False)
    monkeypatch.setattr(
        aws, "client", lambda service: {"ssm": SimpleNamespace(get_parameter=get_parameter)}[service]
    )
    monkeypatch.setattr(secret_settings.time, "time", lambda: store.now)
    secret_settings._read.cache_clear()
    yield store
    secret_settings._read.cache_clear()


def test_by_name(store, monkeypatch):
    """The parameter that the environment names is read, decrypted, and kept."""
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_BOT_TOKEN_PARAMETER", NAME)
    assert [secret_settings.secret("TELEGRAM_BOT_TOKEN") for _ in range(3)] == ["1:first"] * 3
    assert store.asked == [{"Name": NAME, "WithDecryption": True}]


def test_a_rotated_secret_is_seen(store, monkeypatch):
    """After five minutes the store is asked again."""
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_BOT_TOKEN_PARAMETER", NAME)
    assert secret_settings.secret("TELEGRAM_BOT_TOKEN") == "1:first"
    store.value = "1:second"
    store.now += 301
    assert secret_settings.secret("TELEGRAM_BOT_TOKEN") == "1:second"


def test_as_it_is_or_not_at_all(store, monkeypatch):
    """A secret that is given itself needs no store, and neither does one that is not given."""
    assert not secret_settings.is_set("TELEGRAM_BOT_TOKEN")
    assert secret_settings.secret("TELEGRAM_BOT_TOKEN") == ""
    monkeypatch.setenv("TRADEHOOK_TELEGRAM_BOT_TOKEN", "1:given")
    assert secret_settings.is_set("TELEGRAM_BOT_TOKEN")
    assert secret_settings.secret("TELEGRAM_BOT_TOKEN") == "1:given"
    assert store.asked == []
