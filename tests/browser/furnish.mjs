// Something to look at: receivers of webhooks, trades on every account, and for pictures a history that would take weeks to grow.
import { createServer } from "node:http";

/** A receiver on loopback: /good takes everything, /bad nothing. `received` holds what came, by its webhook-id. */
export async function receiver() {
  const received = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      received.push({ path: request.url, id: request.headers["webhook-id"], body: JSON.parse(body) });
      response.writeHead(request.url === "/good" ? 200 : 500).end(request.url === "/good" ? "ok" : "out of order");
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { received, url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

const post = async (path, body, token) => {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(process.env.TRADEHOOK_URL + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

/** Endpoints of a user's, one that works and one that does not. */
export async function endpoints(token, url) {
  await post("/webhooks", { name: "Accounting", url: `${url}/good`, event_type: "order.*" }, token);
  await post("/webhooks", { name: "Risk desk", url: `${url}/bad`, event_type: "order.filled" }, token);
}

/** Signals of three kinds: the paper account's shares, and the strategy's coins on three exchanges. */
export async function trades() {
  const { TRADEHOOK_PAPER_TOKEN: paper, TRADEHOOK_GROUP_NAME: group_name, TRADEHOOK_GROUP_TOKEN: token } = process.env;
  const id = Date.now();
  for (const [ticker, action, price, qty] of [["AAPL", "buy", 185.5, 40], ["MSFT", "buy", 420.1, 12], ["AAPL", "sell", 187.2, 15], ["TSLA", "buy", 251.75, 20]]) {
    await post("/api/webhook", { token: paper, ticker, action, price, qty, alert_id: `furnish-${id}-${ticker}-${action}` });
  }
  const strategy = { group_name, token, currency: "USDT", order_type: "MARKET", side: "buy" };
  const orders = [["BINANCE", "FUTURES", "BTCUSDT", 10], ["BYBIT", "FUTURES", "ETHUSDT", 15], ["OKX", "SPOT", "BTCUSDT", 5], ["BINANCE", "FUTURES", "ETHUSDT", 8]];
  for (const [exchange, market_type, symbol, qty_per] of orders) {
    await post("/api/webhook", { ...strategy, exchange, market_type, symbol, qty_per, alert_id: `furnish-${id}-${exchange}-${symbol}` });
  }
}

const HOUR = 3_600_000;

/** Answers a page's requests for equity with a month of it. */
export async function month(page) {
  await page.route(/\/accounts\/[^/]+\/equity/, (route) => {
    const seed = [...new URL(route.request().url()).pathname].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7);
    let value = 100_000;
    const items = Array.from({ length: 120 }, (_, index) => {
      value *= 1 + (Math.sin(index / 9 + seed) + 0.35) / 450;
      return { at: new Date(Date.now() - (120 - index) * 6 * HOUR).toISOString(), equity: value.toFixed(2) };
    });
    return route.fulfill({ json: { items, total: items.length, next: null } });
  });
}
