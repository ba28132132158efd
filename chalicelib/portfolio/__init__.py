"""Portfolio: an account's positions, their cost and their value."""
