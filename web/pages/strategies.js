// Strategies, and the accounts that follow them.
import { api } from "../api.js";
import { t, word } from "../i18n.js";
import { html, useAction, useData, useEverything, useList, useState } from "../lib.js";
import { Ask, Back, Badge, Card, Confirm, Empty, Facts, Ltr, Notice, Num, Page, Table } from "../ui.js";

export const Strategies = ({ id, ...more }) => (id ? html`<${One} id=${id} ...${more} />` : html`<${All} ...${more} />`);

function All({ user, title }) {
  const list = useList(`/strategies?user_id=${user}&limit=100`);
  const [asking, ask] = useState(false);
  const items = list.items?.map((item) => ({ ...item, key: item.strategy_id }));
  return html`<${Page} title=${title} lead=${t("A signal that names a strategy trades on every account on the strategy.")}
    actions=${html`<button class="main" onClick=${() => ask(true)}>${t("Add a strategy")}</button>`}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} href=${(item) => `#/strategies/${item.strategy_id}`} columns=${[
      [t("Name"), (item) => html`<bdi dir="auto">${item.group_name}</bdi>`],
      [t("Description"), (item) => html`<bdi dir="auto">${item.description ?? "–"}</bdi>`, "minor"],
      [t("Accounts"), (item) => html`<${Num} value=${item.active_accounts ?? item.accounts} /> / <${Num} value=${item.accounts} />`, "num"],
      [t("Symbols"), (item) => (item.symbols?.length ? html`<${Ltr}>${item.symbols.join(", ")}<//>` : t("all"))],
      [t("Status"), (item) => (item.is_active && (item.active_accounts ?? item.accounts) === 0
        ? html`<${Badge} value="paused" tone="plain" /> <small>${t("Its signals are refused: no account takes part.")}</small>`
        : html`<${Badge} value=${item.is_active ? "active" : "paused"} />`)],
    ]} empty=${html`<${Empty} icon="strategies" title=${t("No strategies")}>${t("Add one, put accounts on it, and name it in your alerts.")}<//>`} /><//>
    ${asking && html`<${Ask} title=${t("Add a strategy")} button=${t("Add")} onClose=${() => ask(false)}
      ask=${[["group_name", t("Name"), { required: true, hint: t("Alerts name it as group_name.") }], ["description", t("Description")]]}
      act=${(given) => api("POST", "/strategies", { ...given, user_id: user })} onDone=${() => { ask(false); list.reload(); }} />`}
  <//>`;
}

function One({ id, user }) {
  const { data: strategy, error, reload } = useData(`/strategies/${id}`);
  const members = useList(`/strategies/${id}/accounts?limit=200`);
  const accounts = useEverything(`/accounts?user_id=${user}`);
  const [asking, ask] = useState(null);
  const [run, { busy, error: fault }] = useAction(async (method, path, body) => {
    const done = await api(method, `/strategies/${id}${path}`, body);
    reload();
    members.reload();
    return done;
  });
  const back = html`<${Back} to="#/strategies">${t("Back to the strategies")}<//>`;
  if (!strategy) return html`<${Page} title=${t("Strategy")} actions=${back}>${error ? html`<${Notice} error=${error} retry=${reload} />` : html`<div class="loading" role="status">${t("Loading …")}</div>`}<//>`;
  const items = members.items?.map((item) => ({ ...item, key: item.account_id }));
  const there = new Set(items?.map((item) => item.account_id));
  const left = (accounts.items ?? []).filter((account) => !there.has(account.account_id));
  return html`<${Page} title=${strategy.group_name} lead=${strategy.description} actions=${html`
      <button disabled=${busy} onClick=${() => (strategy.is_active ? ask({ what: "pause" }) : run("PATCH", "", { is_active: true }))}>${strategy.is_active ? t("Pause") : t("Activate")}</button>${back}`}>
    ${fault && html`<${Notice} error=${fault} />`}
    <${Card}><${Facts} of=${{ [t("Status")]: html`<${Badge} value=${strategy.is_active ? "active" : "paused"} />`, [t("Symbols")]: strategy.symbols?.join(", ") || t("all"), [t("Makes up for missed signals")]: strategy.resync }} /><//>
    <${Card} title=${t("Accounts")} actions=${left.length > 0 && html`<button onClick=${() => ask("add")}>${t("Add an account")}</button>`}>
      <${Table} label=${t("Accounts")} list=${{ ...members, items }} columns=${[
        [t("Name"), (item) => html`<bdi dir="auto">${item.name}</bdi>`], [t("Exchange"), (item) => item.exchange], [t("Money"), (item) => html`<${Badge} value=${item.kind} />`],
        [t("Markets"), (item) => item.market_types.map(word).join(", "), "minor"], [t("Weight"), (item) => html`<${Num} value=${item.weight} unit="%" />`, "num"],
        [t("Status"), (item) => html`<${Badge} value=${item.active ? "active" : "paused"} />`],
        ["", (item) => html`<div class="buttons"><button disabled=${busy} onClick=${() => (item.active ? ask({ what: "rest", item }) : run("PATCH", `/accounts/${item.account_id}`, { active: true }))}>${item.active ? t("Pause") : t("Activate")}</button>
          <button class="danger" disabled=${busy} onClick=${() => ask({ what: "remove", item })}>${t("Remove")}</button></div>`],
      ]} empty=${html`<${Empty} icon="accounts" title=${t("No accounts")}>${t("No account is on this strategy: its signals are refused.")}<//>`} />
    <//>
    ${asking?.what === "pause" && html`<${Confirm} title=${t("Pause {name}?", { name: strategy.group_name })} button=${t("Pause")} onClose=${() => ask(null)}
      act=${() => run("PATCH", "", { is_active: false })}><p>${t("Signals for this strategy are refused until it is activated. Open positions stay open.")}</p><//>`}
    ${asking?.what === "rest" && html`<${Confirm} title=${t("Pause {name}?", { name: asking.item.name })} button=${t("Pause")} onClose=${() => ask(null)}
      act=${() => run("PATCH", `/accounts/${asking.item.account_id}`, { active: false })}><p>${t("Signals of {strategy} leave this account out. Open positions stay open.", { strategy: strategy.group_name })}</p><//>`}
    ${asking?.what === "remove" && html`<${Confirm} title=${t("Remove {name}?", { name: asking.item.name })} button=${t("Remove")} onClose=${() => ask(null)}
      act=${() => run("DELETE", `/accounts/${asking.item.account_id}`)}><p>${t("Signals of {strategy} leave this account out. Open positions stay open.", { strategy: strategy.group_name })}</p><//>`}
    ${asking === "add" && html`<${Ask} title=${t("Add an account")} button=${t("Add")} onClose=${() => ask(null)}
      ask=${[["account_id", t("Account"), { options: left.map((account) => [account.account_id, `${account.name} (${account.exchange})`]), start: String(left[0].account_id) }],
        ["weight", t("Weight, percent"), { start: "100", type: "number", min: 1, max: 1000 }]]}
      act=${(given) => run("POST", "/accounts", { ...given, account_id: Number(given.account_id) || given.account_id })} />`}
  <//>`;
}
