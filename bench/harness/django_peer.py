"""django-outbound-webhooks in its own environment: `python django_peer.py URL DATABASE`.

For each number on its input, it fires that many events, delivers them with one worker, and prints the seconds
of the delivery. The database is SQLite in this process: no time goes to a database server.
"""

import secrets
import sys
import time
from dataclasses import dataclass

import django
from django.conf import settings

_URL, _DATABASE = sys.argv[1:]
_SQLITE = {
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    "transaction_mode": "IMMEDIATE",
}

settings.configure(
    SECRET_KEY=secrets.token_hex(),
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": _DATABASE, "OPTIONS": _SQLITE}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django_domain_events",
        "django_outbound_webhooks",
    ],
    DJANGO_OUTBOUND_WEBHOOKS={"ALLOW_PRIVATE_ADDRESSES": True},  # the receiver is on loopback
)
django.setup()

from django.core.management import call_command  # noqa: E402 - Django is imported further once it is configured
from django.db import transaction  # noqa: E402
from django_domain_events import event, fire  # noqa: E402
from django_domain_events.delivery.deliver import deliver_pending  # noqa: E402
from django_outbound_webhooks import register_endpoint  # noqa: E402


@event(name="order.filled")
@dataclass(frozen=True)
class OrderFilled:
    """The payload that both sides send."""

    order_id: str
    symbol: str
    side: str
    quantity: str
    value: str


def main() -> None:
    """Runs round after round, until the input ends."""
    call_command("migrate", verbosity=0)
    register_endpoint(name="bench", url=_URL, secret="whsec_" + "a" * 43 + "=", event_names=["order.filled"])
    print("ready", flush=True)
    for line in sys.stdin:
        number = int(line)
        for index in range(number):
            with transaction.atomic():
                fire(
                    OrderFilled(
                        order_id=f"order-{index}",
                        symbol="BTC/USDT",
                        side="buy",
                        quantity="0.0015",
                        value="97.50",
                    )
                )
        began = time.perf_counter()
        delivered = deliver_pending()
        took = time.perf_counter() - began
        [(status, count)] = delivered.items()
        assert (status.value, count) == ("succeeded", number), delivered
        print(took, flush=True)


if __name__ == "__main__":
    main()
