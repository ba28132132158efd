"""Faults to inject: which calls, what happens, before or after the effect, and how often."""

import fnmatch
from dataclasses import dataclass, field
from typing import Any

KINDS = ("timeout", "reset", "500", "502", "503", "429", "html", "empty", "duplicate", "slow", "answer")


@dataclass
class Fault:
    """One rule.

    Attributes:
        path: With wildcards, `/api/v3/order`, `*order*`.
        when: `before`: the exchange never sees the call; `after`: it has acted, and the answer is what goes
            wrong; `late`: it acts when `seconds` have passed, the caller having given up.
        times: How many more calls it hits; -1 for every one.
        seconds: How long `timeout` and `slow` take.
        answer: Of the kind `answer`: `status` and `body`, given in place of the exchange's own answer.
    """

    exchange: str = "*"
    path: str = "*"
    method: str = "*"
    api_key: str = "*"
    kind: str = "500"
    when: str = "before"
    times: int = 1
    seconds: float = 30.0
    answer: dict[str, Any] = field(default_factory=dict)

    def hits(self, exchange: str, method: str, path: str, api_key: str) -> bool:
        """Whether a call is meant; counts it if so."""
        wanted = (
            (exchange, self.exchange),
            (path, self.path),
            (method, self.method),
            (api_key, self.api_key),
        )
        if self.times == 0 or not all(fnmatch.fnmatchcase(value, pattern) for value, pattern in wanted):
            return False
        self.times -= 1
        return True
