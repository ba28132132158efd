"""Realtime: WebSocket connections, their subscriptions, and the push of events.

`connect.py` opens and closes connections, `converse.py` answers client messages, `push.py` sends events and
prices. `docs/realtime.md` has the guarantees for clients and their duties.
"""
