"""Execution: one message of an order queue becomes orders on one account."""
