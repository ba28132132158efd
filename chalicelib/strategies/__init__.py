"""Strategies: groups of accounts that one signal reaches by the strategy's name."""
