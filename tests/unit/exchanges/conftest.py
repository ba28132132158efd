"""The simulator, for the tests that need something to talk to."""

from simulator.fixtures import simulator, simulator_server

__all__ = ["simulator", "simulator_server"]
