"""Events: what happened, told once to everybody concerned.

`outbox.py` writes an event in the transaction of the change it tells of; `publish.py` gives it its place in
its streams, keeps it in the event log and hands it to the topic; `log.py` reads the log back.
"""
