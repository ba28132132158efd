"""Faults to inject: which calls, the effect, before or after the exchange acts, and how often."""

import fnmatch
from dataclasses import dataclass, field
from typing import Any

KINDS = ("timeout", "reset", "500", "502", "503", "429", "html", "empty", "duplicate", "slow", "answer")


@dataclass
class Fault:
    """One rule.

    Attributes:
        path: With wildcards, `/api/v3/order`, `*order*`.
        when: `before`: the exchange never sees the call. `after`: the exchange has acted, and the answer
            fails. `late`: the exchange acts after `seconds`, when the caller has given up.
        times: The number of further calls that it hits. -1 for every call.
        seconds: The duration of `timeout` and `slow`.
        answer: Of the kind `answer`: `status` and `body` in place of the exchange's own answer.
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
        """Returns whether the fault hits a call, and counts the hit."""
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
