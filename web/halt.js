// The halt switch: in the top bar of every page, and across it while trading is halted.
import { api } from "./api.js";
import { s, t } from "./i18n.js";
import { html, useData, useEffect, useState, useStore } from "./lib.js";
import { session, subject } from "./session.js";
import { Ask, Icon, Time } from "./ui.js";

const WORDS = { global: s("everybody"), user: s("user {id}"), account: s("account {id}"), strategy: s("strategy {id}") };
const NARROWEST_FIRST = ["account", "strategy", "user", "global"];
const POLL_MS = 30_000; // a user gets no event when trading is halted for everybody

export const ofWhom = (item) => t(WORDS[item.scope] ?? "{scope} {id}", { scope: item.scope, id: item.name ?? item.id });

export function Halt() {
  const { admin } = useStore(session);
  const user = useStore(subject);
  const { data, reload } = useData(`/halt?user_id=${user}&limit=200`, { again: "*" });
  const [asking, ask] = useState(null);
  useEffect(() => {
    const timer = setInterval(reload, POLL_MS);
    return () => clearInterval(timer);
  }, [reload]);
  const halted = (data?.items ?? []).filter((item) => item.halted);
  const free = (data?.items ?? []).filter((item) => !item.halted && (admin || item.scope !== "global"))
    .sort((a, b) => NARROWEST_FIRST.indexOf(a.scope) - NARROWEST_FIRST.indexOf(b.scope));
  const setSwitch = (item, reason, on) => api("POST", "/halt", { scope: item.scope, ...(item.id !== null && { id: item.id }), halted: on, ...(reason && { reason }) });
  const choices = free.map((item) => [`${item.scope}/${item.id ?? ""}`, item.scope === "global" ? t("All trading, all users") : t("Trading of {whom}", { whom: ofWhom(item) })]);
  return html`
    <button class="halt" disabled=${!free.length} onClick=${() => ask({ halted: true })}><${Icon} name="halt" />${t("Halt trading")}</button>
    ${halted.length > 0 && html`<div class="halted" role="alert"><${Icon} name="halt" />
      <div><strong>${t("Trading is halted")}</strong>
        <ul>${halted.map((item) => html`<li>
          <span>${t("for {whom}", { whom: ofWhom(item) })}${item.reason ? html`: <q dir="auto">${item.reason}</q>` : ""}, ${t("since")} <${Time} value=${item.at} /></span>
          ${(admin || item.scope !== "global") && html`<button onClick=${() => ask({ item })}>${t("Resume trading")}</button>`}
        </li>`)}</ul>
        <p>${t("Orders that open or add are refused. Closing, reducing and cancelling work.")}</p></div>
    </div>`}
    ${asking?.halted && html`<${Ask} title=${t("Halt trading")} button=${t("Halt now")} danger onClose=${() => ask(null)}
      ask=${[["which", t("What to halt"), { options: choices, start: choices[0]?.[0] }], ["reason", t("Reason (everybody concerned reads it)"), { maxlength: 200 }]]}
      act=${({ which, reason }) => setSwitch(free.find((item) => `${item.scope}/${item.id ?? ""}` === which), reason, true)}
      onDone=${() => { ask(null); reload(); }}>
      <p>${t("From this moment orders that open or add are refused. Open positions stay; closing, reducing and cancelling work.")}</p>
    <//>`}
    ${asking?.item && html`<${Ask} title=${t("Resume trading")} button=${t("Resume trading")} onClose=${() => ask(null)}
      act=${() => setSwitch(asking.item, null, false)} onDone=${() => { ask(null); reload(); }}>
      <p>${t("Signals for {whom} open positions again from this moment.", { whom: ofWhom(asking.item) })}</p>
    <//>`}`;
}
