"""Keeps all workers together within the exchanges' rate limits.

A limit is an item of the table `limits` with one number, `booked_until`: the time up to which the limit's
capacity is booked, in microseconds since 1970. Taking tokens advances `booked_until` by their cost at the
limit's rate (generic cell rate algorithm). The tokens may be used once `booked_until` is no further ahead
than the burst allows.

While no caller has to wait, a process leases several tokens at once, so that the item is not written for
every call. A lease is valid for a few seconds. Under load, exactly the needed tokens are booked. A limit in
use is advanced by an atomic addition, which concurrent bookings cannot prevent. A back-off advances the same
number.
"""

import math
import threading
import time
from dataclasses import dataclass, replace
from decimal import Decimal

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from chalicelib import aws, config
from chalicelib.errors import Misconfigured, Retryable
from chalicelib.exchanges.dialects.families import family
from chalicelib.exchanges.protocol import Pacing, RateLimited
from chalicelib.telemetry import log
from chalicelib.trading import MarketType

_SECOND = 1_000_000
_LEASE_S = 2.0
_LONGEST_S = 60  # longest wait
_FORGOTTEN_AFTER_S = 86_400
# Each try books the limit or learns how far it is booked. Only the first booking after a pause can lose a
# race.
_TRIES = 6
_SAFE_SHARE = (
    # of a minute's weight. The rest must suffice for requests of other workers that are already on their way
    0.85
)


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens per second, burst size after a pause in tokens, and tokens per lease."""

    per_s: float
    burst: int
    lease: int = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an exchange's market, somewhat below the documented ones.

    Attributes:
        orders: Orders per account.
        weight: Weight per address. The exchange's dialect knows the weight of each call.
        weight_per_minute: Weight that the exchange counts in its reply headers. None if it does not. If it
            does, the burst may be as large as the minute's weight, because the reported use is respected.
        shared: Whether spot and futures share the address's weight.
    """

    orders: Rate
    weight: Rate
    weight_per_minute: int | None = None
    shared: bool = False


# Sources and exact figures: docs/orders.md. The rate is nine tenths of the exchange's limit. Burst plus rate
# times the exchange's window (10 s, 1 s, 2 s for orders) stay within the limit of one window. An address with
# a short window (Bybit 5 s, OKX 2 s for prices, the only calls it counts by address) has room for two bursts.
# One reason is that a lease may be used some seconds late, the other that the calls of many workers may
# arrive closer together than they were permitted. Bybit bans an address that exceeds its limit for ten
# minutes.
_LIMITS = {
    ("binance", MarketType.SPOT): Limits(Rate(9, 9), Rate(90, 5000, 40), weight_per_minute=6000),
    ("binance", MarketType.FUTURES): Limits(Rate(18, 60), Rate(36, 2000, 20), weight_per_minute=2400),
    # docs.binance.us, "Limits": 1200 weight a minute.
    ("binanceus", MarketType.SPOT): Limits(Rate(9, 9), Rate(18, 1000, 20), weight_per_minute=1200),
    ("bybit", MarketType.SPOT): Limits(Rate(18, 2), Rate(102, 24, 8), shared=True),
    ("bybit", MarketType.FUTURES): Limits(Rate(9, 1), Rate(102, 24, 8), shared=True),
    ("okx", MarketType.SPOT): Limits(Rate(27, 6), Rate(8, 2), shared=True),
    ("okx", MarketType.FUTURES): Limits(Rate(27, 6), Rate(8, 2), shared=True),
}
_OTHERS = Limits(Rate(2, 4), Rate(8, 8, 4))


class Delay(BaseModel):
    """A wait during an order's execution.

    Attributes:
        cause: `rate_limit`, `late_arrival`, `fault` or `exit`.
        seconds: Length of the wait.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    cause: str
    seconds: Decimal


class Patience:
    """The time left for a message. Every wait goes through it and is recorded.

    Attributes:
        delays: The waits so far.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self.delays: list[Delay] = []

    @property
    def left(self) -> float:
        """Seconds that may still be spent waiting."""
        return self._until - time.monotonic()

    def wait(self, seconds: float, cause: str) -> None:
        """Waits. Raises Retryable, without waiting, if the time left is too short."""
        if seconds <= 0:
            return
        if seconds > self.left:
            raise Retryable(f"{cause}: {seconds:.1f} s to wait, {max(self.left, 0):.1f} s left")
        time.sleep(seconds)
        self.delays.append(Delay(cause=cause, seconds=Decimal(str(round(seconds, 3)))))


