"""The audit trail: changes with their author and time."""
