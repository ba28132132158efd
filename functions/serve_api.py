"""Serves the API and the dashboard."""

from chalicelib import aws
from chalicelib.accounts.routes import ACCOUNTS
from chalicelib.dashboard import DASHBOARD
from chalicelib.execution.close_routes import CLOSE_POSITIONS
from chalicelib.execution.halt_routes import SET_HALT
from chalicelib.health import HEALTH
from chalicelib.history.audit_routes import AUDIT
from chalicelib.history.event_routes import EVENTS
from chalicelib.journal.performance_routes import PERFORMANCE
from chalicelib.journal.routes import JOURNAL
from chalicelib.openapi import closed, csv_lists
from chalicelib.openapi import document as openapi
from chalicelib.paper.routes import PAPER_ACCOUNTS
from chalicelib.payments.routes import PAYMENTS
from chalicelib.portfolio.equity_routes import EQUITY
from chalicelib.portfolio.positions_routes import POSITIONS
from chalicelib.prices.routes import PRICES
from chalicelib.realtime.routes import REALTIME
from chalicelib.risk.routes import HALT
from chalicelib.signals.cancel_order import CANCELLING
from chalicelib.signals.explain import EXPLAINING
from chalicelib.signals.read_routes import READING
from chalicelib.signals.routes import INBOUND
from chalicelib.strategies.routes import STRATEGIES
from chalicelib.support.routes import TICKETS
from chalicelib.telegram.routes import TELEGRAM
from chalicelib.telegram.xc import XC
from chalicelib.users.routes import USERS
from chalicelib.webhooks.routes import ROUTES as WEBHOOKS
from functions.chalice_app import Served, build

aws.prepare("dynamodb")

ROUTES = [
    *(*DASHBOARD, *HEALTH, *READING, *CANCELLING, *EXPLAINING),
    *(*POSITIONS, *CLOSE_POSITIONS, *EQUITY, *PRICES, *EVENTS, *REALTIME),
    *(*JOURNAL, *PERFORMANCE),
    *(*USERS, *ACCOUNTS, *STRATEGIES, *HALT, *SET_HALT, *PAPER_ACCOUNTS, *AUDIT),
    *(*PAYMENTS, *TICKETS, *TELEGRAM, *WEBHOOKS),
]

SERVED = Served([*ROUTES, *openapi.routes([*ROUTES, *INBOUND, *XC])], closed.check, csv_lists.represent)

app = build("serve_api", SERVED)
