"""The Telegram bot: what users write to it, and what it tells them.

A user's chat is the one whose id is the user's `telegram_id`. `receive.py` takes the bot's updates,
`commands.py` answers them, `hand_out.py` hands out connection strings; whatever is to be sent goes through
the queue (`queue.py`) to `notify.py`, the only place that speaks to Telegram (`api.py`).
"""
