"""Limits on what a user may send or request at once.

Limits of functions and queues are in `infra/stack.yaml`, those of exchanges in `exchanges/rate_limiter.py`,
a user's own rules for accounts in `risk/rules.py`.
"""

from decimal import Decimal

SIGNAL_BYTES = 64 * 1024
"""Bytes of a webhook's body. A typical signal has a few hundred."""

SIGNALS_PER_MINUTE = 1000
"""Signals of one webhook token, unless the user's settings or the token set another number.

See `users/signal_quota.py`.
"""

REFUSALS_PER_MINUTE = 1000
"""Refused requests that one process records for one user or address.

Further ones are answered 429 and only counted in a metric.
"""

PRICE_DEVIATION_PERCENT = Decimal(10)
"""How far a market order's `price` may be from the market, in percent. 0 permits any price.

The user's settings or the strategy may set another value.
"""

BATCH_ORDERS = 25
"""Orders in one batch signal.

On a paper account, a batch is one transaction, so it is never half done. A transaction holds 100 writes, and
an order needs up to three.
"""

STRATEGY_ACCOUNTS = 1000
"""Accounts of one strategy. A strategy is one item, which acceptance reads whole."""

API_BYTES = 256 * 1024
"""Bytes of a body to the admin API. Room for a strategy's whole list of accounts."""

PAGE_ITEMS, PAGE_ITEMS_USUAL = 200, 50
"""Items in one page of a list: the maximum, and the default without `limit`."""

COUNTED = 1000
"""Totals are exact up to this number and `null` above, so that the cost of a page stays constant.

Offsets end here too.
"""

LONGEST_TIME_LIMIT_S = 30 * 86_400
"""Of a resting order, and of a position that closes by itself."""
