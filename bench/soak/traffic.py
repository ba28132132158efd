"""Senders of every kind that retry unanswered alerts, as TradingView does."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp

from bench.harness import BenchUser

_TRIES = 12
_PAUSE_S = 1.5
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_EXCHANGES = ("BINANCE", "BYBIT", "OKX")


@dataclass(frozen=True)
class Alert:
    """An alert, the same at each retry."""

    kind: str
    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


class Senders:
    """The traffic.

    Attributes:
        sent: Alerts by kind.
        acknowledged: Signal ids, by the alert's own id.
        refused: Alerts answered 4xx.
        unanswered: Alerts without an answer after all retries.
    """

    def __init__(self, url: str, env: Mapping[str, str], bench_user: BenchUser, dice: random.Random) -> None:
        self.sent: Counter[str] = Counter()
        self.acknowledged: dict[str, str] = {}
        self.refused: Counter[str] = Counter()
        self.unanswered: list[str] = []
        self.contradicted: list[str] = []
        self._url, self._env, self._bench_user, self._dice = url, env, bench_user, dice

    def next(self, number: int, price: Decimal) -> Alert:
        """Returns an alert of the mix. `price` is about the price of BTCUSDT."""
        dice, alert_id = self._dice, f"soak-{number}"
        kind = dice.choices(
            ("paper", "market", "limit", "batch", "cancel", "xc", "broken"), (30, 30, 12, 8, 6, 10, 4)
        )[0]
        side = dice.choice(("buy", "sell"))
        exchange, market_type = dice.choice(_EXCHANGES), dice.choice(("SPOT", "FUTURES"))
        headers = {"Prefer": dice.choice(("respond-async", "wait=1"))}
        near = str(price * (1 + Decimal(dice.randint(-60, 60)) / 10_000) // 1)
        match kind:
            case "paper":
                body = {
                    "symbol": "AAPL",
                    "side": side,
                    "qty": dice.randint(1, 5),
                    "price": 180 + dice.randint(0, 1000) / 100,
                }
                headers["X-Webhook-Token"] = self._env["TRADEHOOK_PAPER_TOKEN"]
            case "xc":
                code = self._env["TRADEHOOK_XC_CODE"]
                body = {
                    "code": code,
                    "strategy_id": "soak",
                    "demo": "YES",
                    "command": side,
                    "exchange": "binance",
                    "coinmarket": "BTCUSDT",
                }
                body |= {"amount": "0.001"}
                return Alert(kind, "/xc", body, headers | {"Idempotency-Key": alert_id})
            case "broken":
                body = {"symbol": "AAPL", "side": "sideways", "qty": -1}
                headers["X-Webhook-Token"] = self._env["TRADEHOOK_PAPER_TOKEN"]
            case "cancel":
                body = self._bench_user.signal(order_type="CANCEL_ALL_ORDER", symbol="BTCUSDT")
                body = {name: body[name] for name in ("group_name", "token", "order_type", "symbol")}
            case "batch":
                legs = [
                    {"price": near, "qty_per": "0.1"},
                    {"price": str(Decimal(near) - 50), "qty_per": "0.2"},
                ]
                body = self._bench_user.signal(
                    exchange, market_type=market_type, order_type="LIMIT", side=side, orders=legs
                )
                del body["qty_per"]
            case "limit":
                body = self._bench_user.signal(
                    exchange,
                    market_type=market_type,
                    order_type="LIMIT",
                    side=side,
                    price=near,
                    qty_per="0.1",
                )
            case _:
                body = self._bench_user.signal(exchange, market_type=market_type, side=side, qty_per="0.1")
        return Alert(kind, "/api/webhook", {**body, "alert_id": alert_id}, headers)

    async def send(self, session: aiohttp.ClientSession, alert: Alert, *, again: bool) -> None:
        """Sends an alert until it is answered. `again` sends it once more, as if the answer was lost."""
        self.sent[alert.kind] += 1
        own_id = alert.headers.get("Idempotency-Key") or alert.body["alert_id"]
        answered = 0
        for _ in range(_TRIES):
            answered += await self._once(session, alert, own_id)
            if answered > again:
                return
            await asyncio.sleep(_PAUSE_S)
        if not answered:
            self.unanswered.append(own_id)

    async def _once(self, session: aiohttp.ClientSession, alert: Alert, own_id: str) -> bool:
        try:
            async with session.post(
                self._url + alert.path, json=alert.body, headers=alert.headers, timeout=_TIMEOUT
            ) as answer:
                status, signal_id, body = (
                    answer.status,
                    answer.headers.get("X-Signal-Id"),
                    await answer.text(),
                )
        except (aiohttp.ClientError, TimeoutError):
            return False
        if signal_id:
            if self.acknowledged.setdefault(own_id, signal_id) != signal_id:
                self.contradicted.append(own_id)
            return True
        if 400 <= status < 500:
            self.refused[f"{alert.kind} {status} {body[:120]}"] += 1
            return True
        return False
