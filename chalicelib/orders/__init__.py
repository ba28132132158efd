"""Orders: from one account's message to orders in the order store, at the exchange, and in the events."""
