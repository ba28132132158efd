"""The Telegram bot: commands from users, notifications to users.

A user's chat is the chat whose id is the user's `telegram_id`. `receive.py` takes the bot's updates,
`commands.py` executes them, `hand_out.py` hands out connection strings. All outgoing texts pass the queue
(`queue.py`) to `notify.py`, the only caller of Telegram's API (`api.py`).
"""
