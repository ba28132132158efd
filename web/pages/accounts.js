// Accounts: where orders go.
import { api } from "../api.js";
import { t } from "../i18n.js";
import { html, useAction, useList, useState } from "../lib.js";
import { Ask, Badge, Card, Empty, Ltr, Notice, Num, Page, Table, Time } from "../ui.js";

export function Accounts({ user, title }) {
  const list = useList(`/accounts?user_id=${user}&limit=100`, { again: "account.*" });
  const [asking, ask] = useState(false);
  const [run, { busy, error }] = useAction(async (method, path, body) => {
    await api(method, path, body);
    list.reload();
  });
  const items = list.items?.map((item) => ({ ...item, key: item.account_id }));
  return html`<${Page} title=${title} lead=${t("Keys are stored encrypted, and never shown again.")}
    actions=${html`<button class="main" onClick=${() => ask(true)}>${t("Add an account")}</button>`}>
    ${error && html`<${Notice} error=${error} />`}
    <${Card}><${Table} label=${title} list=${{ ...list, items }} columns=${[
      [t("Name"), (item) => html`<b>${item.name}</b>`],
      [t("Exchange"), (item) => item.exchange],
      [t("Money"), (item) => html`<${Badge} value=${item.kind} />`],
      [t("Currency"), (item) => html`<${Ltr}>${item.currency}<//>`],
      [t("Markets"), (item) => (item.market_types ?? []).map((each) => t(each)).join(", ")],
      [t("Starting cash"), (item) => (item.kind === "live" ? "–" : html`<${Num} value=${item.starting_cash} />`), "num"],
      [t("Key"), (item) => (item.api_key_last4 ? html`<${Ltr} mono>…${item.api_key_last4}<//>` : item.has_keys ? t("yes") : "–")],
      [t("Since"), (item) => html`<${Time} value=${item.created_at} />`],
      [t("Status"), (item) => html`<${Badge} value=${item.is_active ? "active" : "paused"} />`],
      ["", (item) => html`<button disabled=${busy} onClick=${() => run("PATCH", `/accounts/${item.account_id}`, { is_active: !item.is_active })}>${item.is_active ? t("Pause") : t("Activate")}</button>`],
    ]} empty=${html`<${Empty} icon="accounts" title=${t("No accounts")}>${t("A paper account trades with simulated money, at real prices and costs.")}<//>`} /><//>
    ${asking && html`<${Ask} title=${t("Add an account")} button=${t("Add")} onClose=${() => ask(false)} ask=${[
        ["name", t("Name"), { required: true }],
        ["kind", t("Money"), { options: [["paper", t("paper")], ["demo", t("demo")], ["live", t("live")]], start: "paper" }],
        ["exchange", t("Exchange"), { start: "paper", dir: "ltr" }],
        ["currency", t("Currency"), { start: "USDT", dir: "ltr" }],
        ["api_key", t("API key"), { autocomplete: "off", dir: "ltr" }],
        ["api_secret", t("API secret"), { type: "password", autocomplete: "off", dir: "ltr" }],
        ["passphrase", t("Passphrase (OKX)"), { type: "password", autocomplete: "off", dir: "ltr" }]]}
      act=${(given) => api("POST", "/accounts", { ...given, user_id: user })} onDone=${() => { ask(false); list.reload(); }} />`}
  <//>`;
}
