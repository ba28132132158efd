"""Tickets and their messages through the API."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.serve_api import app
from testkit import pump
from testkit.gateway import call
from testkit.records import add_user, bearer


def open_ticket(headers, **fields):
    return call(
        app, "POST", "/tickets", {"title": "No fill", "message": "My order hangs"} | fields, headers=headers
    )


def on(method, ticket_id, headers, body=None, *, messages=False, **more):
    tail = "/messages" if messages else ""
    path = {"route": f"/tickets/{{ticket_id}}{tail}", "path_parameters": {"ticket_id": str(ticket_id)}}
    return call(app, method, f"/tickets/{ticket_id}{tail}", body, headers=headers, **path, **more)


def told() -> list[tuple[str, dict]]:
    items = sorted(pump.items("outbox"), key=lambda item: item["created_at"])
    return [(item["type"], item["payload"]) for item in items]


def test_a_ticket_opens_with_its_first_message(user):
    """Opening a ticket stores its message too, and tells both, ids as numbers."""
    status, body, _ = open_ticket(user)
    assert status == 201
    assert {
        "ticket_id": 1,
        "user_id": 2,
        "title": "No fill",
        "status": "open",
        "messages": 1,
        "version": 1,
    }.items() <= body.items()
    [message] = on("GET", 1, user, messages=True)[1]["items"]
    assert {
        "message_id": 1,
        "author_id": 2,
        "is_from_admin": False,
        "message": "My order hangs",
    }.items() <= message.items()
    payloads = dict(told())
    assert payloads["ticket.created"] == {"ticket_id": 1, "user_id": 2, "title": "No fill", "status": "open"}
    assert payloads["ticket.message_added"] == {
        "ticket_id": 1,
        "user_id": 2,
        "title": "No fill",
        "message_id": 1,
        "author_id": 2,
        "is_from_admin": False,
        "message": "My order hangs",
    }


def test_messages_pass_the_turn(admin, user):
    """An admin's answer waits for the user, the user's for an admin; an answer reopens a closed ticket."""
    open_ticket(user)
    status, body, _ = on("POST", 1, admin, {"message": "Which order?"}, messages=True)
    assert (status, body["message_id"], body["is_from_admin"]) == (201, 2, True)
    assert on("GET", 1, user)[1]["status"] == "pending"
    on("POST", 1, user, {"message": "The last"}, messages=True)
    assert on("GET", 1, user)[1]["status"] == "open"
    assert on("PATCH", 1, user, {"status": "closed"})[1]["status"] == "closed"
    on("POST", 1, admin, {"message": "Good bye"}, messages=True)
    assert on("GET", 1, user)[1]["status"] == "closed"
    on("POST", 1, user, {"message": "Not yet"}, messages=True)
    assert on("GET", 1, user)[1]["status"] == "open"
    changes = [(p["old_status"], p["new_status"]) for type_, p in told() if type_ == "ticket.status_changed"]
    assert sorted(changes) == sorted(
        [("open", "pending"), ("pending", "open"), ("open", "closed"), ("closed", "open")]
    )


def test_messages_at_once_all_stay(user):
    """Five concurrent messages are all stored, each with its own number."""
    open_ticket(user)
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda n: on("POST", 1, user, {"message": f"m{n}"}, messages=True), range(5)))
    written = [body["message"] for status, body, _ in answers if status == 201]
    items = on("GET", 1, user, messages=True)[1]["items"]
    assert [item["message_id"] for item in items] == list(range(1, len(written) + 2))
    assert {item["message"] for item in items} == {"My order hangs", *written}


def test_a_status_change_is_told_once(user):
    """Setting the status it has already changes nothing and tells nothing."""
    open_ticket(user)
    for _ in range(2):
        assert on("PATCH", 1, user, {"status": "closed"})[1]["version"] == 2
    [(_, payload)] = [event for event in told() if event[0] == "ticket.status_changed"]
    assert payload == {
        "ticket_id": 1,
        "user_id": 2,
        "title": "No fill",
        "status": "closed",
        "old_status": "open",
        "new_status": "closed",
    }


def test_two_editors_of_one_version(admin, user):
    """Of two concurrent changes of the same version, one is answered with a conflict."""
    open_ticket(user)
    assert on("PATCH", 1, admin, {"title": "Order hangs", "version": 1})[0] == 200
    status, body, _ = on("PATCH", 1, user, {"status": "closed", "version": 1})
    assert (status, body["code"], body["version"]) == (409, "version_conflict", 2)


def test_tickets_of_others_are_not_there(user):
    """Another user's ticket can be neither read nor written nor changed, and is not in the list."""
    open_ticket(user)
    add_user("3")
    stranger = bearer("3")
    assert on("GET", 1, stranger)[0] == 404
    assert on("GET", 1, stranger, messages=True)[0] == 404
    assert on("POST", 1, stranger, {"message": "hello"}, messages=True)[0] == 404
    assert on("PATCH", 1, stranger, {"status": "closed"})[0] == 404
    assert call(app, "GET", "/tickets", headers=stranger)[1]["items"] == []
    assert open_ticket(stranger, user_id=2)[1]["code"] == "admin_only"
    assert on("GET", 1, user)[1]["status"] == "open"


def test_an_admin_opens_a_ticket_for_a_user(admin, user):
    """It is the user's, and waits for them."""
    body = open_ticket(admin, user_id=2)[1]
    assert (body["user_id"], body["status"]) == (2, "pending")
    assert call(app, "GET", "/tickets", headers=user)[1]["total"] == 1
    assert open_ticket(admin, user_id=99)[1]["code"] == "user_not_found"


def test_lists_and_filters(admin, user):
    """An admin lists all users' tickets, newest first, by user and by status."""
    open_ticket(user)
    open_ticket(admin)
    on("PATCH", 1, user, {"status": "closed"})
    ids = lambda **query: [  # noqa: E731
        item["ticket_id"]
        for item in call(app, "GET", "/tickets", headers=admin, query=query or None)[1]["items"]
    ]
    assert ids() == [2, 1]
    assert ids(user_id="2") == [1]
    assert ids(status="open") == [2]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"title": ""}, "too_short", "title"),
        ({"title": "x" * 201}, "too_long", "title"),
        ({"title": 5}, "invalid_text", "title"),
        ({"message": "  "}, "too_short", "message"),
        ({"message": None}, "invalid_text", "message"),
        ({"message": "x" * 4001}, "too_long", "message"),
        ({"user_id": -2}, "must_be_at_least", "user_id"),
        ({"priority": "high"}, "unknown_field", "priority"),
    ],
)
def test_bad_fields_are_named(user, fields, code, field):
    """A wrong field is a 400 that names it."""
    status, body, _ = open_ticket(user, **fields)
    assert (status, body["code"]) == (400, code)
    assert field in body["error"]


@pytest.mark.parametrize("ticket_id", ["0", "7", "x", "-1", "9" * 30])
def test_no_such_ticket(user, ticket_id):
    """An unused number and an invalid one are both not found."""
    assert on("GET", ticket_id, user)[0] == 404
    assert on("PATCH", ticket_id, user, {"status": "closed"})[0] == 404