def limits_of(exchange: str, market_type: MarketType) -> Limits:
    """Returns our part of a market's limits: all, or the share in the setting `EXCHANGE_SHARES`.

    Raises Misconfigured.
    """
    limits = _LIMITS.get((exchange, market_type)) or _LIMITS.get((family(exchange), market_type), _OTHERS)
    percent = _shares().get(exchange, 100)
    return limits if percent == 100 else _scaled_limits(limits, percent)  # noqa: PLR2004


def _shares() -> dict[str, int]:
    """Returns percent by exchange, from `binance:50 okx:20`.

    Other users of the accounts or the address use the rest.
    """
    shares = {}
    for part in config.setting("EXCHANGE_SHARES").split():
        exchange, _, percent = part.partition(":")
        if exchange not in config.exchanges() or exchange in shares:
            raise Misconfigured(
                f"TRADEHOOK_EXCHANGE_SHARES: {exchange!r} is named twice or is not a configured exchange"
            )
        if not (percent.isascii() and percent.isdigit() and 1 <= int(percent) <= 100):  # noqa: PLR2004
            raise Misconfigured(
                f"TRADEHOOK_EXCHANGE_SHARES: {part!r} must end in a whole percentage from 1 to 100"
            )
        shares[exchange] = int(percent)
    return shares


