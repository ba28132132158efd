"""Money between a user and the service: payments, balance transactions, balances.

Only a transaction changes a balance. Both are written together with their event. The balance is the user's
account with the service, in any currency. It is independent of money on exchange or paper accounts.
"""
