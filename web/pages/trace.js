// One signal's whole life, from its receipt to the last delivery.
import { number, t, word } from "../i18n.js";
import { html, useData, useLive } from "../lib.js";
import { Back, Badge, Card, Code, Facts, Ltr, Notice, Num, Page, Time } from "../ui.js";

export function Trace({ id }) {
  const { data: signal, error, reload } = useData(`/signals/${encodeURIComponent(id)}`);
  useLive("*", ({ payload }) => payload.signal_id === id && reload());
  const back = html`<${Back} to="#/signals">${t("Back to the signals")}<//>`;
  if (error) return html`<${Page} title=${t("Signal")} actions=${back}><${Notice} error=${error} retry=${reload} /><//>`;
  if (!signal) return html`<${Page} title=${t("Signal")} actions=${back}><div class="loading" role="status">${t("Loading …")}</div><//>`;
  const read = signal.signal ?? {};
  const name = [read.action, read.symbol?.raw ?? read.symbol].filter(Boolean).join(" ");
  const since = after(signal.received_at);
  const executions = signal.executions ?? [];
  const left = (signal.result?.total_accounts ?? 0) - (signal.accounts ?? 0);
  const waiting = (signal.accounts ?? executions.length) - executions.length;
  return html`<${Page} title=${`${t("Signal")} ${name}`} lead=${html`<${Ltr} mono>${id}<//>`} actions=${back}>
    <ol class="trace">
      <${Step} title=${t("Received")} at=${signal.received_at}>
        <p>${t("by the webhook")} <${Badge} value=${signal.variant} tone="plain" /></p>
        <${Facts} of=${{ [t("User")]: signal.user_id, [t("Address")]: signal.source_ip, [t("Sent")]: read.sent_at && html`<${Time} value=${read.sent_at} />` }} />
        ${signal.body !== undefined && html`<details><summary>${t("Raw request")}</summary><${Code}>${signal.body}<//></details>`}
      <//>
      <${Step} title=${t("Parsed")}>
        <${Facts} of=${{ [t("Symbol")]: html`<${Ltr}>${read.symbol?.raw ?? read.symbol ?? "–"}<//>`, ...facts(read) }} />
        <details><summary>${t("Settings it used")}</summary><${Facts} of=${facts(signal.settings ?? {})} /></details>
      <//>
      <${Step} title=${t("Planned")}>
        <p>${t("Accounts: {count}", { count: signal.accounts ?? executions.length })} <${Badge} value=${signal.outcome ?? signal.status} />
          ${signal.code && html` <${Ltr} mono>${signal.code}<//>`}</p>
        ${read.group_name && left > 0 && html`<p class="waiting">${t("Accounts of the strategy that did not take part: {count}. They are switched off there, or of another exchange or market.", { count: left })}</p>`}
        ${waiting > 0 && html`<p class="waiting">${t("Not settled yet: {count}", { count: waiting })}</p>`}
      <//>
      ${executions.map((execution) => html`<${Execution} key=${execution.account_id} ...${{ execution, since }}
        orders=${(signal.orders ?? []).filter((order) => String(order.account_id) === String(execution.account_id))} />`)}
      ${waiting > 0 && orphans(signal, executions).map((order) => html`<${Step} title=${t("Order")} at=${order.created_at}><${Orders} orders=${[order]} since=${since} /><//>`)}
      ${(signal.deliveries ?? []).length > 0 && html`<${Step} title=${t("Notifications")}>
        <ul class="plain">${signal.deliveries.map((each) => html`<li><${Badge} value=${each.status} /> <${Ltr} mono>${each.event_type}<//> ${since(each.delivered_at ?? each.created_at)}</li>`)}</ul>
      <//>`}
      ${signal.result && html`<${Step} title=${t("Answered")}><details open><summary>${t("Response")}</summary><${Code}>${signal.result}<//></details><//>`}
    </ol>
    <${Card} title=${t("All of it")}><details><summary>JSON</summary><${Code}>${signal}<//></details><//>
  <//>`;
}

const orphans = (signal, executions) => (signal.orders ?? []).filter((order) => !executions.some((each) => String(each.account_id) === String(order.account_id)));

/** How long after receipt a moment was. */
const after = (start) => (moment) => {
  if (!moment) return "";
  const ms = new Date(moment) - new Date(start);
  return html`<small class="after"><${Ltr}>+${ms < 10_000 ? `${number(ms)} ms` : `${(ms / 1000).toFixed(1)} s`}<//></small>`;
};

/** A value in words; an object by its parts, a list by its items. */
const shown = (value) => {
  if (Array.isArray(value)) return value.map(shown).join("; ");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value).filter(([, each]) => each !== null && each !== false).map(([name, each]) => `${word(name)} ${shown(each)}`).join(", ");
};

