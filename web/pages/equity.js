// Equity and profit of each account over time.
import { Chart } from "../chart.js";
import { number, s, t } from "../i18n.js";
import { html, useData, useEverything, useState } from "../lib.js";
import { Badge, Card, Empty, Ltr, Notice, Page, Tiles } from "../ui.js";

const RANGES = [["1", s("1 day")], ["7", s("7 days")], ["30", s("30 days")], ["365", s("1 year")]];
const DAY = 86_400_000;

export function Equity({ user, title }) {
  const accounts = useEverything(`/accounts?user_id=${user}`);
  const [days, set] = useState("30");
  return html`<${Page} title=${title} lead=${t("What each account is worth, at market prices.")} actions=${html`<div class="segments" role="group" aria-label=${t("Period")}>
      ${RANGES.map(([value, name]) => html`<button aria-pressed=${value === days} onClick=${() => set(value)}>${t(name)}</button>`)}</div>`}>
    ${accounts.error && html`<${Notice} error=${accounts.error} retry=${accounts.reload} />`}
    ${accounts.loading && html`<div class="loading" role="status">${t("Loading …")}</div>`}
    ${accounts.items?.length === 0 && html`<${Empty} icon="equity" title=${t("No accounts")}>${t("Connect an account, and its worth is drawn here.")}<//>`}
    <div class="charts">${accounts.items?.map((account) => html`<${Account} key=${`${account.account_id}/${days}`} account=${account} days=${days} />`)}</div>
  <//>`;
}

function Account({ account, days }) {
  const [since] = useState(() => new Date(Date.now() - Number(days) * DAY).toISOString());
  const { data, error, loading } = useData(`/accounts/${account.account_id}/equity?since=${since}&limit=200`);
  const points = (data?.items ?? []).map((item) => [new Date(item.at ?? item.taken_at).getTime() / 1000, Number(item.equity)]).filter(([at, value]) => at && Number.isFinite(value)).sort((a, b) => a[0] - b[0]);
  const [first, last] = [points[0]?.[1], points.at(-1)?.[1]];
  const change = last - first;
  return html`<${Card} title=${html`<bdi dir="auto">${account.name}</bdi> <small>${account.exchange}</small>`} actions=${html`<${Badge} value=${account.kind} />`}>
    ${points.length > 1 ? html`<${Tiles} of=${[
        [t("Now"), html`<${Ltr}>${number(last.toFixed(2))} ${account.currency}<//>`],
        [t("Profit"), html`<${Ltr}>${change >= 0 ? "+" : ""}${number(change.toFixed(2))} (${((100 * change) / first).toFixed(2)} %)<//>`, change < 0 ? "loss" : "gain"],
      ]} /><${Chart} points=${points} label=${t("Equity of {name} over time", { name: account.name })} />`
      : html`<div class="no-chart">${loading ? t("Loading …") : error ? error.message : t("There are no figures for this period yet.")}</div>`}
  <//>`;
}
