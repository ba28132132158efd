"""The journal: what an account's round trips have earned and cost."""
