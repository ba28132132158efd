"""Demo users, accounts and a strategy.

Created once. A later start finds the same data.
"""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

from chalicelib import aws, config
from chalicelib.accounts.model import Account
from chalicelib.errors import Conflict, Refused
from chalicelib.paper import store as paper_store
from chalicelib.paper.book import Holding
from chalicelib.prices import store as prices
from chalicelib.strategies.manage import create_strategy
from chalicelib.users import store as users
from chalicelib.users import xc_codes
from chalicelib.users.create import create_user
from chalicelib.users.credentials import Kind
from chalicelib.users.models import Role
from chalicelib.users.tokens import create_token
from infra.local.stack import LocalStack, as_root

BY = "demo"
DEFAULT_USER, ADMIN, TRADER, DEMO_USER = "1", "2", "3", "123456789"
GROUP_NAME = "my_strategy"
EXCHANGES = ("binance", "bybit", "okx")
PRICES = {"BTCUSDT": Decimal(95_000), "ETHUSDT": Decimal(3_200)}


def seed(stack: LocalStack, earlier: dict[str, str]) -> dict[str, str]:
    """Creates missing demo data. Returns the demo part of `stack.env`.

    Keeps the tokens in `earlier`.
    """
    with as_root(stack):
        if (
            aws.get("users", users.key(DEMO_USER, "profile")) is None
            or "TRADEHOOK_ADMIN_TOKEN" not in earlier
        ):
            earlier = _make()
        for symbol, price in PRICES.items():
            aws.write(prices.price_write(symbol, prices.EVERYBODY, price, datetime.now(UTC)))
    return {name: earlier[name] for name in _NAMES}


_NAMES = (
    "TRADEHOOK_ADMIN_TOKEN",
    "TRADEHOOK_DEFAULT_USER_ID",
    "TRADEHOOK_DEMO_USER_ID",
    "TRADEHOOK_DEMO_USER_UUID",
    "TRADEHOOK_USER_TOKEN",
    "TRADEHOOK_XC_CODE",
    "TRADEHOOK_GROUP_NAME",
    "TRADEHOOK_GROUP_TOKEN",
    "TRADEHOOK_PAPER_TOKEN",
)


def _make() -> dict[str, str]:
    busy = {"signals_per_minute": 10_000}  # benchmarks and tests send in seconds what people send in a day
    any_price = {"max_price_deviation_percent": Decimal(0)}  # the prices in the source documents are outdated
    tokenless = {"require_token": False, "default_account": "策略A", **busy, **any_price}
    _user(ADMIN, "Admin", Role.ADMIN, {**any_price})
    _user(DEFAULT_USER, "Default", Role.USER, tokenless)
    _user(DEMO_USER, "Demo", Role.USER, tokenless)
    _user(TRADER, "Desk", Role.USER, {**busy, **any_price})
    for user_id in (DEFAULT_USER, DEMO_USER):
        _trader_accounts(user_id)
    _strategy()
    return {
        "TRADEHOOK_ADMIN_TOKEN": create_token(ADMIN, Kind.API, by=BY, name="demo").token,
        "TRADEHOOK_DEFAULT_USER_ID": DEFAULT_USER,
        "TRADEHOOK_DEMO_USER_ID": DEMO_USER,
        "TRADEHOOK_DEMO_USER_UUID": users.user(DEMO_USER).user_uuid,
        "TRADEHOOK_USER_TOKEN": create_token(DEMO_USER, Kind.API, by=BY, name="demo").token,
        "TRADEHOOK_XC_CODE": xc_codes.get_or_create(DEMO_USER, by=BY),
        "TRADEHOOK_GROUP_NAME": GROUP_NAME,
        "TRADEHOOK_GROUP_TOKEN": create_token(TRADER, Kind.WEBHOOK, by=BY, name="demo").token,
        "TRADEHOOK_PAPER_TOKEN": create_token(DEMO_USER, Kind.WEBHOOK, by=BY, name="demo").token,
    }


def _user(user_id: str, name: str, role: Role, settings: dict[str, object]) -> None:
    try:
        create_user(
            by=BY, user_id=user_id, username=name.lower(), first_name=name, role=role, settings=settings
        )
    except Refused as refused:
        if refused.code != "already_exists":
            raise


def _trader_accounts(user_id: str) -> None:
    """Creates two paper accounts, the second with shares, and a demo account per exchange with coins."""
    _account(f"{user_id}01", user_id, "策略A", "paper", "paper", "USD")
    _account(
        f"{user_id}02", user_id, "策略B", "paper", "paper", "USD", {"TSLA": (Decimal(200), Decimal(240))}
    )
    coins = {"BTC": (Decimal("0.5"), Decimal(90_000)), "ETH": (Decimal(5), Decimal(3_000))}
    for number, exchange in enumerate(EXCHANGES, 3):
        _account(
            f"{user_id}0{number}", user_id, f"Demo {exchange.capitalize()}", "demo", exchange, "USDT", coins
        )


def _strategy() -> None:
    """Creates a strategy with three demo accounts on each exchange."""
    members = {}
    for place, exchange in enumerate(EXCHANGES):
        for number in (1, 2, 3):
            account_id, name = str(10 * (place + 1) + number), f"{exchange.capitalize()} {number}"
            _account(account_id, TRADER, name, "demo", exchange, "USDT")
            members[account_id] = {
                "name": name,
                "exchange": exchange,
                "kind": "demo",
                "market_types": ["spot", "futures"],
                "active": True,
            }
    with suppress(Conflict):
        create_strategy(TRADER, GROUP_NAME, by=BY)
    aws.write(
        aws.update_write(
            "strategies",
            {"user_id": TRADER, "group_name": GROUP_NAME},
            "SET accounts = :members",
            members=members,
        )
    )


def _account(
    account_id: str,
    user_id: str,
    name: str,
    kind: str,
    exchange: str,
    currency: str,
    holdings: dict[str, tuple[Decimal, Decimal]] | None = None,
) -> None:
    """Creates an account with its entry in the owner's directory, and its holdings."""
    account = Account(
        account_id=account_id, user_id=user_id, name=name, exchange=exchange, kind=kind, currency=currency
    )
    aws.write(aws.put_write("accounts", account.model_dump() | {"version": 1}))
    entry = {"account_id": account_id, "exchange": exchange, "kind": kind, "is_active": True}
    key = {"user_id": user_id, "part": "directory"}
    aws.client("dynamodb").update_item(
        TableName=config.table("users"),
        Key=aws.to_dynamodb(key),
        UpdateExpression="SET accounts.#account = :entry",
        ExpressionAttributeNames={"#account": name},
        ExpressionAttributeValues=aws.to_dynamodb({":entry": entry}),
    )
    book = paper_store.read_book(account)
    if book.version == 0:
        for asset, (quantity, price) in (holdings or {}).items():
            book.holdings[asset] = Holding(quantity, price)
            book.changed.add(f"asset#{asset}")
        aws.transact(paper_store.effect_writes(book))
