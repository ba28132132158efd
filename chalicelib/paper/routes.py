"""The route that only simulated accounts have. All other routes are the accounts' own."""

from chalicelib.accounts import store
from chalicelib.accounts.routes import own_account
from chalicelib.http import Answer, Request, Route
from chalicelib.paper import reset


def reset_account(request: Request) -> Answer:
    """Resets a simulated account to its starting cash."""
    who, item = own_account(request)
    reset.reset_account(item["account_id"], by=who.user_id)
    return Answer(200, store.view(item))


PAPER_ACCOUNTS = [Route("POST", "/accounts/{account_id}/reset", reset_account)]
