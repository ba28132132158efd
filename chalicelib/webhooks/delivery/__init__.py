"""Deliveries of outbound webhooks: make, send, retry, replay."""
