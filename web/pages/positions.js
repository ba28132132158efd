// What is held, account by account.
import { api } from "../api.js";
import { t } from "../i18n.js";
import { html, useList, useLive, useRef, useState } from "../lib.js";
import { Badge, Card, Confirm, Empty, Gain, Ltr, Num, Page, Table } from "../ui.js";

const PRICES_EVERY_MS = 3000; // prices come more often than anybody reads

/** An average price to eight digits: what is beyond them says nothing. */
const price = (value) => (value === undefined || value === null ? value : Number(Number(value).toPrecision(8)));

export function Positions({ user, title }) {
  const list = useList(`/positions?user_id=${user}&limit=100`, { again: "order.*" });
  const last = useRef(0);
  const [asking, ask] = useState(null);
  useLive("market.price", ({ payload }) => {
    if (Date.now() - last.current < PRICES_EVERY_MS || !list.items?.some((item) => item.symbol === payload.symbol)) return;
    last.current = Date.now();
    list.reload();
  });
  const items = list.items?.map((item) => ({ ...item, key: `${item.account_id}/${item.symbol ?? item.asset}/${item.side ?? ""}` }));
  return html`<${Page} title=${title} lead=${t("Holdings and futures positions of every account.")}
    actions=${items?.length > 0 && html`<button onClick=${() => ask({ everything: true })}>${t("Close everything")}</button>`}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} columns=${[
      [t("Symbol"), (item) => html`<b><${Ltr}>${item.symbol ?? item.asset}<//></b>`],
      [t("Account"), (item) => html`<bdi dir="auto">${item.account_name ?? item.account_id}</bdi>`],
      [t("Exchange"), (item) => item.exchange ?? "–", "minor"],
      [t("Side"), (item) => html`<${Badge} value=${item.side ?? (String(item.quantity).startsWith("-") ? "short" : "long")} />`],
      [t("Quantity"), (item) => html`<${Num} value=${item.quantity} />`, "num"],
      [t("Entry"), (item) => html`<${Num} value=${price(item.entry_price)} />`, "num minor"],
      [t("Market price"), (item) => html`<${Num} value=${item.price} />`, "num"],
      [t("Value"), (item) => html`<${Num} value=${item.value} />`, "num"],
      [t("Profit"), (item) => html`<${Gain} value=${item.unrealized_pnl} />`, "num"],
      ["", (item) => html`<div class="buttons"><button onClick=${() => ask(item)}>${t("Close position")}</button></div>`],
    ]} empty=${html`<${Empty} icon="positions" title=${t("No positions")}>${t("Nothing is held on any account.")}<//>`} /><//>
    ${asking?.everything && html`<${Confirm} title=${t("Close everything on all accounts?")} button=${t("Close everything")} onClose=${() => ask(null)}
      act=${() => api("POST", "/positions/close", { user_id: user })}><p>${t("Open orders are cancelled and positions are closed at the market price. Spot holdings at an exchange stay. Trading continues: halt it first if nothing should open again.")}</p><//>`}
    ${asking?.symbol && html`<${Confirm} title=${t("Close {symbol} on {account}?", { symbol: asking.symbol, account: asking.account_name })} button=${t("Close position")} onClose=${() => ask(null)}
      act=${() => api("POST", "/positions/close", { account_id: asking.account_id, symbol: asking.symbol, market_type: asking.market_type })}><p>${t("The whole position is closed at the market price. Open orders for {symbol} are cancelled. Trading continues.", { symbol: asking.symbol })}</p><//>`}
  <//>`;
}
