"""Money between a user and the service: payments, the transactions that move a balance, and the balance.

A balance changes only by a transaction, and both are written together with the event that tells of them. It
is the service's own account with the user, in any currency; it has nothing to do with what lies on exchange
or paper accounts.
"""
