"""Receives every inbound webhook."""

from chalicelib import aws
from chalicelib.signals.other_paths import other_paths
from chalicelib.signals.routes import INBOUND
from chalicelib.telegram.xc import XC
from functions.chalice_app import Served, build

aws.prepare("dynamodb", "sqs")

SERVED = Served([*INBOUND, *XC, *other_paths([*INBOUND, *XC])], inbound=True)

app = build("receive_signals", SERVED)
