// Orders, the newest first.
import { api } from "../api.js";
import { t, word } from "../i18n.js";
import { html, useList, useParam, useState } from "../lib.js";
import { Badge, Card, Confirm, Download, Empty, Ltr, Num, Page, Table, Time } from "../ui.js";

const RESTING = new Set(["open", "partially_filled", "unknown"]);
const STATES = ["", "pending_new", "open", "filled", "partially_filled", "cancelled", "rejected", "unknown"];

export function Orders({ user, title }) {
  const [status, set] = useParam("status");
  const [asking, ask] = useState(null);
  const [queued, setQueued] = useState(null); // an order whose cancel had not been carried out when it was answered
  const list = useList(`/orders?user_id=${user}&limit=50${status && `&status=${status}`}`, { again: "order.*" });
  // A deployment whose API does not filter gives all of them.
  const items = list.items?.filter((order) => !status || order.status === status).map((order) => ({ ...order, key: order.order_id }));
  return html`<${Page} title=${title} actions=${html`<label class="pick"><span>${t("Status")}</span><select aria-label=${t("Status")} onInput=${(event) => set(event.target.value)}>
      ${STATES.map((each) => html`<option value=${each} selected=${each === status}>${each ? word(each) : t("All")}</option>`)}</select></label>
      <${Download} path=${`/orders?user_id=${user}${status && `&status=${status}`}`} name="orders" />`}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} href=${(order) => `#/signals/${order.signal_id}`} columns=${[
      [t("Placed"), (order) => html`<${Time} value=${order.created_at} />`],
      [t("Side"), (order) => html`<${Badge} value=${order.side} />`],
      [t("Symbol"), (order) => html`<b><${Ltr}>${order.symbol}<//></b>`],
      [t("Exchange"), (order) => html`${order.exchange} <small>${word(order.market_type)}</small>`],
      [t("Type"), (order) => word(order.order_type), "minor"],
      [t("Quantity"), (order) => html`<${Num} value=${order.quantity} />`, "num"],
      [t("Filled"), (order) => html`<${Num} value=${order.filled} />`, "num"],
      [t("Price"), (order) => html`<${Num} value=${order.average_price ?? order.price} />`, "num"],
      [t("Fee"), (order) => html`<${Num} value=${order.fee} unit=${order.fee_currency} />`, "num minor"],
      [t("Status"), (order) => html`<${Badge} value=${order.status} />${order.code && html` <small><${Ltr} mono>${order.code}<//></small>`}`],
      ["", (order) => RESTING.has(order.status) && (queued === order.order_id ? t("The cancel is queued.") : html`<div class="buttons"><button onClick=${() => ask(order)}>${t("Cancel order")}</button></div>`)],
    ]} empty=${html`<${Empty} icon="orders" title=${t("No orders")}>${t("Orders stand here as soon as a signal has made one.")}<//>`} /><//>
    ${asking && html`<${Confirm} title=${t("Cancel the {side} order for {symbol}?", { side: word(asking.side), symbol: asking.symbol })} button=${t("Cancel order")} onClose=${() => ask(null)}
      act=${async () => {
        const answer = await api("DELETE", `/orders/${asking.order_id}`);
        if (answer.status === "accepted") setQueued(asking.order_id);
        list.reload();
      }}><p>${t("What it has filled so far stays, with its stop-loss and take-profit. The rest is no longer bought or sold.")}</p><//>`}
  <//>`;
}
