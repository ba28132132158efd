// What to paste into TradingView's alert.
import { exitsOf } from "../exits.js";
import { t, word } from "../i18n.js";
import { html, useData, useEverything, useState } from "../lib.js";
import { Card, Code, Copy, Field, Ltr, Notice, Page } from "../ui.js";

const OF_STRATEGY = ["group", "batch", "cancel"];
const ALONE = ["paper", "personal", "legacy", "xc"];
const SIZE_PERCENT = "5";
const SIDES = ["{{strategy.order.action}}", "buy", "sell", "long", "short", "close"];
const FILL_IN = ["YOUR_WEBHOOK_TOKEN", "YOUR_XC_CODE"];

const LOOPBACK = /^(localhost|127\.|\[::1\]|0\.0\.0\.0)/;

/** Messages that need no strategy, at this dashboard's own address. */
function messageAlone(variant, user, account) {
  const root = new URL("../..", import.meta.url).href;
  const alert_id = "{{ticker}}-{{interval}}-{{timenow}}-{{strategy.order.action}}-{{strategy.position_size}}";
  const common = { price: "{{close}}", token: FILL_IN[0], timenow: "{{timenow}}", alert_id };
  if (variant === "paper") return { url: `${root}api/webhook`, message: { ticker: "{{ticker}}", action: "{{strategy.order.action}}", contracts: "{{strategy.order.contracts}}", ...(account && { account }), ...common } };
  if (variant === "xc") return { url: `${root}xc`, text: `code=${FILL_IN[1]} strategy_id=MyStrategy demo=YES command={{strategy.order.action}} exchange=binance coinmarket={{ticker}} amount={{strategy.order.contracts}} alert_id="${alert_id}"` };
  return { url: `${root}${variant === "personal" ? `personal/${user}/webhook` : "webhook"}`, message: { symbol: "{{ticker}}", action: "{{strategy.order.action}}", ...common } };
}

/** The message with the market, side, size and exits that were chosen. */
function chosenMessage(message, given) {
  const { symbol, side, size } = given;
  const changed = { ...message };
  for (const name of ["symbol", "ticker"]) if (symbol && name in changed) changed[name] = symbol;
  for (const name of ["side", "action"]) if (side && name in changed) changed[name] = side;
  if ("qty_per" in changed) changed.qty_per = Number(size) || changed.qty_per;
  if (changed.orders) changed.orders = changed.orders.map((order) => ({ ...order, qty_per: (Number(size) || order.qty_per) / changed.orders.length }));
  return "order_type" in changed && changed.order_type === "CANCEL_ALL_ORDER" ? changed : { ...changed, ...exitsOf(given) };
}

