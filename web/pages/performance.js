// What trades came to: figures by strategy, account, symbol or user, and the results as a curve.
import { Chart } from "../chart.js";
import { number, s, t } from "../i18n.js";
import { html, useData, useParam } from "../lib.js";
import { Card, Empty, Gain, Ltr, Notice, Num, Page, Table, Tiles } from "../ui.js";

const GROUPS = [["strategy", s("Strategy")], ["account", s("Account")], ["symbol", s("Symbol")]];
const PERIODS = [["7", s("7 days")], ["30", s("30 days")], ["90", s("90 days")], ["365", s("1 year")]];
const FIELDS = { strategy: "strategy", account: "account_id", symbol: "symbol" };
const DAY = 86_400_000;

/** The first day of a period of this length in days that ends today, in UTC. */
const since = (days) => new Date(Date.now() - (Number(days) - 1) * DAY).toISOString().slice(0, 10);

const share = (value) => (value === null ? "–" : html`<${Ltr}>${number((100 * value).toFixed(1))} %<//>`);

const short = (value) => (value === null ? value : Number(Number(value).toPrecision(4)));

const Choice = ({ of, chosen, set, label }) => html`<div class="segments" role="group" aria-label=${label}>
  ${of.map(([value, name]) => html`<button aria-pressed=${value === chosen} onClick=${() => set(value)}>${t(name)}</button>`)}</div>`;

export function Performance({ user, title }) {
  const [by, group] = useParam("by");
  const [days, period] = useParam("days");
  const [shown, length] = [by || "strategy", days || "90"];
  const path = (grouping) => `/performance?user_id=${user}&by=${grouping}&from=${since(length)}&days=true`;
  const all = useData(path("user"), { again: "trade.*", pause: 3000 }); // totals follow the trade within a second or two
  const rows = useData(path(shown), { again: "trade.*", pause: 3000 });
  const items = rows.data?.items.map((row) => ({ ...row, key: `${row[FIELDS[shown]]}/${row.currency}` }));
  return html`<${Page} title=${title} lead=${t("What closed trades came to, after fees.")} actions=${html`
      <${Choice} of=${GROUPS} chosen=${shown} set=${group} label=${t("Group by")} />
      <${Choice} of=${PERIODS} chosen=${length} set=${period} label=${t("Period")} />`}>
    ${all.error && html`<${Notice} error=${all.error} retry=${all.reload} />`}
    ${all.data?.items.map((row) => html`<${Total} key=${row.currency} row=${row} />`)}
    <${Card}><${Table} label=${title} list=${{ ...rows, items }} columns=${[
      [t(GROUPS.find(([value]) => value === shown)[1]), (row) => html`<b><bdi dir="auto">${row[FIELDS[shown]] ?? t("no strategy")}</bdi></b>`],
      [t("Trades"), (row) => html`<${Num} value=${row.trades} />`, "num"],
      [t("Win rate"), (row) => share(row.win_rate), "num"],
      [t("Profit factor"), (row) => html`<${Num} value=${short(row.profit_factor)} />`, "num"],
      [t("Per trade"), (row) => html`<${Gain} value=${short(row.expectancy)} />`, "num minor"],
      [t("Largest drawdown"), (row) => html`<${Num} value=${row.max_drawdown} />`, "num"],
      [t("Fees"), (row) => html`<${Num} value=${row.fees} />`, "num minor"],
      [t("Slippage, bp"), (row) => html`<${Num} value=${short(row.average_slippage_bps)} />`, "num minor"],
      [t("Result"), (row) => html`<${Gain} value=${row.net_profit} unit=${row.currency} />`, "num"],
    ]} empty=${html`<${Empty} icon="performance" title=${t("No trades")}>${t("No position was closed in this period.")}<//>`} /><//>
  <//>`;
}

/** All trades in one currency: their figures, and the sum of their results day by day. */
function Total({ row }) {
  let sum = 0;
  const points = row.days.map(({ day, net_profit }) => [Date.parse(day) / 1000, (sum += Number(net_profit))]);
  return html`<${Card} title=${html`${t("All trades")} <small><${Ltr}>${row.currency}<//></small>`}>
    <${Tiles} of=${[
      [t("Result"), html`<${Gain} value=${row.net_profit} unit=${row.currency} />`],
      [t("Trades"), html`<${Num} value=${row.trades} />`],
      [t("Win rate"), share(row.win_rate)],
      [t("Profit factor"), html`<${Num} value=${short(row.profit_factor)} />`],
      [t("Largest drawdown"), html`<${Num} value=${row.max_drawdown} unit=${row.currency} />`],
    ]} />
    ${points.length > 1 && html`<${Chart} points=${points} label=${t("Sum of results over time")} />`}
  <//>`;
}
