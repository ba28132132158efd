// Answers in the place of API parts that a deployment may not have, or that take weeks to fill, for the pages that show them.
const HOUR = 3_600_000;
const now = Date.now();
const ago = (hours) => new Date(now - hours * HOUR).toISOString();

const POSITIONS = [
  { account_id: 3, account_name: "Demo Binance", exchange: "binance", symbol: "BTC/USDT", side: "long", quantity: "0.0421", entry_price: "64210.5", mark_price: "66105.1", value: "2783.02", unrealized_pnl: "79.76" },
  { account_id: 4, account_name: "Demo Bybit", exchange: "bybit", symbol: "ETH/USDT:USDT", side: "short", quantity: "1.25", entry_price: "3120.4", mark_price: "3188.0", value: "3985.00", unrealized_pnl: "-84.50" },
  { account_id: 5, account_name: "Demo Okx", exchange: "okx", symbol: "SOL/USDT", side: "long", quantity: "18", entry_price: "141.2", mark_price: "148.9", value: "2680.20", unrealized_pnl: "138.60" },
];

const WEBHOOK = {
  id: 1, name: "Accounting", url: "https://books.example.com/hooks", event_type: "order.filled", event_types: ["order.filled"], is_active: true, status: "enabled", failing_since: null,
  success_count: 1841, failure_count: 2, last_triggered_at: ago(0.1), created_at: ago(900),
};
const FIGURES = { total_deliveries: 1845, successful_deliveries: 1841, failed_deliveries: 2, pending_deliveries: 2, success_rate: 99.89 };
const DELIVERIES = ["success", "success", "failed", "success", "pending"].map((status, index) => ({
  id: `d${index}`, webhook_id: 1, event_id: `e${index}`, event_type: "order.filled", payload: { symbol: "BTC/USDT", quantity: "0.0015", price: "65000.1" }, status, attempt_number: status === "success" ? 1 : 3,
  response_status: { success: 200, failed: 500, pending: 503 }[status], duration_ms: 41 + 17 * index, error_message: status === "success" ? null : "HTTP 500", created_at: ago(index / 3), next_retry_at: status === "pending" ? ago(-0.5) : null,
}));

const list = (items) => ({ items, total: items.length, next: null });

const equity = (url) => {
  const seed = [...url].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7);
  let value = 100_000;
  return list(Array.from({ length: 120 }, (_, index) => {
    value *= 1 + (Math.sin(index / 9 + seed) + 0.35) / 450;
    return { at: ago((120 - index) * 6), equity: value.toFixed(2) };
  }));
};

const ANSWERS = [
  [/\/positions\?/, () => list(POSITIONS)],
  [/\/accounts\/[^/]+\/equity/, (url) => equity(new URL(url).pathname)],
  [/\/webhooks\/stats$/, () => ({ total_webhooks: 1, active_webhooks: 1, ...FIGURES })],
  [/\/webhooks\?/, () => list([WEBHOOK, { ...WEBHOOK, id: 2, name: "Risk desk", url: "https://risk.example.com/in", event_types: ["position.*", "trading.*"], failing_since: ago(2), success_count: 203, failure_count: 31 }])],
  [/\/webhooks\/1\/stats$/, () => ({ id: 1, ...FIGURES, recent: { p95_ms: 88 } })],
  [/\/webhooks\/1\/deliveries\?/, () => list(DELIVERIES)],
  [/\/webhooks\/1$/, () => WEBHOOK],
];

/** Furnishes a page; returns what it was asked to change. */
export async function furnish(page) {
  const asked = [];
  for (const [address, answer] of ANSWERS) {
    await page.route(address, (route) => (route.request().method() === "GET" && !route.request().isNavigationRequest() ? route.fulfill({ json: answer(route.request().url()) }) : route.fallback()));
  }
  await page.route(/\/webhooks\/1\/deliveries\/[^/]+\/replay$/, (route) => {
    asked.push(new URL(route.request().url()).pathname);
    return route.fulfill({ status: 202, json: { ...DELIVERIES[2], status: "pending" } });
  });
  return asked;
}
