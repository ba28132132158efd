"""Market prices of simulated accounts: the last known price of each symbol."""
