"""tradehook: webhooks in, trades out, webhooks out."""

import decimal

# DynamoDB keeps 38 significant digits. Computing with fewer would lose digits of a price or quantity on the
# way there.
decimal.DefaultContext.prec = 38
decimal.setcontext(decimal.DefaultContext)
