"""Each minute: fetches live prices of what simulated accounts hold or wait for, several times if set so."""

import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from chalicelib.prices import fetch

_MINUTE_S = 60
_LOOK_S = 5.0  # that must be left for another look


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """One minute: a look at once, and others while the next schedule is further away than the interval."""
    if not fetch.is_on():
        return {"looks": 0, "prices": 0}
    began, interval_s = time.monotonic(), fetch.interval_s()
    deadline = began + context.get_remaining_time_in_millis() / 1000 - _LOOK_S
    looks = prices = 0
    while True:
        prices += fetch.fetch_prices(deadline)
        looks += 1
        next_at = began + looks * interval_s
        if next_at - began > _MINUTE_S - interval_s or next_at + _LOOK_S > deadline:
            return {"looks": looks, "prices": prices}
        time.sleep(max(next_at - time.monotonic(), 0))
