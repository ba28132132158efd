"""Managing accounts: paper, demo and live. What an account is stands in `chalicelib/accounts/model.py`."""
