"""Realtime: WebSocket connections, who hears what, and how events reach them."""
