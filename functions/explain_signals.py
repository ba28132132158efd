"""Dry runs of signals. A function of its own, because it may open exchange keys, which the API may not."""

from chalicelib import aws
from chalicelib.signals.explain import EXPLAINING
from functions.chalice_app import build

aws.prepare("dynamodb")

app = build("explain_signals", EXPLAINING)
