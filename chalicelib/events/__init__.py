"""Events: changes, published once to every subscriber concerned.

`outbox.py` writes an event in the transaction of its change. `publish.py` numbers the event in its streams,
stores it in the event log and sends it to the topic. `log.py` reads the log.
"""
