"""The commands that are made from a table: each is one call of the API."""

import json
import re

import pytest

from chalicelib.http import to_json
from chalicelib.openapi import subjects
from tradehook import __main__ as cli
from tradehook.nouns import NOUNS, VERBS

NAMES = [f"{verb.noun} {verb.verb}".strip() for verb in VERBS]


@pytest.mark.parametrize("verb", VERBS, ids=NAMES)
def test_a_command_calls_its_route(run, wire, monkeypatch, verb):
    """Method, path and arguments of each command are those of a documented route."""
    assert verb.operation in subjects.docs()
    monkeypatch.setenv("TRADEHOOK_TOKEN", "api_1_x")
    method, path = verb.operation.split()
    names = re.findall(r"\{(\w+)\}", path)
    words = [str(number) for number, _ in enumerate(names, 1)]
    run(*verb.noun.split(), *([verb.verb] if verb.verb else []), *words)
    expected = re.sub(r"\{\w+\}", lambda _: words.pop(0), path)
    assert [(each.method, each.path) for each in wire.sent] == [(method, expected)]
    assert ("Authorization" in (wire.sent[0].headers)) is (
        subjects.docs()[verb.operation].security == "bearer"
    )


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.columns], ids=lambda verb: verb.operation)
def test_columns_are_fields(verb):
    """Each column of a list is a field of its records."""
    docs = subjects.docs()[verb.operation]
    assert docs.paged is not verb.is_whole
    [item] = json.loads(to_json(docs.example))["items"][:1]
    fields = set(item) | set(docs.answer["properties"]["items"]["items"].get("properties", {}))
    assert set(verb.columns) - fields == set()


def test_every_noun_has_commands():
    """No group of the table is empty, and the table's nouns are groups."""
    assert {verb.noun for verb in VERBS if verb.verb} - set(NOUNS) <= {"users", "accounts", "strategies"}
    assert set(NOUNS) <= set(cli.GROUPS)


def test_a_ticket_from_its_opening_to_its_end(told, run):
    """Words become the body of a change and the query of a list."""
    ticket = told("tickets", "create", "title=Where is my order", "message=It is missing")["ticket_id"]
    told("tickets", "answer", ticket, "message=It is filled")
    assert [each["message"] for each in told("tickets", "messages", ticket)][-1] == "It is filled"
    assert told("tickets", "update", ticket, "status=closed")["status"] == "closed"
    assert [each["ticket_id"] for each in told("tickets", "list", "status=closed")] == [ticket]
    assert told("tickets", "list", "status=open") == []
    wrong = run("tickets", "list", "state=open")
    assert (wrong.code, "state" in wrong.err) == (1, True)


def test_prices_and_a_dry_run(told):
    """A posted price is read again. `explain` sends the variant in the query and the signal in the body."""
    told("prices", "set", "symbol=AAPL", "price=185.5")
    assert told("prices", "list", "scope=everybody")[0]["price"] == 185.5
    told("accounts", "create", "Paper", "paper")
    explained = told("explain", "variant=paper", "symbol=AAPL", "side=buy", "qty=1", "price=185.5")
    assert explained["variant"] == "paper"
    assert explained["accounts"]


def test_a_list_says_when_there_is_more(told, run):
    """A cut list names the option that shows more, an empty one whose records it has. JSON stays clean."""
    for number in range(3):
        told("tickets", "create", f"title=Ticket {number}", "message=x")
    cut = run("tickets", "list", "--most", "2")
    assert cut.out.count("Ticket") == 2
    assert "more than 2" in cut.err
    assert "more than" not in run("tickets", "list").err
    assert "user_id=" in run("orders", "list").err
    quiet = run("tickets", "list", "--most", "2", "--json")
    assert (quiet.err, len(json.loads(quiet.out))) == ("", 2)


def test_a_typo_names_the_nearest_command(run):
    """An unknown command is refused with the nearest one."""
    wrong = run("ordres", "list")
    assert (wrong.code, "'orders'" in wrong.err) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run, shell):
    """Each shell gets a script that asks the command."""
    assert "_TRADEHOOK_COMPLETE" in run("completion", shell).out


def test_completion_names_commands(run, monkeypatch):
    """What the shell's script asks for is answered with the commands that fit."""
    monkeypatch.setenv("_TRADEHOOK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "tradehook webhooks r")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert {"replay", "resume", "rotate-secret"} == set(run().out.split())
