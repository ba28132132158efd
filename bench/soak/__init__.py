"""An hour's worth of mixed traffic with faults in everything: at the end the books must be equal."""

from bench.soak.run import BUDGET_S, OPTIONAL, run

__all__ = ["BUDGET_S", "OPTIONAL", "run"]
