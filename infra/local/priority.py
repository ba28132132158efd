"""Lowers the priority of functions without a waiting caller. Installed as the cloud's `sitecustomize`.

In AWS each function has a processor of its own. Here all share two. A burst of alerts is acknowledged in
TradingView's time only if the execution of its orders yields.
"""

import os

VARIABLE = "TRADEHOOK_LOCAL_GIVE_WAY"
"""The cloud's environment variable with the full names of the low-priority functions."""

_NICE = 10

if os.environ.get("AWS_LAMBDA_FUNCTION_NAME") in os.environ.get(VARIABLE, "").split():
    os.nice(_NICE)
