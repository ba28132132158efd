// Who is connected.
import { t } from "../i18n.js";
import { html, useEffect, useList } from "../lib.js";
import { Badge, Card, Empty, Ltr, Page, Table, Time } from "../ui.js";

const EVERY = 10_000;

export function Connections({ title, admin }) {
  const list = useList("/realtime/connections?limit=100");
  useEffect(() => {
    const timer = setInterval(list.reload, EVERY);
    return () => clearInterval(timer);
  }, [list.reload]);
  const items = list.items?.map((item) => ({ ...item, key: item.connection_id }));
  return html`<${Page} title=${title} lead=${admin ? t("Everybody who hears events at this moment.") : t("Where you are connected at this moment.")}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} columns=${[
      [t("User"), (item) => html`<b><${Ltr}>${item.user_id}<//></b>`],
      [t("Role"), (item) => html`<${Badge} value=${item.role} tone="plain" />`],
      [t("Registered as"), (item) => (item.registered_as ? html`<${Ltr} mono>${item.registered_as}<//>` : "–")],
      [t("Device"), (item) => html`<span title=${item.device}>${device(item.device)}</span>`],
      [t("Address"), (item) => html`<${Ltr} mono>${item.source_ip}<//>`],
      [t("Since"), (item) => html`<${Time} value=${item.connected_at} />`],
      [t("Hears"), (item) => html`<${Ltr} mono>${item.types?.join(", ")}<//>`],
    ]} empty=${html`<${Empty} icon="connections" title=${t("Nobody is connected")}>${t("This page's own connection appears as soon as it stands.")}<//>`} /><//>
  <//>`;
}

/** The browser's name out of its user agent, or the agent itself. */
const device = (agent = "") => {
  const browser = agent.match(/(Firefox|Edg|OPR|Chrome|Safari)\/\d+/)?.[0].replace("Edg/", "Edge ").replace("OPR/", "Opera ").replace("/", " ");
  const system = agent.match(/Android|iPhone|iPad|Windows|Mac OS|Linux/)?.[0];
  return [browser ?? (agent.slice(0, 40) || "–"), system].filter(Boolean).join(", ");
};
