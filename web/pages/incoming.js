// Every request that came in: accepted, refused or repeated, why, and its body.
import { t } from "../i18n.js";
import { html, useList, useParam, useState } from "../lib.js";
import { Badge, Card, Code, Dialog, Empty, Facts, Ltr, Page, Table, Time } from "../ui.js";
import { Outcomes } from "./signals.js";

const OUTCOMES = ["accepted", "refused", "replayed"];

export function Incoming({ user, admin, title }) {
  const [outcome, choose] = useParam("outcome");
  const [whose, pick] = useParam("of", "user");
  const [opened, open] = useState(null);
  const owner = admin && whose === "unknown" ? "unknown" : user;
  const list = useList(`/webhook-logs?user_id=${owner}&limit=50${outcome && `&outcome=${outcome}`}`, { again: "signal.*" });
  const items = list.items?.map((item, index) => ({ ...item, key: `${item.received_at}#${index}` }));
  return html`<${Page} title=${title} lead=${t("What senders asked for, and what the webhook answered. Kept for 30 days.")} actions=${html`
      ${admin && html`<label class="pick"><span>${t("Sender")}</span><select aria-label=${t("Sender")} onInput=${(event) => pick(event.target.value)}>
        <option value="user">${t("The chosen user")}</option><option value="unknown" selected=${whose === "unknown"}>${t("Unknown senders")}</option></select></label>`}
      <${Outcomes} all=${OUTCOMES} value=${outcome} onInput=${choose} />`}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} columns=${[
      [t("Received"), (item) => html`<button class="as-link" onClick=${() => open(item)}><${Time} value=${item.received_at} /></button>`],
      [t("Outcome"), (item) => html`<${Badge} value=${item.outcome} />`],
      [t("Reason"), (item) => (item.code ? html`<${Ltr} mono>${item.code}<//>` : "–")],
      [t("Webhook"), (item) => html`<${Ltr} mono>${item.route}<//>`],
      [t("Address"), (item) => html`<${Ltr} mono>${item.source_ip}<//>`, "minor"],
      [t("Signal"), (item) => (item.signal_id ? html`<a href=${`#/signals/${item.signal_id}`}>${t("Open its trace")}</a>` : "–")],
    ]} empty=${html`<${Empty} icon="incoming" title=${t("No requests")}>${t("Requests to your webhooks appear here, refused ones too.")}<//>`} /><//>
    ${opened && html`<${Dialog} title=${t("Incoming request")} onClose=${() => open(null)}>
      <${Facts} of=${{ [t("Received")]: html`<${Time} value=${opened.received_at} />`, [t("Outcome")]: html`<${Badge} value=${opened.outcome} />`,
        [t("Reason")]: opened.code && html`<${Ltr} mono>${opened.code}<//>`, [t("Webhook")]: html`<${Ltr} mono>${opened.route}<//>`, [t("Address")]: html`<${Ltr} mono>${opened.source_ip}<//>` }} />
      <h3>${t("Raw request")}</h3><${Code}>${opened.body ?? ""}<//>
      <p class="buttons">${opened.signal_id && html`<a class="button" href=${`#/signals/${opened.signal_id}`}>${t("Open its trace")}</a>`}
        <button class="main" onClick=${() => open(null)}>${t("Close")}</button></p><//>`}
  <//>`;
}
