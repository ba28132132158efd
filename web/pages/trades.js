// Closed round trips and their results, the last one first.
import { t } from "../i18n.js";
import { html, useList } from "../lib.js";
import { Badge, Card, Download, Empty, Gain, Ltr, Num, Page, Table, Time } from "../ui.js";

export function Trades({ user, title }) {
  const list = useList(`/trades?user_id=${user}&limit=50`, { again: "trade.*" });
  const items = list.items?.map((trade) => ({ ...trade, key: trade.trade_id }));
  return html`<${Page} title=${title} lead=${t("Positions that were closed, with their result after fees.")}
      actions=${html`<${Download} path=${`/trades?user_id=${user}`} name="trades" />`}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} columns=${[
      [t("Closed"), (trade) => html`<${Time} value=${trade.closed_at} />`],
      [t("Side"), (trade) => html`<${Badge} value=${trade.side} />`],
      [t("Symbol"), (trade) => html`<b><${Ltr}>${trade.symbol}<//></b>`],
      [t("Strategy"), (trade) => html`<bdi dir="auto">${trade.strategy ?? "–"}</bdi>`],
      [t("Account"), (trade) => html`<${Ltr}>${trade.account_id}<//>`, "minor"],
      [t("Quantity"), (trade) => html`<${Num} value=${trade.quantity} />`, "num"],
      [t("Entry"), (trade) => html`<${Num} value=${trade.entry_price} />`, "num minor"],
      [t("Exit"), (trade) => html`<${Num} value=${trade.exit_price} />`, "num minor"],
      [t("Fees"), (trade) => html`<${Num} value=${trade.fees} />${trade.other_fees.map((fee) => html` <small><${Ltr}>+ ${fee.amount ?? "?"} ${fee.currency}<//></small>`)}`, "num minor"],
      [t("Slippage, bp"), (trade) => html`<${Num} value=${trade.slippage_bps} />`, "num minor"],
      [t("Result"), (trade) => html`<${Gain} value=${trade.net_profit} unit=${trade.currency} />`, "num"],
    ]} empty=${html`<${Empty} icon="trades" title=${t("No trades")}>${t("A trade stands here as soon as a position is closed.")}<//>`} /><//>
  <//>`;
}
