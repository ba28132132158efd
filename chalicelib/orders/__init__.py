"""Orders out: from one account's message to orders in the ledger, at the exchange, and in the events."""
