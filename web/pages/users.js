// Users, their settings and tokens.
import { api } from "../api.js";
import { t, word } from "../i18n.js";
import { html, useAction, useData, useList, useState } from "../lib.js";
import { Ask, Back, Badge, Card, Confirm, Empty, Facts, Ltr, Notice, Page, Secret, Table, Time } from "../ui.js";

export const Users = ({ id, ...more }) => (id ? html`<${One} id=${id} ...${more} />` : html`<${All} ...${more} />`);

const named = (user) => [user.first_name, user.last_name].filter(Boolean).join(" ") || user.username || `#${user.user_id}`;

function All({ title, admin }) {
  const list = useList("/users?limit=100", { again: "user.*" });
  const [asking, ask] = useState(false);
  const items = list.items?.map((user) => ({ ...user, key: user.user_id }));
  return html`<${Page} title=${title} actions=${admin && html`<button class="main" onClick=${() => ask(true)}>${t("Add a user")}</button>`}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} href=${(user) => `#/users/${user.user_id}`} columns=${[
      [t("Name"), (user) => html`<bdi dir="auto">${named(user)}</bdi>`],
      [t("Id"), (user) => html`<${Ltr} mono>${user.user_id}<//>`, "minor"],
      [t("Username"), (user) => html`<bdi dir="auto">${user.username ?? "–"}</bdi>`, "minor"],
      [t("Role"), (user) => html`<${Badge} value=${user.role} tone="plain" />`],
      [t("Telegram"), (user) => (user.telegram_id ? html`<${Ltr} mono>${user.telegram_id}<//>` : "–")],
      [t("Since"), (user) => html`<${Time} value=${user.created_at} />`],
      [t("Status"), (user) => html`<${Badge} value=${user.is_active ? "active" : "disabled"} />`],
    ]} empty=${html`<${Empty} icon="users" title=${t("No users")}>${t("Add the first one.")}<//>`} /><//>
    ${asking && html`<${Ask} title=${t("Add a user")} button=${t("Add")} onClose=${() => ask(false)}
      ask=${[["username", t("Username")], ["first_name", t("First name")], ["last_name", t("Last name")]]}
      act=${(given) => api("POST", "/users", given)} onDone=${(made) => { ask(false); location.hash = `#/users/${made.user_id}`; }} />`}
  <//>`;
}

