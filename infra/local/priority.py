"""Put into the cloud's interpreter as its `sitecustomize`.

A function that nobody waits for gives way to those that answer somebody.

In AWS each has a processor of its own. Here all share two, and a burst of alerts is acknowledged in
TradingView's time only if its orders' execution stands back meanwhile.
"""

import os

VARIABLE = "TRADEHOOK_LOCAL_GIVE_WAY"
"""The full names of the functions that stand back, in the cloud's environment."""

_NICE = 10

if os.environ.get("AWS_LAMBDA_FUNCTION_NAME") in os.environ.get(VARIABLE, "").split():
    os.nice(_NICE)