const isEmpty = (value) => value === false || value === null || (typeof value === "object" && !Object.keys(value).length);

const facts = ({ symbol, ...of }) => Object.fromEntries(Object.entries(of)
  .filter(([, value]) => !isEmpty(value)).map(([name, value]) => [word(name), html`<${Ltr}>${shown(value)}<//>`]));

const Step = ({ title, at, since, children, tone }) => html`<li class=${tone}><h2>${title} ${at && !since && html`<${Time} value=${at} />`} ${since}</h2>${children}</li>`;

function Execution({ execution, orders, since }) {
  const refused = execution.refused ?? (execution.code ? [{ leg: "", code: execution.code, values: execution.values }] : []);
  const tone = refused.length ? (orders.length ? "warn" : "bad") : "good";
  return html`<${Step} tone=${tone} title=${html`<bdi dir="auto">${execution.account_name}</bdi> <small>${execution.exchange}</small>`} since=${since(execution.settled_at)}>
    ${refused.map((leg) => html`<p><${Badge} value="refused" /> ${leg.message ?? leg.error ?? html`<${Ltr} mono>${leg.code}<//>`}
      <${Facts} of=${facts(leg.values ?? {})} /></p>`)}
    ${execution.cancelled > 0 && html`<p>${t("Orders cancelled: {count}", { count: execution.cancelled })}</p>`}
    <${Orders} orders=${orders} since=${since} />
  <//>`;
}

const Orders = ({ orders, since }) => orders.map((order) => html`<article class="order">
  <h3><${Badge} value=${order.side} /> <${Ltr}>${order.symbol}<//> <${Badge} value=${order.status} /></h3>
  <${Facts} of=${{
    [t("Type")]: word(order.order_type), [t("Quantity")]: html`<${Num} value=${order.quantity} />`, [t("Filled")]: html`<${Num} value=${order.filled} />`,
    [t("Average price")]: order.average_price && html`<${Num} value=${order.average_price} />`, [t("Limit")]: order.order_type.includes("limit") ? html`<${Num} value=${order.price} />` : null,
    [t("Stop price")]: order.stop_price && html`<${Num} value=${order.stop_price} />`,
    [t("Value")]: order.value && html`<${Num} value=${order.value} />`, [t("Fee")]: order.fee && html`<${Num} value=${order.fee} unit=${order.fee_currency} />`,
    [t("Client order id")]: html`<${Ltr} mono>${order.client_order_id}<//>`, [t("Reason")]: order.code && html`<${Ltr} mono>${order.code}<//>`,
  }} />
  <ul class="moments">
    <li>${word("pending_new")} ${since(order.created_at)}</li>
    ${(order.attempts ?? []).map((attempt) => html`<li>${t("attempt")} <${Badge} value=${attempt.outcome ?? attempt.status} /> ${since(attempt.at ?? attempt.started_at)}</li>`)}
    ${(order.fills ?? []).map((fill) => html`<li>${t("fill")} <${Num} value=${fill.quantity} /> @ <${Num} value=${fill.price} /> ${since(fill.at ?? fill.time)}</li>`)}
    <li>${word(order.status)} ${since(order.updated_at)}</li>
  </ul>
</article>`);
