// Orders, the newest first.
import { t } from "../i18n.js";
import { html, useList, useState } from "../lib.js";
import { Badge, Card, Empty, Ltr, Num, Page, Table, Time } from "../ui.js";

const STATES = ["", "open", "filled", "partially_filled", "cancelled", "rejected", "unknown"];

export function Orders({ user, title }) {
  const [status, set] = useState("");
  const list = useList(`/orders?user_id=${user}&limit=50${status && `&status=${status}`}`, { again: "order.*" });
  // A deployment whose API does not filter gives all of them.
  const items = list.items?.filter((order) => !status || order.status === status).map((order) => ({ ...order, key: order.order_id }));
  return html`<${Page} title=${title} actions=${html`<label class="pick"><span>${t("Status")}</span><select onInput=${(event) => set(event.target.value)}>
      ${STATES.map((each) => html`<option value=${each}>${each ? t(each.replaceAll("_", " ")) : t("All")}</option>`)}</select></label>`}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} href=${(order) => `#/signals/${order.signal_id}`} columns=${[
      [t("Placed"), (order) => html`<${Time} value=${order.created_at} />`],
      [t("Side"), (order) => html`<${Badge} value=${order.side} />`],
      [t("Symbol"), (order) => html`<b><${Ltr}>${order.symbol}<//></b>`],
      [t("Exchange"), (order) => html`${order.exchange} <small>${t(order.market_type)}</small>`],
      [t("Type"), (order) => t(order.order_type.replaceAll("_", " "))],
      [t("Quantity"), (order) => html`<${Num} value=${order.quantity} />`, "num"],
      [t("Filled"), (order) => html`<${Num} value=${order.filled} />`, "num"],
      [t("Price"), (order) => html`<${Num} value=${order.average_price ?? order.price} />`, "num"],
      [t("Fee"), (order) => html`<${Num} value=${order.fee} unit=${order.fee_currency} />`, "num"],
      [t("Status"), (order) => html`<${Badge} value=${order.status} />`],
    ]} empty=${html`<${Empty} icon="orders" title=${t("No orders")}>${t("Orders stand here as soon as a signal has made one.")}<//>`} /><//>
  <//>`;
}
