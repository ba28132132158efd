"""Routes that read the audit trail and the event log."""
