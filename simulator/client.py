"""Controls a running simulator from a test."""

from dataclasses import dataclass
from typing import Any

import requests

from chalicelib.exchanges.protocol import Credentials


@dataclass(frozen=True)
class Simulator:
    """The simulator at `url`, with its control calls as methods."""

    url: str

    def call(self, method: str, path: str, /, **given: Any) -> Any:
        """Makes any control call: `call("POST", "price", symbol="BTCUSDT", price="50100")`."""
        params, body = (given, None) if method in {"GET", "DELETE"} else (None, given)
        answer = requests.request(method, f"{self.url}/_sim/{path}", timeout=10, params=params, json=body)
        answer.raise_for_status()
        return answer.json()

    def reset(self) -> None:
        self.call("POST", "reset")

    def account(self, exchange: str, **given: Any) -> Credentials:
        """Creates an account.

        Balances: `{"spot": {"USDT": "1000"}, "futures": {...}}`. Permissions: read, trade, withdraw.
        """
        made = self.call("POST", "accounts", exchange=exchange, **given)
        return Credentials(made["api_key"], made["secret"], made["passphrase"], demo=given.get("demo", False))

    def price(self, symbol: str, price: str, **given: Any) -> None:
        """Sets a price. `size` limits the book's quantity at it; `exchange` and `market` select the books."""
        self.call("POST", "price", symbol=symbol, price=price, **given)

    def fault(self, **given: Any) -> None:
        """Injects a fault; see faults.Fault."""
        self.call("POST", "faults", **given)

    def clear_faults(self) -> None:
        self.call("DELETE", "faults")

    def orders(self, **wanted: str) -> list[dict[str, Any]]:
        return list(self.call("GET", "orders", **wanted))

    def requests(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "requests"))

    def holdings(self, credentials: Credentials) -> dict[str, Any]:
        """Returns the holdings and settings of an account."""
        (found,) = self.call("GET", "accounts", api_key=credentials.api_key)
        return dict(found)
