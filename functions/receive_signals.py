"""Every inbound webhook."""

from chalicelib import aws
from chalicelib.signals.routes import INBOUND
from chalicelib.telegram.xc import XC
from functions.chalice_app import build

aws.prepare("dynamodb", "sqs")

SERVED = [*INBOUND, *XC]

app = build("receive_signals", SERVED)
