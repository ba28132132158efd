"""What rows are made with."""

from bench.harness.bench_user import Desk
from bench.harness.calls import Call, watched
from bench.harness.environment import Stand
from bench.harness.figures import Figure, Limit, Spread, at_least, at_most, spread
from bench.harness.interleaved import Turns, in_turns, timed
from bench.harness.isolated_tables import apart
from bench.harness.script import script

__all__ = [
    "Call",
    "Desk",
    "Figure",
    "Limit",
    "Spread",
    "Stand",
    "Turns",
    "apart",
    "at_least",
    "at_most",
    "in_turns",
    "script",
    "spread",
    "timed",
    "watched",
]
