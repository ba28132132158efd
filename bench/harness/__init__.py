"""The harness of the cases."""

from bench.harness.bench_user import BenchUser
from bench.harness.calls import Call, watched
from bench.harness.environment import BenchEnvironment
from bench.harness.figures import Figure, Limit, Spread, at_least, at_most, spread
from bench.harness.interleaved import Interleaved, interleaved, timed
from bench.harness.isolated_tables import isolated_tables
from bench.harness.script import script

__all__ = [
    "BenchEnvironment",
    "BenchUser",
    "Call",
    "Figure",
    "Interleaved",
    "Limit",
    "Spread",
    "at_least",
    "at_most",
    "interleaved",
    "isolated_tables",
    "script",
    "spread",
    "timed",
    "watched",
]
