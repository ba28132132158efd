"""Exchanges: one Protocol, the paper exchange, and adapters to the real ones."""