export function Builder({ user, title }) {
  const strategies = useEverything(`/strategies?user_id=${user}`);
  const accounts = useEverything(`/accounts?user_id=${user}&kind=paper`);
  const [given, set] = useState({ exchange: "", market_type: "", symbol: "", side: SIDES[0], size: SIZE_PERCENT, stop: "", targets: "", entry: "", trail: "" });
  const pick = (name) => (value) => set((before) => ({ ...before, [name]: value }));
  const variants = strategies.items?.length ? [...OF_STRATEGY, ...ALONE] : ALONE;
  const variant = variants.includes(given.variant) ? given.variant : variants[0];
  const alone = ALONE.includes(variant);
  const chosen = given.strategy ?? strategies.items?.[0]?.strategy_id;
  const query = ["exchange", "market_type"].filter((name) => given[name]).map((name) => `&${name}=${given[name]}`).join("");
  const asked = useData(alone || chosen === undefined ? null : `/strategies/${chosen}/alert-message?variant=${variant}${query}`);
  const data = alone ? messageAlone(variant, user, given.account) : asked.data;
  const message = data?.message && chosenMessage(data.message, given);
  const text = message ? JSON.stringify(message, null, 2) : data?.text;
  const sized = message && ("qty_per" in message || message.orders);
  return html`<${Page} title=${title} lead=${t("Two boxes of TradingView's alert dialog, filled in for you.")}>
    ${strategies.error && html`<${Notice} error=${strategies.error} retry=${strategies.reload} />`}
    ${strategies.items?.length === 0 && html`<p class="note">${t("Without a strategy, messages go to one account.")} <a href="#/strategies">${t("Add a strategy")}</a></p>`}
    ${strategies.items && html`<div class="two even">
      <${Card} title=${t("Choose")}><div class="grid">
        <${Field} label=${t("Webhook")} value=${variant} options=${variants.map((each) => [each, word(each)])} onInput=${pick("variant")} />
        ${!alone && html`
          <${Field} label=${t("Strategy")} value=${chosen} options=${strategies.items.map((each) => [each.strategy_id, each.group_name])} onInput=${pick("strategy")} />
          <${Field} label=${t("Exchange")} value=${given.exchange} options=${[["", t("of its first account")], ["binance", "Binance"], ["bybit", "Bybit"], ["okx", "OKX"]]} onInput=${pick("exchange")} />
          <${Field} label=${t("Market")} value=${given.market_type} options=${[["", t("of its first account")], ["spot", word("spot")], ["futures", word("futures")]]} onInput=${pick("market_type")} />`}
        ${variant === "paper" && html`<${Field} label=${t("Account")} value=${given.account ?? ""} options=${[["", t("The default account")], ...(accounts.items ?? []).map((each) => [each.name, each.name])]} onInput=${pick("account")} />`}
        ${message && html`<${Field} label=${t("Symbol")} value=${given.symbol} dir="ltr" placeholder="{{ticker}}" hint=${t("Empty: the chart's symbol")} onInput=${pick("symbol")} />`}
        ${message && variant !== "cancel" && html`<${Field} label=${t("Side")} value=${given.side} options=${SIDES.map((each) => [each, each === SIDES[0] ? t("as the Pine strategy says") : word(each)])} onInput=${pick("side")} />`}
        ${message && variant !== "cancel" && html`
          <${Field} label=${t("Stop-loss")} value=${given.stop} dir="ltr" placeholder="2%" hint=${t("A price, or a percentage from the fill")} onInput=${pick("stop")} />
          <${Field} label=${t("Take-profits")} value=${given.targets} dir="ltr" placeholder="2% 50, 4% 25" hint=${t("Level and share in percent, up to six. One level alone closes everything")} onInput=${pick("targets")} />
          <${Field} label=${t("Stop to the entry after")} value=${given.entry} dir="ltr" placeholder="1" hint=${t("A number of take-profits, or a move such as 2%. Simulated accounts only")} onInput=${pick("entry")} />
          <${Field} label=${t("Trailing stop")} value=${given.trail} dir="ltr" placeholder="1%" hint=${t("A percentage from the best price. Simulated accounts only")} onInput=${pick("trail")} />`}
        ${sized && html`<${Field} label=${t("Size, percent of the free balance")} value=${given.size} type="number" min="0.1" max="100" step="any" onInput=${pick("size")} />`}
      </div><//>
      <div>
        ${asked.error && html`<${Notice} error=${asked.error} />`}
        ${data && html`
          ${LOOPBACK.test(new URL(data.url).host) && html`<div class="notice" role="alert"><p>${t("TradingView cannot reach this address: it is on this computer only. Set a public address first.")}</p></div>`}
          <${Card} title=${t("Webhook URL")} actions=${html`<${Copy} text=${data.url} label=${t("Copy the URL")} />`}><${Code}>${data.url}<//><//>
          <${Card} title=${t("Message")} actions=${html`<${Copy} text=${text} label=${t("Copy the message")} />`}><${Code}>${text}<//>
            ${FILL_IN.some((name) => text.includes(name)) && html`<p class="note">${t("Replace before you save the alert:")} <${Ltr} mono>${FILL_IN.filter((name) => text.includes(name)).join(", ")}<//></p>`}<//>`}
      </div>
    </div>`}
  <//>`;
}
