// Words of the API, such as statuses and names of fields, and how they read in English.

const PLAIN = `
admin, user, buy, sell, long, short, close, stop, cancel all order, accepted, filled, placed, done, partial, refused, rejected, replayed,
planned, open, opened, partially filled, cancelled, unknown, settled, active, paused, disabled, deleted, failing, success, pending, failed,
closed, ended, delivered, dead, verified, unverified, yes, no, paper, demo, live, real, spot, futures, market, limit, stop limit,
stop market, cross, isolated, group, batch, cancel, legacy, personal, manual, variant, action, symbol, size, price, leverage, exchange,
currency, account, amount, unit, percent, orders, quote, base, venue, version, share, distance, activation, strategy id, idempotency key
`;

const LABELS = {
  "pending new": "sending",
  "market type": "market",
  "order type": "order type",
  "stop price": "stop price",
  "time in force": "time in force",
  "reduce only": "only reduces",
  "post only": "maker only",
  "take profit": "take-profit",
  "stop loss": "stop-loss",
  "take profits": "take-profits",
  "break even after": "stop to the entry after",
  "trailing stop": "trailing stop",
  "risk percent": "risk, percent",
  "risk unreadable": "risk not readable",
  "position side": "position side",
  legs: "orders of the signal",
  "group name": "strategy",
  "sent at": "sent at",
  "max age s": "oldest signal that opens, seconds",
  "repeat window s": "same request counts as a repeat for, seconds",
  "max price deviation percent": "largest deviation of the price, percent",
  "signals per minute": "signals per minute",
  "allowed addresses": "allowed addresses",
  "default account": "default account",
  "require token": "token required",
  "account type": "account type",
  "trade amount": "amount per signal",
  "margin mode": "margin mode",
  "market position": "position after",
  "prev market position": "position before",
  "market position size": "position size after",
  "prev market position size": "position size before",
  ordered: "in sequence",
  "percent of balance": "percent of the balance",
  "percent of position": "percent of the position",
  xc: "xc",
};

export const WORDS = { ...Object.fromEntries(PLAIN.trim().split(/,\s*/).map((word) => [word, word])), ...LABELS };
