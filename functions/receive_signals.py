"""Every inbound webhook."""

from chalicelib.signals.routes import INBOUND
from functions.chalice_app import build

app = build("receive_signals", INBOUND)