function One({ id, admin }) {
  const { data: user, error, reload } = useData(`/users/${id}`);
  const settings = useData(`/users/${id}/settings`);
  const tokens = useList(`/users/${id}/tokens?limit=100`);
  const [asking, ask] = useState(null);
  const [secret, show] = useState(null);
  const [run, { busy, error: fault }] = useAction(async (method, path, body) => {
    const done = await api(method, path, body);
    reload();
    tokens.reload();
    return done;
  });
  const back = html`<${Back} to="#/users">${t("Back to the users")}<//>`;
  if (!user) return html`<${Page} title=${t("User")} actions=${back}>${error ? html`<${Notice} error=${error} retry=${reload} />` : html`<div class="loading" role="status">${t("Loading …")}</div>`}<//>`;
  const items = tokens.items?.map((token) => ({ ...token, key: token.token_id }));
  return html`<${Page} title=${named(user)} lead=${html`<${Ltr} mono>${user.user_uuid}<//>`} actions=${html`${admin && html`<button disabled=${busy}
      onClick=${() => (user.is_active ? ask("deactivate") : run("POST", `/users/${id}/activate`, {}))}>${user.is_active ? t("Deactivate") : t("Activate")}</button>`}${back}`}>
    ${fault && html`<${Notice} error=${fault} />`}
    <div class="two even">
      <${Card} title=${t("Profile")}><${Facts} of=${{
        [t("Status")]: html`<${Badge} value=${user.is_active ? "active" : "disabled"} />`, [t("Role")]: word(user.role), [t("Username")]: user.username,
        [t("Telegram")]: user.telegram_id, [t("Referral code")]: html`<${Ltr} mono>${user.referral_code}<//>`, [t("Brought by")]: user.referred_by_id, [t("Since")]: html`<${Time} value=${user.created_at} />`,
      }} /><//>
      <${Card} title=${t("Settings")} actions=${settings.data && html`<button onClick=${() => ask("settings")}>${t("Change")}</button>`}>
        ${settings.error ? html`<${Notice} error=${settings.error} />` : settings.data && html`<${Facts} of=${Object.fromEntries(Object.entries(settings.data)
          .filter(([name]) => name !== "user_id" && name !== "version").map(([name, value]) => [word(name), typeof value === "boolean" ? value : value === null ? null : Array.isArray(value) ? value.join(", ") : word(value)]))} />`}
      <//>
    </div>
    <${Card} title=${t("Tokens")} actions=${html`<button onClick=${() => ask("token")}>${t("New token")}</button>`}>
      <${Table} label=${t("Tokens")} list=${{ ...tokens, items }} columns=${[
        [t("Name"), (token) => token.name ?? html`<${Ltr} mono>${token.token_id}<//>`],
        [t("Opens"), (token) => (token.kind === "api" ? t("the API") : t("webhooks"))],
        [t("Made"), (token) => html`<${Time} value=${token.created_at} />`],
        [t("Expires"), (token) => html`<${Time} value=${token.expires_at} />`],
        [t("Only from these addresses"), (token) => html`<${Ltr} mono>${token.allowed_addresses.join(", ") || "–"}<//>`, "minor"],
        [t("Last used"), (token) => html`<${Time} value=${token.last_used_at} />`],
        [t("Status"), (token) => html`<${Badge} value=${token.is_active ? "active" : "ended"} />`],
        ["", (token) => token.is_active && html`<div class="buttons">
          <button disabled=${busy} onClick=${() => ask({ rotate: token })}>${t("Rotate")}</button>
          <button class="danger" disabled=${busy} onClick=${() => ask(token)}>${t("Revoke")}</button></div>`],
      ]} empty=${html`<${Empty} icon="users" title=${t("No tokens")}>${t("A webhook token lets signals in; an API token opens this dashboard.")}<//>`} />
    <//>
    ${asking === "token" && html`<${Ask} title=${t("New token")} button=${t("Make it")} onClose=${() => ask(null)}
      ask=${[["kind", t("Opens"), { options: [["webhook", t("webhooks")], ["api", t("the API")]], start: "webhook" }], ["name", t("Name")],
        ["allowed_addresses", t("Only from these addresses"), { placeholder: "203.0.113.7, 10.0.0.0/8, tradingview" }]]}
      act=${({ allowed_addresses: listed = "", ...given }) => run("POST", `/users/${id}/tokens`, { ...given, allowed_addresses: listed.split(/[\s,]+/).filter(Boolean) })} onDone=${(made) => { ask(null); show(made.token); }} />`}
    ${asking === "deactivate" && html`<${Confirm} title=${t("Deactivate {name}?", { name: named(user) })} button=${t("Deactivate")} onClose=${() => ask(null)}
      act=${() => run("POST", `/users/${id}/deactivate`, {})}><p>${t("All tokens of this user stop working, and their signals are refused. Open positions stay open.")}</p><//>`}
    ${asking?.rotate && html`<${Ask} title=${t("Rotate {name}?", { name: asking.rotate.name ?? asking.rotate.token_id })} button=${t("Rotate")} danger onClose=${() => ask(null)}
      act=${() => run("POST", `/users/${id}/tokens/${asking.rotate.token_id}/rotate`, {})} onDone=${(made) => { ask(null); show(made.token); }}>
      <p>${t("A new token takes its place. Every alert that uses the old one must be changed.")}</p><//>`}
    ${asking?.token_id && html`<${Ask} title=${t("Revoke the token?")} button=${t("Revoke")} danger onClose=${() => ask(null)}
      act=${() => run("DELETE", `/users/${id}/tokens/${asking.token_id}`)}><p>${t("Signals and programs that use it are refused from this moment.")}</p><//>`}
    ${asking === "settings" && html`<${Change} id=${id} settings=${settings.data} onClose=${() => { ask(null); settings.reload(); }} />`}
    ${secret && html`<${Secret} title=${t("The new token")} value=${secret} onClose=${() => show(null)} />`}
  <//>`;
}

const CHOICES = { exchange: ["binance", "bybit", "okx", "paper"], market_type: ["spot", "futures"], account_type: ["demo", "real"], margin_mode: ["cross", "isolated"] };

const Change = ({ id, settings, onClose }) => html`<${Ask} title=${t("Settings")} button=${t("Save")} onClose=${onClose}
  ask=${["market_type", "account_type", "trade_amount", "leverage", "exchange", "margin_mode", "max_age_s", "repeat_window_s",
    "max_price_deviation_percent"].map((name) => [
    name, word(name), { start: String(settings[name] ?? ""), options: CHOICES[name]?.map((each) => [each, word(each)]) }])}
  act=${(given) => api("PATCH", `/users/${id}/settings`, Object.fromEntries(Object.entries(given).filter(([name, value]) => String(settings[name]) !== value)
    .map(([name, value]) => [name, typeof settings[name] === "number" ? Number(value) : value])))} />`;
