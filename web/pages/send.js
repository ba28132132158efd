// A test signal: a form for each variant, a dry run, and the answer.
import { ApiError, request } from "../api.js";
import { t } from "../i18n.js";
import { html, useAction, useData, useEverything, useState } from "../lib.js";
import { session } from "../session.js";
import { Badge, Card, Code, Copy, Field, Ltr, Notice, Num, Page, Time } from "../ui.js";
import { bodyOf, VARIANTS } from "../variants.js";

const HIDDEN = new Set(["token", "code"]);
const PATIENCE_MS = 30_000;
const PERMITTED = new Set([400, 404, 409, 422]); // a dry run that is refused for its content, which the webhook refuses too
const NOBODY = new Set(["unknown_route", "user_not_found"]);

/**
 * Makes sure that a body's token or code belongs to the chosen user, so that nobody else's account trades.
 * @throws {ApiError} It does not, or that is unknown.
 */
async function checkOwner(name, user, body) {
  const { status, data } = await request("POST", `/signals/explain?variant=${name}&user_id=${user}`, body, { Authorization: `Bearer ${session.value.token}` }, PATIENCE_MS);
  if (status < 300 || (PERMITTED.has(status) && !NOBODY.has(data?.code))) return;
  const wrong = data?.code === "token_wrong" ? t("This token does not belong to the chosen user. Nothing was sent.") : `${data?.error ?? `HTTP ${status}`} ${t("Nothing was sent.")}`;
  throw new ApiError(status, data?.code, wrong);
}

async function explainFor(name, user, body) {
  const { status, data } = await request("POST", `/signals/explain?variant=${name}&user_id=${user}`, body, { Authorization: `Bearer ${session.value.token}` }, PATIENCE_MS);
  if (status < 400) return data;
  throw new ApiError(status, data?.code, data?.code === "token_wrong" ? t("This token does not belong to the chosen user.") : data?.error ?? `HTTP ${status}`);
}

export function Send({ user, title }) {
  const variants = VARIANTS();
  const [name, choose] = useState("paper");
  const [kept, keep] = useState({}); // values by field: they stay when the variant changes
  const strategies = useEverything(`/strategies?user_id=${user}`);
  const accounts = useEverything(`/accounts?user_id=${user}&kind=paper`);
  const [, , about, pathOf, fields] = variants.find(([each]) => each === name);
  const path = pathOf(user);
  const names = { group_name: strategies.items?.map((each) => each.group_name), account: accounts.items?.length ? ["", ...accounts.items.map((each) => each.name)] : undefined };
  const first = (field) => (field.name === "group_name" ? names.group_name?.[0] : undefined);
  const given = Object.fromEntries(fields.map((field) => [field.name, kept[field.name] ?? first(field) ?? field.start ?? ""]));
  let body;
  let broken;
  try {
    body = bodyOf(name, fields, given);
  } catch (error) {
    broken = error;
  }
  const shown = body && Object.fromEntries(Object.entries(body).map(([key, value]) => [key, HIDDEN.has(key) ? "•••" : value]));
  const [send, sent, forget] = useAction(async () => {
    await checkOwner(name, user, body);
    return request("POST", path, body, {}, PATIENCE_MS);
  });
  const [explain, explained, dismiss] = useAction(() => explainFor(name, user, body));
  const changed = (action) => {
    forget();
    dismiss();
    action();
  };
  const submit = (event) => {
    event.preventDefault();
    send();
  };
  return html`<${Page} title=${title} lead=${t("Send what TradingView would send. It trades like any signal: on paper and demo accounts unless yours are live.")}>
    <div class="segments wrap" role="group" aria-label=${t("Webhook")}>
      ${variants.map(([each, words]) => html`<button aria-pressed=${each === name} onClick=${() => changed(() => choose(each))}>${words}</button>`)}</div>
    <div class="two even">
      <${Card} title=${t("Signal")}>
        <p class="lead">${about}</p>
        <form class="grid" onSubmit=${submit} key=${name}>
          ${fields.map(({ name: field, start, label, options, json, ...more }) => html`<${Field} key=${field} label=${label} value=${given[field]} dir="ltr" ...${more}
            options=${(options ?? (names[field]?.length ? names[field] : undefined))?.map((each) => [each, each !== "" ? each : field === "account" ? t("The default account") : t("All")])}
            onInput=${(value) => changed(() => keep((before) => ({ ...before, [field]: value })))} />`)}
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
          ${sent.done.signal && html`<${TradedOn} key=${sent.done.signal} id=${sent.done.signal} />`}
          <${Code}>${sent.done.data}<//>
        <//>`}
      </div>
    </div>
  <//>`;
}

/** Whose accounts a signal traded on. */
function TradedOn({ id }) {
  const { data, error } = useData(`/signals/${encodeURIComponent(id)}`, { again: "order.*" });
  return html`${error && html`<${Notice} error=${error} />`}
    ${data && html`<p class="traded">${t("Traded on: {accounts}, user {user}", {
      user: data.user_id, accounts: (data.executions ?? []).map((each) => each.account_name).join(", ") || "…" })} <${Badge} value=${data.outcome} /></p>`}
    <p><a class="button" href=${`#/signals/${id}`}>${t("Open its trace")}</a></p>`;
}

/** The dry run: a line for each account where it has them, and all of it. */
const Plan = ({ plan }) => html`<ul class="plain">${(plan.accounts ?? plan.items ?? []).map((each) => html`<li>
    <${Badge} value=${each.would_trade === null ? "unknown" : each.error || each.code ? "refused" : "yes"} /> <b dir="auto">${each.account_name ?? each.name ?? each.account_id}</b>
    ${" "}${each.error ?? each.message ?? each.code ?? html`<${Ltr}>${[each.side, each.quantity, each.symbol].filter(Boolean).join(" ")}<//>`}
    ${each.balances_at && html`<small> · ${t("Balances as of")} <${Time} value=${each.balances_at} /></small>`}</li>`)}</ul>
  <details open=${!(plan.accounts ?? plan.items)}><summary>JSON</summary><${Code}>${plan}<//><p><${Copy} text=${JSON.stringify(plan, null, 2)} /></p></details>`;
