"""Values that many examples share."""

AT = "2026-01-22T15:30:00+00:00"
USER_ID = 123456789
ACCOUNT_ID = 12345678901
SIGNAL_ID = "33eba630b4764178a7a8aebe2b6f9b3d"
ORDER_ID = f"{SIGNAL_ID}-{ACCOUNT_ID}-0"

PATH = {
    "user_id": str(USER_ID),
    "account_id": str(ACCOUNT_ID),
    "strategy_id": "1",
    "token_id": "8cebc8a7922c43f3",
    "signal_id": SIGNAL_ID,
    "order_id": ORDER_ID,
    "payment_id": "1",
    "transaction_id": "1",
    "ticket_id": "1",
    "webhook_id": "1",
    "delivery_id": "msg_2c26b46b68ffc68ff99b453c1d304134",
    "sequence": "1",
    "file": "app.js",
    "name": "signals.js",
}
