"""The accounts' routes. Users see and change their own accounts, admins all."""

from datetime import UTC, datetime

from chalicelib import aws, idempotency, inputs, paging
from chalicelib.accounts import manage, store
from chalicelib.accounts.inputs import AccountChange, NewAccount
from chalicelib.errors import Refused
from chalicelib.http import Answer, Request, Route
from chalicelib.users.access import Caller, caller
from chalicelib.users.models import AccountKind
from chalicelib.versions import answering_conflicts

_KEYS = ("api_key", "api_secret", "passphrase")


def list_accounts(request: Request) -> Answer:
    """Lists a user's accounts by name: the caller's, or for an admin those of `?user_id=`."""
    who = caller(request)
    user_id, page = who.whose(request), paging.page_request(request)
    filters: dict[str, object] = {}
    if kind := inputs.choice(request, "kind", tuple(AccountKind)):
        filters["kind"] = kind
    if exchange := request.query.get("exchange"):
        filters["exchange"] = exchange.lower()
    if (active := inputs.flag(request, "is_active")) is not None:
        filters["is_active"] = active
    expression = " AND ".join([store.NOT_DELETED, *(f"#{name} = :{name}" for name in filters)])
    return paging.answer(
        "accounts",
        "user_id = :user",
        page,
        store.view,
        index="by_user",
        filter_expression=expression,
        user=user_id,
        **filters,
    )


def create_account(request: Request) -> Answer:
    """Creates an account."""
    who = caller(request)
    given = inputs.body(request, NewAccount)
    owner = str(given.user_id) if given.user_id is not None else who.user_id
    who.require_owner(owner)
    exchange = given.exchange or (manage.PAPER if given.kind is AccountKind.PAPER else None)
    if exchange is None:
        raise Refused("missing_field", field="exchange")
    fields = inputs.set_fields(given, "user_id", "name", "kind", "exchange", *_KEYS)
    if given.kind is AccountKind.DEMO:
        fields = {"currency": "USDT"} | fields
    keys = given.credentials(demo=given.kind is not AccountKind.LIVE)

    def create(once: idempotency.IdempotentRequest | None) -> dict[str, object]:
        account = manage.create_account(
            owner,
            given.name,
            given.kind,
            by=who.user_id,
            exchange=exchange,
            credentials=keys,
            once=once,
            **fields,
        )
        return store.view(store.item(account.account_id))

    return idempotency.answer_once(request, who.credential, datetime.now(UTC), create)


def get_account(request: Request) -> Answer:
    """Returns one account, without its keys."""
    return Answer(200, store.view(own_account(request)[1]))


def patch_account(request: Request) -> Answer:
    """Changes an account. Null keys remove the keys of a demo account."""
    who, item = own_account(request)
    given = inputs.body(request, AccountChange)
    fields = inputs.set_fields(given, "version", *_KEYS)
    if "api_key" in given.model_fields_set:
        fields["credentials"] = given.credentials(demo=item["kind"] != AccountKind.LIVE)
    return Answer(
        200,
        store.view(manage.update_account(item["account_id"], fields, by=who.user_id, version=given.version)),
    )


def delete_account(request: Request) -> Answer:
    """Deletes an account and its keys."""
    who, item = own_account(request)
    manage.delete_account(item["account_id"], by=who.user_id)
    return Answer(200, {"account_id": store.view(item)["account_id"], "deleted": True})


def own_account(request: Request) -> tuple[Caller, aws.Item]:
    """Returns the caller and the account in the path. Raises unless the caller may see it."""
    who = caller(request)
    item = store.item(request.path["account_id"])
    who.require_owner(item["user_id"])
    return who, item


ACCOUNTS = [
    Route("GET", "/accounts", list_accounts),
    Route("POST", "/accounts", create_account),
    Route("GET", "/accounts/{account_id}", get_account),
    Route("PATCH", "/accounts/{account_id}", answering_conflicts(patch_account)),
    Route("DELETE", "/accounts/{account_id}", delete_account),
]
