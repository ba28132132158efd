// The webhooks' variants: which fields their forms have, and the body these make.
import { t } from "./i18n.js";

const choice = (name, label, options, start) => ({ name, label, options, start: start ?? options[0] });
const text = (name, label, start, more) => ({ name, label, start, ...more });
const decimal = (name, label, start) => text(name, label, start, { inputmode: "decimal" });

const SYMBOL = () => text("symbol", t("Symbol"), "BTCUSDT");
const TOKEN = () => text("token", t("Webhook token"), "", { type: "password", autocomplete: "off", required: true });
const GROUP = () => [
  text("group_name", t("Strategy"), ""), TOKEN(), choice("exchange", t("Exchange"), ["BINANCE", "BYBIT", "OKX"]),
  choice("market_type", t("Market"), ["SPOT", "FUTURES"]), text("currency", t("Currency"), "USDT"), SYMBOL(),
];
const SIDES = ["buy", "sell", "long", "short", "close"];

/** Name, title, what it is for, address, fields. */
export const VARIANTS = () => [
  ["paper", t("Paper"), t("Trades on a paper account. The answer holds the simulated fill."), () => "/api/webhook", [
    TOKEN(), text("ticker", t("Symbol"), "AAPL"), choice("action", t("Action"), ["buy", "sell", "close"]), decimal("price", t("Price"), "185.50"), decimal("qty", t("Quantity"), "10"), text("account", t("Account"), "", { hint: t("Empty: the default account") })]],
  ["group", t("Strategy"), t("Trades on every account on the strategy."), () => "/api/webhook", [
    ...GROUP(), choice("order_type", t("Type"), ["MARKET", "LIMIT", "STOP_LIMIT", "STOP_MARKET"]), choice("side", t("Side"), SIDES), decimal("price", t("Price"), ""), decimal("stop_price", t("Stop price"), ""), decimal("qty_per", t("Percent"), "10")]],
  ["batch", t("Batch"), t("Several orders in one signal, sized from the same balance."), () => "/api/webhook", [
    ...GROUP(), choice("order_type", t("Type"), ["LIMIT", "STOP_LIMIT"]), choice("side", t("Side"), SIDES), text("orders", t("Orders"), '[{"price": 60000, "qty_per": 10}, {"price": 59000, "qty_per": 10}]', { json: true })]],
  ["cancel", t("Cancel"), t("Cancels the strategy's own open orders."), () => "/api/webhook", [
    text("group_name", t("Strategy"), ""), TOKEN(), text("exchange", t("Exchange"), "", { hint: t("Empty: all") }), choice("market_type", t("Market"), ["", "SPOT", "FUTURES"]), text("symbol", t("Symbol"), "", { hint: t("Empty: all") })]],
  ["legacy", t("Legacy"), t("The one webhook of the deployment's default user."), () => "/webhook", [
    TOKEN(), SYMBOL(), choice("action", t("Action"), SIDES), decimal("price", t("Price"), "")]],
  ["personal", t("Personal"), t("A user's own webhook, sized by the user's settings."), (user) => `/personal/${user}/webhook`, [
    TOKEN(), SYMBOL(), choice("action", t("Action"), SIDES), decimal("price", t("Price"), "")]],
  ["xc", t("Executor (xc)"), t("Names its owner by a code, and the exact amount to trade."), () => "/xc", [
    text("code", t("Code"), "", { type: "password", autocomplete: "off", required: true }), text("strategy_id", t("Label"), "MyStrategy"), choice("demo", t("Demo"), ["YES", "NO"]), choice("command", t("Action"), ["buy", "sell"]), text("exchange", t("Exchange"), "binance"), text("coinmarket", t("Symbol"), "BTCUSDT"), decimal("amount", t("Amount"), "0.001")]],
];

/** The body a form makes: what is empty is left out. */
export function bodyOf(variant, fields, given) {
  const body = variant === "cancel" ? { order_type: "CANCEL_ALL_ORDER" } : {};
  for (const { name, json } of fields) {
    const value = given[name] ?? "";
    if (value === "") continue;
    body[name] = json ? JSON.parse(value) : value;
  }
  return body;
}
