// Signals as they arrive, and the events beside them.
import { t, word } from "../i18n.js";
import { html, useEffect, useList, useLive, useParam, useState, useStore } from "../lib.js";
import { concerns, feed } from "../session.js";
import { Badge, Card, Empty, Ltr, Num, Page, Table, Time } from "../ui.js";

const FEED_SHOWN = 60;
const OUTCOMES = ["accepted", "filled", "placed", "done", "partial", "refused", "rejected"];

export function Signals({ user, title }) {
  const [outcome, choose] = useParam("outcome");
  const list = useList(`/signals?user_id=${user}&limit=30${outcome && `&outcome=${outcome}`}`, { again: "signal.*" });
  const [live, note] = useState({}); // what events say of signals, by id
  const learn = (id, facts) => note((before) => ({ ...before, [id]: { ...before[id], ...facts } }));
  useLive("signal.accepted", (event) => {
    if (outcome || !concerns(event, user)) return;
    learn(event.payload.signal_id, { ...event.payload, received_at: event.timestamp, outcome: "accepted" });
  });
  useLive("order.*", ({ payload }) => payload.signal_id && list.reload());
  const known = new Set((list.items ?? []).map((item) => item.signal_id));
  const fresh = Object.entries(live).filter(([id]) => !known.has(id)).map(([signal_id, facts]) => ({ signal_id, ...facts }));
  const items = list.items && [...(outcome ? [] : fresh), ...list.items]
    .sort((a, b) => (a.received_at < b.received_at ? 1 : -1)).map((item) => ({ ...item, key: item.signal_id }));
  return html`<${Page} title=${title} lead=${t("Each signal opens to everything that came of it.")}
    actions=${html`<${Outcomes} all=${OUTCOMES} value=${outcome} onInput=${choose} /><a class="button main" href="#/send">${t("Send a test signal")}</a>`}>
    <div class="two">
      <${Card} title=${t("Signals")}>
        <${Table} label=${t("Signals")} list=${{ ...list, items }} href=${(item) => `#/signals/${item.signal_id}`} columns=${[
          [t("Received"), (item) => html`<${Time} value=${item.received_at} />`],
          [t("What"), (item) => (item.action ? html`<${Badge} value=${item.action} /> <${Ltr}>${item.symbol?.name ?? item.symbol ?? ""}<//>` : "–")],
          [t("Outcome"), (item) => html`<${Badge} value=${item.outcome} />${item.code && html` <small><${Ltr} mono>${item.code}<//></small>`}`],
          [t("Strategy"), (item) => html`<bdi dir="auto">${item.group_name ?? "–"}</bdi>`, "minor"],
          [t("Webhook"), (item) => html`<${Badge} value=${item.variant} tone="plain" />`, "minor"],
          [t("Accounts"), (item) => html`<${Num} value=${item.accounts} />`, "num minor"],
        ]} empty=${html`<${Empty} icon="signals" title=${t("No signals yet")}>${t("Point a TradingView alert at your webhook, or send a test signal. It appears here as it arrives.")}${" "}
          <a href="#/incoming?outcome=refused">${t("Refused requests")}</a><//>`} />
      <//>
      <${Feed} user=${user} />
    </div>
  <//>`;
}

/** A filter by outcome. */
export const Outcomes = ({ all, value, onInput }) => html`<label class="pick"><span>${t("Outcome")}</span>
  <select aria-label=${t("Outcome")} onInput=${(event) => onInput(event.target.value)}><option value="">${t("All")}</option>
    ${all.map((each) => html`<option value=${each} selected=${each === value}>${word(each)}</option>`)}</select></label>`;

function Feed({ user }) {
  const events = useStore(feed).filter((event) => concerns(event, user));
  const [only, set] = useState("");
  const families = [...new Set(events.map((event) => event.type.split(".")[0]))].sort();
  useEffect(() => {
    if (only && !families.includes(only)) set("");
  }, [families.join()]);
  const shown = events.filter((event) => !only || event.type.startsWith(`${only}.`)).slice(0, FEED_SHOWN);
  return html`<${Card} title=${t("Events")} actions=${families.length > 1 && html`<label class="pick">
      <select aria-label=${t("Only")} onInput=${(event) => set(event.target.value)}><option value="">${t("All")}</option>
        ${families.map((family) => html`<option value=${family} selected=${family === only}>${family}</option>`)}</select></label>`}>
    ${shown.length ? html`<ol class="feed" aria-live="polite">${shown.map((event) => html`<li key=${event.sequence ?? event.timestamp + event.type}>
        <${Time} value=${event.timestamp} /> <b class="mono"><${Ltr}>${event.type}<//></b>
        <span><${Ltr}>${summary(event.payload)}<//></span>
      </li>`)}</ol>`
      : html`<${Empty} icon="connections" title=${t("Nothing has happened yet")}>${t("Events appear here the moment they happen.")}<//>`}
  <//>`;
}

const SHOWN = ["symbol", "side", "action", "quantity", "average_price", "price", "code", "reason", "title", "status", "username", "amount", "name"];

const summary = (payload) => SHOWN.filter((name) => payload[name] !== undefined && payload[name] !== null && typeof payload[name] !== "object")
  .slice(0, 5).map((name) => payload[name]).join(" · ");
