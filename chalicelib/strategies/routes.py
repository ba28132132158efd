"""The strategies' routes. Users see and change their own strategies, admins all."""

from datetime import UTC, datetime
from typing import Any

from chalicelib import aws, config, idempotency, inputs, paging
from chalicelib.http import Answer, Request, Route
from chalicelib.strategies import alert_message, manage, members, store
from chalicelib.strategies.inputs import MemberChange, NewMembers, NewStrategy, StrategyChange
from chalicelib.strategies.models import Strategy, member_view
from chalicelib.users.access import Caller, caller
from chalicelib.users.models import shown_id
from chalicelib.versions import answering_conflicts


def list_strategies(request: Request) -> Answer:
    """Lists a user's strategies by name: the caller's, or for an admin those of `?user_id=`."""
    who = caller(request)
    user_id, page = who.whose(request), paging.page_request(request)
    active = inputs.flag(request, "is_active")
    only: dict[str, Any] = (
        {} if active is None else {"filter_expression": "is_active = :active", "active": active}
    )
    return paging.answer("strategies", "user_id = :user", page, _item_view, user=user_id, **only)


def create_strategy(request: Request) -> Answer:
    """Creates a strategy, with accounts if the body has some."""
    who = caller(request)
    given = inputs.body(request, NewStrategy)
    owner = str(given.user_id) if given.user_id is not None else who.user_id
    who.require_owner(owner)
    entries = [inputs.set_fields(entry) for entry in given.accounts]
    fields = inputs.set_fields(given, "user_id", "accounts")

    def create(once: idempotency.IdempotentRequest | None) -> dict[str, Any]:
        members.check(owner, entries)
        if not entries:
            return manage.create_strategy(owner, by=who.user_id, once=once, **fields).view()
        strategy = manage.create_strategy(owner, by=who.user_id, **fields)
        return members.add_accounts(strategy, entries, by=who.user_id, once=once).view()

    return idempotency.answer_once(request, who.credential, datetime.now(UTC), create)


def get_strategy(request: Request) -> Answer:
    """Returns one strategy."""
    return Answer(200, _own(request)[1].view())


def patch_strategy(request: Request) -> Answer:
    """Changes a strategy."""
    who, strategy = _own(request)
    given = inputs.body(request, StrategyChange)
    changed = manage.update_strategy(
        strategy, inputs.set_fields(given, "version"), by=who.user_id, version=given.version
    )
    return Answer(200, changed.view())


def delete_strategy(request: Request) -> Answer:
    """Deletes a strategy. Its accounts stay."""
    who, strategy = _own(request)
    manage.delete_strategy(strategy, by=who.user_id)
    return Answer(200, {"strategy_id": shown_id(strategy.strategy_id), "deleted": True})


def list_accounts(request: Request) -> Answer:
    """Lists the accounts on a strategy by id. Takes `?limit` and `?offset`."""
    _, strategy = _own(request)
    page = paging.page_request(request)
    ordered = sorted(strategy.accounts.items(), key=lambda pair: (len(pair[0]), pair[0]))
    begin = paging.start_of(page)
    end = begin + page.limit
    next_position = {"offset": end} if end < len(ordered) else None
    return paging.list_response(
        [member_view(*pair) for pair in ordered[begin:end]], len(ordered), next_position
    )


def add_accounts(request: Request) -> Answer:
    """Adds one account, or a list of accounts, to a strategy."""
    who, strategy = _own(request)
    given = inputs.body(request, NewMembers)
    entries = [inputs.set_fields(entry) for entry in given.accounts]
    if given.account_id is not None:
        entries.append(inputs.set_fields(given, "accounts", "version"))
    return idempotency.answer_once(
        request,
        who.credential,
        datetime.now(UTC),
        lambda once: members.add_accounts(
            strategy, entries, by=who.user_id, version=given.version, once=once
        ).view(),
    )


def patch_account(request: Request) -> Answer:
    """Changes an account's weight or markets on a strategy, or pauses the account."""
    who, strategy = _own(request)
    given = inputs.body(request, MemberChange)
    account_id = request.path["account_id"]
    fields = inputs.set_fields(given, "version")
    changed = members.change_account(strategy, account_id, fields, by=who.user_id, version=given.version)
    return Answer(200, member_view(account_id, changed.accounts[account_id]) | {"version": changed.version})


def remove_account(request: Request) -> Answer:
    """Removes an account from a strategy."""
    who, strategy = _own(request)
    return Answer(200, members.remove_account(strategy, request.path["account_id"], by=who.user_id).view())


def get_alert_message(request: Request) -> Answer:
    """Returns the text to paste into TradingView's alert, for `?variant=`."""
    _, strategy = _own(request)
    variant = inputs.choice(request, "variant", alert_message.VARIANTS) or "group"
    exchange = inputs.choice(request, "exchange", config.exchanges())
    market_type = inputs.choice(request, "market_type", ("spot", "futures"))
    return Answer(200, alert_message.build(strategy, variant, exchange, market_type))


def _own(request: Request) -> tuple[Caller, Strategy]:
    """Returns the caller and the strategy in the path. Raises unless the caller may see it."""
    who = caller(request)
    strategy = store.get(request.path["strategy_id"])
    who.require_owner(strategy.user_id)
    return who, strategy


def _item_view(item: aws.Item) -> dict[str, Any]:
    return Strategy.model_validate(item).view()


STRATEGIES = [
    Route("GET", "/strategies", list_strategies),
    Route("POST", "/strategies", create_strategy),
    Route("GET", "/strategies/{strategy_id}", get_strategy),
    Route("PATCH", "/strategies/{strategy_id}", answering_conflicts(patch_strategy)),
    Route("DELETE", "/strategies/{strategy_id}", delete_strategy),
    Route("GET", "/strategies/{strategy_id}/accounts", list_accounts),
    Route("POST", "/strategies/{strategy_id}/accounts", answering_conflicts(add_accounts)),
    Route("PATCH", "/strategies/{strategy_id}/accounts/{account_id}", answering_conflicts(patch_account)),
    Route("DELETE", "/strategies/{strategy_id}/accounts/{account_id}", remove_account),
    Route("GET", "/strategies/{strategy_id}/alert-message", get_alert_message),
]
