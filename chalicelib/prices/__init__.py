"""Market prices of simulated accounts: the last one of each symbol."""
