"""Mixed traffic of an hour with faults everywhere: at the end all records must agree."""

from bench.soak.run import BUDGET_S, OPTIONAL, run

__all__ = ["BUDGET_S", "OPTIONAL", "run"]
