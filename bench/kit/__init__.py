"""What rows are made with."""

from bench.kit.apart import apart
from bench.kit.calls import Call, watched
from bench.kit.desk import Desk
from bench.kit.figures import Figure, Limit, Spread, at_least, at_most, spread
from bench.kit.script import script
from bench.kit.stand import Stand
from bench.kit.turns import Turns, in_turns, timed

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
