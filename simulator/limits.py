"""Fixed windows of calls, counted per account or per address."""

import time


class Limits:
    """Counts calls. With `enabled` False every call passes and is still counted.

    Attributes:
        factors: Multipliers of the limits, by exchange.
        weight: The weight of the calls to each exchange so far, by address.
    """

    def __init__(self) -> None:
        self.enabled = True
        self.factors: dict[str, float] = {}
        self.limited = 0
        self.weight: dict[str, int] = {}
        self._windows: dict[tuple[str, str, float], tuple[float, int]] = {}

    def take(
        self, who: str, what: str, limit: int, seconds: float, weight: int = 1
    ) -> tuple[bool, int, float]:
        """Counts one call.

        Returns whether it is within the limit, the number of calls, and the seconds until the window ends.

        Args:
            what: Begins with the exchange's name and a dash.
        """
        now, exchange = time.monotonic(), what.partition("-")[0]
        started, count = self._windows.get((who, what, seconds), (now, 0))
        if now - started >= seconds:
            started, count = now, 0
        count += weight
        allowed = not self.enabled or count <= limit * self.factors.get(exchange, 1)
        if allowed:
            self._windows[who, what, seconds] = started, count
            if who == "address":
                self.weight[exchange] = self.weight.get(exchange, 0) + weight
        else:
            self.limited += 1
        return allowed, count, started + seconds - now
