"""Realtime: WebSocket connections, who hears what, and how events reach them.

`connect.py` opens and closes, `converse.py` answers what clients say, `push.py` brings events and prices to
those who hear them. What a client may rely on, and what it has to do for it, is in `docs/realtime.md`.
"""