def _scaled_limits(limits: Limits, percent: int) -> Limits:
    weight = limits.weight
    if limits.weight_per_minute:
        # The exchange's count covers all users of the address and cannot show when our share is used up. Two
        # bursts must fit into the share.
        weight = replace(weight, burst=int(limits.weight_per_minute - 60 * weight.per_s) // 2)
    return replace(limits, orders=_scaled_rate(limits.orders, percent), weight=_scaled_rate(weight, percent))


def _scaled_rate(rate: Rate, percent: int) -> Rate:
    burst = max(rate.burst * percent // 100, 1)
    return Rate(rate.per_s * percent / 100, burst, min(rate.lease, burst))


class Limiter:
    """The limits of one account on one market: its own, and those of the address its calls come from."""

    def __init__(self, exchange: str, market_type: MarketType, account_id: str) -> None:
        self.limits = limits_of(exchange, market_type)
        place = f"{exchange}#{market_type.value}"
        # Without a NAT gateway the address of a call is unknown, so all addresses count as one.
        address = config.setting("EGRESS_ADDRESS", "any")
        behind = exchange if self.limits.shared else place
        self._buckets = {"account": f"{place}#account#{account_id}", "address": f"{behind}#address#{address}"}
        self._rates = {"account": self.limits.orders, "address": self.limits.weight}

    def take(self, scope: str, tokens: int, *, ahead: int = 0, within: float = _LONGEST_S) -> float:
        """Takes tokens. Returns the seconds to wait before they may be used.

        Args:
            scope: `account` for orders, `address` for the weight of calls.
            ahead: Tokens that will be needed next, leased at the same time.
            within: Seconds that the caller can wait.

        Raises:
            Retryable: The limit is booked for longer than that, or for over a minute. Nothing was taken.
        """
        return _take(self._buckets[scope], self._rates[scope], tokens, ahead, max(min(within, _LONGEST_S), 0))

    def back_off(self, limited: RateLimited) -> None:
        """Stops all calls under the limit for as long as the exchange requires."""
        self._block(limited.scope if limited.scope in self._buckets else "account", limited.retry_after)

    def apply_server_limits(self, pacing: Pacing) -> None:
        """Slows down before the exchange's own count of used weight reaches its limit."""
        allowed = self.limits.weight_per_minute
        if allowed and pacing.used_weight is not None and pacing.used_weight > allowed * _SAFE_SHARE:
            self._block("address", 60 - time.time() % 60)
        if pacing.remaining == 0:
            self._block("account", 1.0)

    def _block(self, scope: str, seconds: float) -> None:
        bucket, rate = self._buckets[scope], self._rates[scope]
        with _lock:
            _leases.pop(bucket, None)
        until = _now_us() + int(seconds * _SECOND) + _burst_us(rate)
        log.info(
            "exchange rate limited, backing off", extra={"scope": scope, "bucket": bucket, "seconds": seconds}
        )
        try:
            _move(
                bucket,
                "SET booked_until = :until, forget_at = :forget",
                "attribute_not_exists(booked_until) OR booked_until < :until",
                until=until,
            )
        except aws.WriteRefused:
            return  # another worker backs off for longer


@dataclass(slots=True)
class _Lease:
    """Tokens that this process has booked and not used. Times are on the monotonic clock."""

    tokens: int
    usable_from: float
    until: float


_lock = threading.Lock()
_leases: dict[str, _Lease] = {}
_booked: dict[str, int] = {}  # last known value of each limit. Only ever grows


def _take(bucket: str, rate: Rate, tokens: int, ahead: int, within: float) -> float:
    now = time.monotonic()
    with _lock:
        lease = _leases.get(bucket)
        if lease is not None and now >= lease.until:
            lease = None
        usable = _Lease(0, now, now) if lease is None else lease
        if usable.tokens >= tokens:
            usable.tokens -= tokens
            return max(usable.usable_from - now, 0.0)
        # The rest of a lease is used first, so that no unused tokens are booked.
        _leases.pop(bucket, None)
    lacking = tokens - usable.tokens
    # More tokens than one burst would exceed what the exchange permits at once.
    wanted = max(min(lacking + ahead, rate.burst), lacking)
    try:
        wait, booked = _book(bucket, rate, wanted, max(wanted, rate.lease), within)
    except Retryable:
        _keep(bucket, usable)
        raise
    now = time.monotonic()
    wait = max(wait, usable.usable_from - now)
    _keep(bucket, _Lease(booked - lacking, now + wait, now + wait + _LEASE_S))
    return wait


def _keep(bucket: str, lease: _Lease) -> None:
    """Stores tokens for later calls of the process, together with tokens that another thread has stored."""
    if not lease.tokens:
        return
    with _lock:
        other = _leases.get(bucket)
        if other is not None and other.tokens:
            lease = _Lease(
                lease.tokens + other.tokens,
                max(lease.usable_from, other.usable_from),
                max(lease.until, other.until),
            )
        _leases[bucket] = lease


def _book(bucket: str, rate: Rate, tokens: int, generous: int, within: float) -> tuple[float, int]:
    """Books tokens. Returns the seconds until they may be used, and their number.

    Args:
        generous: Number of tokens to book while no caller has to wait. Under load `tokens` are booked, so
            that no caller waits for unused tokens.
    """
    burst = _burst_us(rate)
    for _ in range(_TRIES):
        now = _now_us()
        booked = _booked.get(bucket, 0)  # lower bound. In use, the actual value is mostly close to it
        chosen = generous if max(booked, now) + _cost_us(rate, generous) - now <= burst else tokens
        cost = _cost_us(rate, chosen)
        latest = now + burst + (0 if chosen > tokens else int(within * _SECOND)) - cost
        if chosen == tokens and booked > latest:
            raise Retryable(f"rate limit booked more than {within:.0f} s ahead")
        try:
            if booked < now:
                until = now + cost
                condition = "attribute_not_exists(booked_until) OR booked_until < :now"
                _move(
                    bucket, "SET booked_until = :until, forget_at = :forget", condition, until=until, now=now
                )
            else:
                condition = "booked_until BETWEEN :now AND :latest"
                until = _move(
                    bucket,
                    "SET booked_until = booked_until + :cost, forget_at = :forget",
                    condition,
                    cost=cost,
                    now=now,
                    latest=latest,
                )
        except aws.WriteRefused as refused:
            _booked[bucket] = int((refused.failed[0] or {}).get("booked_until", 0))
            continue
        _booked[bucket] = until
        return max(until - now - burst, 0) / _SECOND, chosen
    raise Retryable("rate limit modified concurrently on every attempt")


def _cost_us(rate: Rate, tokens: int) -> int:
    return math.ceil(tokens * _SECOND / rate.per_s)


def _move(bucket: str, expression: str, condition: str, **values: int) -> int:
    """Writes a limit's item. Returns its new `booked_until`."""
    forget_at = int(time.time()) + _FORGOTTEN_AFTER_S
    try:
        written = aws.write(
            aws.update_write("limits", {"bucket": bucket}, expression, condition, forget=forget_at, **values),
            returning=True,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in {
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
        }:
            raise Retryable("DynamoDB is throttling the limiter") from error
        raise
    return int(written["booked_until"])


def _burst_us(rate: Rate) -> int:
    return _cost_us(rate, rate.burst)


def _now_us() -> int:
    return int(time.time() * _SECOND)


def forget() -> None:
    """Clears this process's leases and known limits, for tests."""
    with _lock:
        _leases.clear()
        _booked.clear()
