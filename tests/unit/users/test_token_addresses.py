"""Tokens that only some addresses may use."""

import pytest

from chalicelib.errors import Forbidden
from chalicelib.users import addresses
from functions import handle_realtime, serve_api
from testkit import gateway
from testkit.api import trail

TOKENS = "/users/{user_id}/tokens"
ONE = "/users/{user_id}/tokens/{token_id}"
HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"


def make(api, by="7", **body):
    """A new token of user 7."""
    status, made = api(by, "POST", TOKENS, {"kind": "api"} | body, user_id=7)
    return status, made


def read(token, source_ip):
    """A read of the API from an address."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = gateway.call(serve_api.app, "GET", "/users", headers=headers, source_ip=source_ip)
    return answer[0], answer[1].get("code")


def connect(query, source_ip):
    """The status of a WebSocket connection from an address."""
    context = {"eventType": "CONNECT", "connectionId": "c", "identity": {"sourceIp": source_ip}}
    return handle_realtime.handler({"requestContext": context, "queryStringParameters": query}, None)[
        "statusCode"
    ]


def test_the_api_takes_the_token_from_its_addresses_alone(api):
    """403 with the address from elsewhere, whatever header the client forwards."""
    _, made = make(api, allowed_addresses=["203.0.113.0/24"])
    assert made["allowed_addresses"] == ["203.0.113.0/24"]
    assert read(made["token"], HERE)[0] == 200
    assert read(made["token"], ELSEWHERE) == (403, "token_address_refused")
    headers = {"Authorization": f"Bearer {made['token']}", "X-Forwarded-For": HERE}
    assert gateway.call(serve_api.app, "GET", "/users", headers=headers, source_ip=ELSEWHERE)[0] == 403


def test_so_do_the_websocket_and_its_connect_ticket(api):
    """A ticket does not lift the list of the token that asked for it."""
    token = make(api, allowed_addresses=[HERE])[1]["token"]
    assert (connect({"token": token}, HERE), connect({"token": token}, ELSEWHERE)) == (200, 403)
    for source_ip, status in ((HERE, 200), (ELSEWHERE, 403)):
        headers = {"Authorization": f"Bearer {token}"}
        ticket = gateway.call(serve_api.app, "POST", "/realtime/tickets", headers=headers, source_ip=HERE)[1]
        assert connect({"ticket": ticket["ticket"]}, source_ip) == status


def test_a_token_without_a_list_is_free(api):
    """The default, and what older tokens have."""
    _, made = make(api)
    assert made["allowed_addresses"] == []
    assert read(made["token"], ELSEWHERE)[0] == 200


def test_a_successor_inherits_the_list(api):
    """A rotation does not free the token."""
    _, made = make(api, allowed_addresses=[HERE])
    body = {"overlap_s": 60}
    successor = api("7", "POST", ONE + "/rotate", body, user_id=7, token_id=made["token_id"])[1]
    assert successor["allowed_addresses"] == [f"{HERE}/32"]
    assert read(successor["token"], ELSEWHERE)[0] == 403


def test_a_token_makes_no_freer_api_token(api):
    """Its API tokens take its list or a part of it. Webhook tokens are used by others, so they are free."""
    token = make(api, allowed_addresses=["127.0.0.0/8", "10.0.0.0/8"])[1]["token"]
    assert make(api, by=token)[1]["allowed_addresses"] == ["127.0.0.0/8", "10.0.0.0/8"]
    assert make(api, by=token, allowed_addresses=["10.1.0.0/16"])[0] == 201
    for wider in (["0.0.0.0/0"], ["10.0.0.1", "8.8.8.8"], ["::/0"], ["tradingview"]):
        status, answer = make(api, by=token, allowed_addresses=wider)
        assert (status, answer["code"]) == (403, "addresses_wider")
    assert make(api, by=token, kind="webhook", allowed_addresses=["tradingview"])[0] == 201


def test_the_list_is_in_the_audit_trail_and_in_the_list_of_tokens(api):
    """Who bound the token, and to what."""
    _, made = make(api, kind="webhook", allowed_addresses=["tradingview"])
    [entry] = [
        each for each in trail() if each["action"] == "token.created" and made["token_id"] in each["entity"]
    ]
    assert entry["after"]["allowed_addresses"] == ["tradingview"]
    [listed] = api("7", "GET", TOKENS, user_id=7, query={"kind": "webhook"})[1]["items"]
    assert listed["allowed_addresses"] == ["tradingview"]


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "example.com", "", "1.2.3"])
def test_a_list_of_something_else_is_refused(api, wrong):
    """A typing error would lock the owner out, or nobody."""
    status, answer = make(api, allowed_addresses=[wrong])
    assert (status, answer["code"]) == (400, "invalid_address")


def test_without_an_address_a_bound_token_is_refused():
    """An entry point that forgets to pass the address opens nothing."""
    addresses.check_token({"allowed_addresses": []}, None)
    with pytest.raises(Forbidden):
        addresses.check_token({"allowed_addresses": [HERE]}, None)
