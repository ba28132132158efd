"""Outbound webhooks: events out to subscribers, signed, retried, accounted for.

`fan_out.py` turns an event into one delivery per matching subscription, `deliver.py` makes the attempts,
`hold.py` switches endpoints off, probes them and drains what they missed, `sweep.py` sends on what has become
due. `ledger.py` is where a delivery changes its state, together with the books that count deliveries by
state; nothing else writes either.
"""
