"""Exchanges: one Protocol, and the ccxt adapters and dialects that implement it."""
