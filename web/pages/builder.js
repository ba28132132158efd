// What to paste into TradingView's alert.
import { t } from "../i18n.js";
import { html, useData, useEverything, useState } from "../lib.js";
import { Card, Code, Copy, Empty, Field, Ltr, Notice, Page } from "../ui.js";

const VARIANTS = ["group", "batch", "cancel", "paper", "legacy", "personal", "xc"];

export function Builder({ user, title }) {
  const strategies = useEverything(`/strategies?user_id=${user}`);
  const [given, set] = useState({ variant: "group", exchange: "", market_type: "" });
  const chosen = given.strategy ?? strategies.items?.[0]?.strategy_id;
  const query = Object.entries(given).filter(([name, value]) => name !== "strategy" && value).map(([name, value]) => `${name}=${value}`).join("&");
  const { data, error } = useData(chosen === undefined ? null : `/strategies/${chosen}/alert-message?${query}`);
  const pick = (name) => (value) => set((before) => ({ ...before, [name]: value }));
  return html`<${Page} title=${title} lead=${t("Two boxes of TradingView's alert dialog, filled in for you.")}>
    ${strategies.error && html`<${Notice} error=${strategies.error} retry=${strategies.reload} />`}
    ${strategies.items?.length === 0 && html`<${Empty} icon="builder" title=${t("No strategies")}>${t("Messages are made for a strategy.")} <a href="#/strategies">${t("Add a strategy")}</a><//>`}
    ${strategies.items?.length > 0 && html`<div class="two even">
      <${Card} title=${t("Choose")}><div class="grid">
        <${Field} label=${t("Strategy")} value=${chosen} options=${strategies.items.map((each) => [each.strategy_id, each.group_name])} onInput=${pick("strategy")} />
        <${Field} label=${t("Webhook")} value=${given.variant} options=${VARIANTS.map((each) => [each, t(each)])} onInput=${pick("variant")} />
        <${Field} label=${t("Exchange")} value=${given.exchange} options=${[["", t("of its first account")], ["binance", "Binance"], ["bybit", "Bybit"], ["okx", "OKX"]]} onInput=${pick("exchange")} />
        <${Field} label=${t("Market")} value=${given.market_type} options=${[["", t("of its first account")], ["spot", t("spot")], ["futures", t("futures")]]} onInput=${pick("market_type")} />
      </div><//>
      <div>
        ${error && html`<${Notice} error=${error} />`}
        ${data && html`
          <${Card} title=${t("Webhook URL")} actions=${html`<${Copy} text=${data.url} label=${t("Copy the URL")} />`}><${Code}>${data.url}<//><//>
          <${Card} title=${t("Message")} actions=${html`<${Copy} text=${data.text} label=${t("Copy the message")} />`}><${Code}>${data.text}<//>
            ${data.fill_in?.length > 0 && html`<p class="told">${t("Replace before you save the alert:")} <${Ltr} mono>${data.fill_in.join(", ")}<//></p>`}<//>`}
      </div>
    </div>`}
  <//>`;
}
