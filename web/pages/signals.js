// Signals as they arrive, and everything else that happens beside them.
import { t } from "../i18n.js";
import { html, useEffect, useList, useLive, useState, useStore } from "../lib.js";
import { feed } from "../session.js";
import { Badge, Card, Empty, Ltr, Num, Page, Table, Time } from "../ui.js";

const FEED_SHOWN = 60;

export function Signals({ user, admin, title }) {
  const list = useList(`/signals?user_id=${user}&limit=30`);
  const [told, tell] = useState({}); // what events said of signals, by id
  const learn = (id, facts) => tell((before) => ({ ...before, [id]: { ...before[id], ...facts } }));
  useLive("signal.*", ({ type, payload, timestamp }) => {
    if (type === "signal.accepted") learn(payload.signal_id, { ...payload, received_at: timestamp, fresh: true, outcome: "accepted" });
    if (type === "signal.refused" && payload.signal_id) learn(payload.signal_id, { outcome: "refused" });
  });
  useLive("order.*", ({ type, payload }) => payload.signal_id && learn(payload.signal_id, { outcome: type.slice(6) }));
  // The list says what came, not what came of it: that is in the orders.
  const { items: orders } = useList(`/orders?user_id=${user}&limit=100`);
  const made = Object.fromEntries((orders ?? []).map((order) => [order.signal_id, { action: order.side, symbol: order.symbol, outcome: order.status }]));
  const known = new Set((list.items ?? []).map((item) => item.signal_id));
  const fresh = Object.entries(told).filter(([id, facts]) => facts.fresh && !known.has(id)).map(([signal_id, facts]) => ({ signal_id, ...facts }));
  const items = list.items && [...fresh, ...list.items.map((item) => ({ ...item, ...made[item.signal_id], ...told[item.signal_id], received_at: item.received_at }))]
    .sort((a, b) => (a.received_at < b.received_at ? 1 : -1)).map((item) => ({ ...item, key: item.signal_id }));
  const symbol = (item) => item.symbol?.name ?? item.symbol ?? "–";
  return html`<${Page} title=${title} lead=${t("Each signal opens to everything that came of it.")}
    actions=${html`<a class="button main" href="#/send">${t("Send a test signal")}</a>`}>
    <div class="two">
      <${Card} title=${t("Signals")}>
        <${Table} label=${t("Signals")} list=${{ ...list, items }} href=${(item) => `#/signals/${item.signal_id}`} columns=${[
          [t("Received"), (item) => html`<${Time} value=${item.received_at} />`],
          [t("Webhook"), (item) => html`<${Badge} value=${item.variant} tone="plain" />`],
          [t("What"), (item) => (item.action ? html`<${Badge} value=${item.action} /> <${Ltr}>${symbol(item)}<//>` : "–")],
          [t("Accounts"), (item) => html`<${Num} value=${item.accounts} />`, "num"],
          [t("Outcome"), (item) => html`<${Badge} value=${item.status ?? item.outcome} />`],
        ]} empty=${html`<${Empty} icon="signals" title=${t("No signals yet")}>${t("Point a TradingView alert at your webhook, or send a test signal. It appears here as it arrives.")}<//>`} />
      <//>
      <${Feed} admin=${admin} />
    </div>
  <//>`;
}

function Feed({ admin }) {
  const events = useStore(feed);
  const [only, set] = useState("");
  const families = [...new Set(events.map((event) => event.type.split(".")[0]))].sort();
  useEffect(() => {
    if (only && !families.includes(only)) set("");
  }, [families.join()]);
  const shown = events.filter((event) => !only || event.type.startsWith(`${only}.`)).slice(0, FEED_SHOWN);
  return html`<${Card} title=${admin ? t("Events of everybody") : t("Your events")} actions=${families.length > 1 && html`<label class="pick">
      <select aria-label=${t("Only")} onInput=${(event) => set(event.target.value)}><option value="">${t("All")}</option>
        ${families.map((family) => html`<option value=${family} selected=${family === only}>${family}</option>`)}</select></label>`}>
    ${shown.length ? html`<ol class="feed" aria-live="polite">${shown.map((event) => html`<li key=${event.sequence ?? event.timestamp + event.type}>
        <${Time} value=${event.timestamp} /> <b class="mono"><${Ltr}>${event.type}<//></b>
        <span><${Ltr}>${summary(event.payload)}<//></span>
      </li>`)}</ol>`
      : html`<${Empty} icon="connections" title=${t("Nothing has happened yet")}>${t("Events appear here the moment they happen.")}<//>`}
  <//>`;
}

const TELLING = ["symbol", "side", "action", "quantity", "average_price", "price", "code", "reason", "title", "status", "username", "amount", "name"];

const summary = (payload) => TELLING.filter((name) => payload[name] !== undefined && payload[name] !== null && typeof payload[name] !== "object")
  .slice(0, 5).map((name) => payload[name]).join(" · ");
