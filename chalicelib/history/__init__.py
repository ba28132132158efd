"""Reading what happened: the audit trail and the event log."""
