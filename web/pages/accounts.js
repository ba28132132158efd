// Accounts: where orders go.
import { api } from "../api.js";
import { t, word } from "../i18n.js";
import { html, useAction, useList, useState } from "../lib.js";
import { Ask, Badge, Card, Confirm, Empty, Ltr, Notice, Num, Page, Table, Time } from "../ui.js";

const EXCHANGES = [["binance", "Binance"], ["bybit", "Bybit"], ["okx", "OKX"], ["binanceus", "Binance US"], ["bybiteu", "Bybit EU"], ["myokx", "OKX Europe"], ["okxus", "OKX US"]];
const WITH_PASSPHRASE = new Set(["okx", "myokx", "okxus"]);
const TEST_SITES = {
  binance: "demo.binance.com, testnet.binance.vision", bybit: "bybit.com → Demo Trading", okx: "okx.com → Demo trading",
};

/** The fields for new keys; a live account needs them, a demo account may have them. */
const keyFields = (exchange, required) => [
  ["api_key", t("API key"), { autocomplete: "off", dir: "ltr", required }],
  ["api_secret", t("API secret"), { type: "password", autocomplete: "off", dir: "ltr", required }],
  ...(WITH_PASSPHRASE.has(exchange) ? [["passphrase", t("Passphrase"), { type: "password", autocomplete: "off", dir: "ltr", required, hint: t("You chose it when you made the key.") }]] : []),
];

/** Only the fields that go with what is chosen so far. */
const newAccount = ({ kind = "paper", exchange = "binance" }) => [
  ["kind", t("Money"), { options: [["paper", t("paper: simulated money")], ["demo", t("demo: the exchange's test site, or simulated")], ["live", t("live: real money")]], start: "paper" }],
  ["name", t("Name"), { required: true, dir: "auto" }],
  ...(kind === "paper" ? [] : [["exchange", t("Exchange"), { options: EXCHANGES, start: "binance" }]]),
  ...(kind === "live" ? [] : [["currency", t("Currency"), { start: "USDT", dir: "ltr" }], ["starting_cash", t("Starting cash"), { start: "100000", inputmode: "decimal", dir: "ltr" }]]),
  ...(kind === "paper" ? [] : keyFields(exchange, kind === "live")),
];

/** A body for `POST /accounts` with the fields of its kind alone. */
function bodyOf(given, user) {
  const kind = given.kind ?? "paper";
  const exchange = kind === "paper" ? "paper" : given.exchange ?? "binance";
  return { ...given, kind, exchange, user_id: user };
}

export const keyState = (item) => (!item.has_keys ? null : item.verified ? "verified" : "unverified");

export function Accounts({ user, title }) {
  const list = useList(`/accounts?user_id=${user}&limit=100`, { again: "account.*" });
  const [asking, ask] = useState(null);
  const [run, { error }] = useAction(async (method, path, body) => {
    await api(method, path, body);
    list.reload();
    return true;
  });
  const close = () => ask(null);
  const done = () => { close(); list.reload(); };
  const flip = (item) => (item.is_active ? ask({ item, what: "pause" }) : run("PATCH", `/accounts/${item.account_id}`, { is_active: true }));
  const items = list.items?.map((item) => ({ ...item, key: item.account_id }));
  return html`<${Page} title=${title} lead=${t("Keys are stored encrypted, and never shown again.")}
    actions=${html`<button class="main" onClick=${() => ask({ what: "add" })}>${t("Add an account")}</button>`}>
    ${error && html`<${Notice} error=${error} />`}
    <${Card}><${Table} label=${title} list=${{ ...list, items }} columns=${[
      [t("Name"), (item) => html`<b dir="auto">${item.name}</b>`],
      [t("Exchange"), (item) => item.exchange],
      [t("Money"), (item) => html`<${Badge} value=${item.kind} />`],
      [t("Currency"), (item) => (item.kind === "live" ? "–" : html`<${Ltr}>${item.currency}<//>`), "minor"],
      [t("Markets"), (item) => (item.market_types ?? []).map(word).join(", "), "minor"],
      [t("Starting cash"), (item) => (item.kind === "live" ? "–" : html`<${Num} value=${item.starting_cash} />`), "num minor"],
      [t("Key"), (item) => (item.has_keys ? html`<${Ltr} mono>…${item.api_key_last4}<//> <${Badge} value=${keyState(item)} />` : "–")],
      [t("Since"), (item) => html`<${Time} value=${item.created_at} />`, "minor"],
      [t("Status"), (item) => html`<${Badge} value=${item.is_active ? "active" : "paused"} />`],
      ["", (item) => html`<div class="buttons">
        ${item.kind !== "paper" && html`<button onClick=${() => ask({ item, what: "key" })}>${item.has_keys ? t("Change the key") : t("Add a key")}</button>`}
        <button onClick=${() => ask({ item, what: "close" })}>${t("Close everything")}</button>
        <button onClick=${() => flip(item)}>${item.is_active ? t("Pause") : t("Activate")}</button></div>`],
    ]} empty=${html`<${Empty} icon="accounts" title=${t("No accounts")}>${t("A paper account trades with simulated money, at real prices and costs.")}<//>`} /><//>
    ${asking?.what === "add" && html`<${Ask} title=${t("Add an account")} button=${t("Add")} onClose=${close} ask=${newAccount}
      act=${(given) => api("POST", "/accounts", bodyOf(given, user))} onDone=${done}>${KeyHelp()}<//>`}
    ${asking?.what === "key" && html`<${Ask} title=${t("New key for {name}", { name: asking.item.name })} button=${t("Test and save")} onClose=${close}
      ask=${keyFields(asking.item.exchange, true)} act=${(given) => api("PATCH", `/accounts/${asking.item.account_id}`, given)} onDone=${done}>${KeyHelp(asking.item.exchange)}<//>`}
    ${asking?.what === "close" && html`<${Confirm} title=${t("Close everything on {name}?", { name: asking.item.name })} button=${t("Close everything")} onClose=${close}
      act=${() => api("POST", "/positions/close", { account_id: asking.item.account_id })}><p>${t("Open orders are cancelled and positions are closed at the market price. Spot holdings at an exchange stay. Trading continues: halt it first if nothing should open again.")}</p><//>`}
    ${asking?.what === "pause" && html`<${Confirm} title=${t("Pause {name}?", { name: asking.item.name })} button=${t("Pause")} onClose=${close}
      act=${() => run("PATCH", `/accounts/${asking.item.account_id}`, { is_active: false })}><p>${t("Signals for this account are refused until it is activated. Open positions stay open.")}</p><//>`}
  <//>`;
}

const KeyHelp = (exchange) => html`<p class="lead">${t("A key needs the rights to read and to trade, and none to withdraw. The exchange is asked before the key is saved. If it does not answer, the key is saved as unverified.")}</p>
  ${TEST_SITES[exchange] && html`<p class="lead">${t("Keys for a demo account come from the exchange's test site:")} <${Ltr} mono>${TEST_SITES[exchange]}<//></p>`}`;
