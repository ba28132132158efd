"""tradehook: webhooks in, trades out, webhooks out."""
