"""Inbound signals: from the bytes of a webhook to stored signals and messages in the order queues."""
