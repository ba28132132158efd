"""Fixed windows of calls, counted per account or per address."""

import time


class Limits:
    """Counts calls; `enabled` False lets everything pass, still counting."""

    def __init__(self) -> None:
        self.enabled = True
        self.factor = 1.0
        self.limited = 0
        self._windows: dict[tuple[str, str, float], tuple[float, int]] = {}

    def take(self, who: str, what: str, limit: int, seconds: float, weight: int = 1) -> tuple[bool, int, float]:
        """Counts one call. Returns whether it is within the limit, how many there were, and the seconds until the window ends."""
        now = time.monotonic()
        started, count = self._windows.get((who, what, seconds), (now, 0))
        if now - started >= seconds:
            started, count = now, 0
        count += weight
        allowed = not self.enabled or count <= limit * self.factor
        if allowed:
            self._windows[who, what, seconds] = started, count
        else:
            self.limited += 1
        return allowed, count, started + seconds - now
