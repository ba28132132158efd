"""The API: everything people read and manage."""

from chalicelib.health import HEALTH
from chalicelib.signals.read_routes import READING
from functions.chalice_app import build

app = build("serve_api", [*HEALTH, *READING])
