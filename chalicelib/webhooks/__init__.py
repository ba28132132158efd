"""Outbound webhooks: events go out to subscribers, signed, retried and counted.

`fan_out.py` turns an event into one delivery per matching subscription. `deliver.py` makes the attempts.
`circuit_breaker.py` pauses failing endpoints, probes them and releases their backlog. `sweep.py` queues
deliveries that have become due.

Only `delivery_store.py` changes the state of a delivery, together with the counters of deliveries by state.
"""
