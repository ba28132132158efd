// A test signal: a form for each variant, a dry run, and what came back.
import { api, request } from "../api.js";
import { t } from "../i18n.js";
import { html, useAction, useState } from "../lib.js";
import { Badge, Card, Code, Copy, Field, Ltr, Notice, Num, Page, Time } from "../ui.js";
import { bodyOf, VARIANTS } from "../variants.js";

const HIDDEN = new Set(["token", "code"]);

export function Send({ user, title }) {
  const variants = VARIANTS();
  const [name, choose] = useState("paper");
  const [kept, keep] = useState({}); // what was filled in, by field: it stays when the variant changes
  const [, , about, pathOf, fields] = variants.find(([each]) => each === name);
  const path = pathOf(user);
  const given = Object.fromEntries(fields.map((field) => [field.name, kept[field.name] ?? field.start ?? ""]));
  let body;
  let broken;
  try {
    body = bodyOf(name, fields, given);
  } catch (error) {
    broken = error;
  }
  const shown = body && Object.fromEntries(Object.entries(body).map(([key, value]) => [key, HIDDEN.has(key) ? "•••" : value]));
  const [send, sent] = useAction(() => request("POST", path, body));
  const [explain, explained] = useAction(() => api("POST", `/signals/explain?variant=${name}&user_id=${user}`, body));
  const submit = (event) => {
    event.preventDefault();
    send();
  };
  return html`<${Page} title=${title} lead=${t("Send what TradingView would send. It trades like any signal: on paper and demo accounts unless yours are live.")}>
    <div class="segments wrap" role="group" aria-label=${t("Webhook")}>
      ${variants.map(([each, words]) => html`<button aria-pressed=${each === name} onClick=${() => choose(each)}>${words}</button>`)}</div>
    <div class="two even">
      <${Card} title=${t("Signal")}>
        <p class="lead">${about}</p>
        <form class="grid" onSubmit=${submit} key=${name}>
          ${fields.map(({ name: field, start, label, options, json, ...more }) => html`<${Field} key=${field} label=${label} value=${given[field]} dir="ltr" ...${more}
            options=${options?.map((each) => [each, each === "" ? t("All") : each])} onInput=${(value) => keep((before) => ({ ...before, [field]: value }))} />`)}
          ${broken && html`<${Notice} error=${broken} />`}
          <p class="buttons wide"><button type="button" disabled=${!body || explained.busy} onClick=${() => explain()}>${t("Dry run")}</button>
            <button class="main" disabled=${!body || sent.busy}>${sent.busy ? t("Sending …") : t("Send")}</button></p>
        </form>
      <//>
      <div>
        <${Card} title=${html`<${Ltr} mono>POST ${path}<//>`}><${Code}>${shown ?? {}}<//><//>
        ${(explained.error || explained.done) && html`<${Card} title=${t("What it would do")}>
          ${explained.error ? html`<${Notice} error=${explained.error} />` : html`<${Plan} plan=${explained.done} />`}<//>`}
        ${sent.error && html`<${Notice} error=${sent.error} />`}
        ${sent.done && html`<${Card} title=${t("Answer")} actions=${html`<span><${Badge} value=${String(sent.done.status)} tone=${sent.done.status < 300 ? "good" : "bad"} /> <${Num} value=${sent.done.ms} unit="ms" /></span>`}>
          <${Code}>${sent.done.data}<//>
          ${sent.done.data.signal_id && html`<p><a class="button" href=${`#/signals/${sent.done.data.signal_id}`}>${t("Open its trace")}</a></p>`}
        <//>`}
      </div>
    </div>
  <//>`;
}

/** The dry run: a line for each account where it has them, and all of it. */
const Plan = ({ plan }) => html`<ul class="plain">${(plan.accounts ?? plan.items ?? []).map((each) => html`<li>
    <${Badge} value=${each.would_trade === null ? "unknown" : each.error || each.code ? "refused" : "yes"} /> <b>${each.account_name ?? each.name ?? each.account_id}</b>
    ${" "}${each.error ?? each.message ?? each.code ?? html`<${Ltr}>${[each.side, each.quantity, each.symbol].filter(Boolean).join(" ")}<//>`}
    ${each.balances_at && html`<small> · ${t("Balances as of")} <${Time} value=${each.balances_at} /></small>`}</li>`)}</ul>
  <details open=${!(plan.accounts ?? plan.items)}><summary>JSON</summary><${Code}>${plan}<//><p><${Copy} text=${JSON.stringify(plan, null, 2)} /></p></details>`;
