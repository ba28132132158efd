"""The API: everything people read and manage."""

from chalicelib.health import HEALTH
from chalicelib.payments.routes import PAYMENTS
from chalicelib.signals.read_routes import READING
from chalicelib.users.routes import USERS
from functions.chalice_app import build

app = build("serve_api", [*HEALTH, *PAYMENTS, *READING, *USERS])
