"""A case's own user, with a strategy and accounts on the exchanges."""

import itertools
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Self

from bench.harness.environment import BenchEnvironment
from chalicelib import aws
from chalicelib.accounts import key_encryption
from chalicelib.accounts.model import Account
from chalicelib.exchanges import market_store
from chalicelib.orders import store as order_store
from chalicelib.strategies.manage import create_strategy
from chalicelib.trading import MarketType
from chalicelib.users.create import create_user
from chalicelib.users.credentials import Kind
from chalicelib.users.tokens import create_token

GROUP = "bench_strategy"
HOLDINGS = {"spot": {"USDT": "10000000", "BTC": "100"}, "futures": {"USDT": "10000000"}}
_PATIENCE_S = 60
_AT_ONCE = 8
_ids = itertools.count(time.time_ns() // 1_000_000 % 10**10 * 10_000)


class BenchUser:
    """The user. The end of `with` waits until every signal sent by `signal` has settled.

    Attributes:
        token: The webhook token.
        credentials: Each live account's credentials at its exchange, by account id.
    """

    def __init__(
        self, bench_environment: BenchEnvironment, accounts: Mapping[str, int], kind: str = "live"
    ) -> None:
        """Creates the user.

        Args:
            accounts: The number of accounts on each exchange.
            kind: `live` accounts trade at the simulator, `demo` and `paper` ones on our own paper engine.
        """
        self._stand = bench_environment
        _ = bench_environment.stack
        self.user_id = str(next(_ids))
        self.credentials: dict[str, Any] = {}
        create_user(by="bench", user_id=self.user_id, username=f"bench-{self.user_id}", settings={})
        self.token = create_token(self.user_id, Kind.WEBHOOK, by="bench").token
        self.api_token = create_token(self.user_id, Kind.API, by="bench").token
        if kind == "live":
            fetch_markets(bench_environment)
        wanted = [exchange for exchange, count in accounts.items() for _ in range(count)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            self.accounts = list(pool.map(lambda exchange: self._account(exchange, kind), wanted))
        members = {
            account.account_id: {
                "name": account.name,
                "exchange": account.exchange,
                "kind": kind,
                "market_types": ["spot", "futures"],
                "active": True,
            }
            for account in self.accounts
        }
        create_strategy(self.user_id, GROUP, by="bench")
        aws.write(
            aws.update_write(
                "strategies",
                {"user_id": self.user_id, "group_name": GROUP},
                "SET accounts = :members",
                members=members,
            )
        )

    def signal(self, exchange: str | None = None, **more: Any) -> dict[str, Any]:
        """Returns a group signal's body: a market order on the accounts of one exchange or of all."""
        body = {
            "group_name": GROUP,
            "token": self.token,
            "market_type": "SPOT",
            "currency": "USDT",
            "symbol": "BTCUSDT",
            "order_type": "MARKET",
            "side": "buy",
            "qty_per": "0.01",
            "alert_id": uuid.uuid4().hex,
        }
        return body | ({"exchange": exchange} if exchange else {}) | more

    def signals(self) -> Iterator[aws.Item]:
        """Yields every signal of the user."""
        return iter(aws.query_all("signals", "user_id = :user", index="by_user", user=self.user_id))

    def settled(self, within_s: float = _PATIENCE_S) -> None:
        """Waits until every signal has settled on each of its accounts. Raises TimeoutError."""
        left = {item["signal_id"]: len(item["targets"]) for item in self.signals()}
        until = time.monotonic() + within_s
        while left:
            left = {
                signal_id: count
                for signal_id, count in left.items()
                if len(order_store.results_of(signal_id)[0]) < count
            }
            if left and time.monotonic() > until:
                raise TimeoutError(f"{len(left)} signals have not settled within {within_s:.0f} s")
            time.sleep(0.1 if left else 0)

    def _account(self, exchange: str, kind: str) -> Account:
        account_id = str(next(_ids))
        item = Account(
            account_id=account_id,
            user_id=self.user_id,
            name=f"{exchange}-{account_id}",
            exchange=exchange,
            kind=kind,
        )
        if kind == "live":
            credentials = self.credentials[account_id] = self._stand.exchanges.account(
                exchange, balances=HOLDINGS
            )
            item = item.model_copy(
                update={"sealed_keys": key_encryption.seal(account_id, credentials), "key_version": 1}
            )
        aws.write(aws.put_write("accounts", item.model_dump() | {"version": 1}))
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self.settled()


def fetch_markets(bench_environment: BenchEnvironment) -> None:
    """Stores the simulator's instruments, if they are missing."""
    _ = bench_environment.exchanges

    def missing() -> list[str]:
        venues = [
            market_store.venue(name, market, demo=False)
            for name in ("binance", "bybit", "okx")
            for market in MarketType
        ]
        return [venue for venue in venues if not market_store.age(venue, datetime.now(UTC))]

    if missing():
        bench_environment.stack.client("lambda").invoke(
            FunctionName=bench_environment.stack.function("refresh_markets"), Payload=b"{}"
        )
    until = time.monotonic() + _PATIENCE_S
    while missing():
        if time.monotonic() > until:
            raise TimeoutError(f"not fetched: {', '.join(missing())}")
        time.sleep(0.1)
