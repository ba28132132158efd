"""The simulated exchange: orders fill against the prices that it is given."""
