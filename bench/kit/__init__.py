"""What rows are made with."""

from bench.kit.figures import Figure, Limit, Spread, at_least, at_most, spread
from bench.kit.stand import Stand
from bench.kit.turns import Turns, in_turns, timed

__all__ = ["Figure", "Limit", "Spread", "Stand", "Turns", "at_least", "at_most", "in_turns", "spread", "timed"]
