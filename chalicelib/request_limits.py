"""How much a user may send or ask for at once.

What the deployment allows its functions and queues stands in `infra/stack.yaml`, what an exchange allows in
`exchanges/rate_limiter.py`, what a user allows the own accounts in `risk/rules.py`.
"""

from decimal import Decimal

SIGNAL_BYTES = 64 * 1024
"""Of a webhook's body. A signal is a few hundred; more than this is not a signal."""

SIGNALS_PER_MINUTE = 1000
"""By one webhook token, unless the user's settings or the token say otherwise.

See `users/signal_quota.py`.
"""

REFUSALS_PER_MINUTE = 1000
"""Refused requests of one user or address that one process records.

More are answered 429 and leave no trace but a metric.
"""

PRICE_DEVIATION_PERCENT = Decimal(10)
"""How far a market order's `price` may be from the market, unless the user's settings or the strategy say otherwise; 0 allows any."""

BATCH_ORDERS = 25
"""In one batch signal.

On a paper account all of them are one transaction, so that a batch is never half done; a transaction holds a
hundred writes, and an order is up to three."""

STRATEGY_ACCOUNTS = 1000
"""On one strategy: it is one item, which acceptance reads whole."""

API_BYTES = 256 * 1024
"""Of a body to the admin API; a strategy's whole list of accounts fits in."""

PAGE_ITEMS, PAGE_ITEMS_USUAL = 200, 50
"""In one page of a list, at most and when `limit` is not sent."""

COUNTED = 1000
"""Totals are exact up to here and `null` beyond, so that reading a page never costs more the more is stored.

Offsets end here too.
"""
