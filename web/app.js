// The dashboard's frame: sign-in, navigation, halt switch, and the page that the address names.
import { api, everything, redeem } from "./api.js";
import { Halt } from "./halt.js";
import { chooseZone, language, LANGUAGES, ready, s, show, speak, t, word, zone } from "./i18n.js";
import { html, readAddress, render, setParams, useAction, useEffect, useRef, useState, useStore } from "./lib.js";
import { connection, farewell, reachable, remembered, session, signIn, signOut, subject } from "./session.js";
import { Empty, Field, Icon, Notice, Page } from "./ui.js";
import { Accounts } from "./pages/accounts.js";
import { Builder } from "./pages/builder.js";
import { Connections } from "./pages/connections.js";
import { Equity } from "./pages/equity.js";
import { Incoming } from "./pages/incoming.js";
import { Orders } from "./pages/orders.js";
import { Performance } from "./pages/performance.js";
import { Positions } from "./pages/positions.js";
import { Send } from "./pages/send.js";
import { Signals } from "./pages/signals.js";
import { Strategies } from "./pages/strategies.js";
import { Tickets } from "./pages/tickets.js";
import { Trace } from "./pages/trace.js";
import { Trades } from "./pages/trades.js";
import { Users } from "./pages/users.js";
import { Webhooks } from "./pages/webhooks.js";

const ICON = new URL("icon.svg", import.meta.url).href;
const REFERENCE = new URL("../docs", import.meta.url).href;

// Address, page, page of one record, name.
const PAGES = [
  ["signals", Signals, Trace, s("Live signals")],
  ["incoming", Incoming, null, s("Incoming requests")],
  ["orders", Orders, null, s("Orders")],
  ["positions", Positions, null, s("Positions")],
  ["trades", Trades, null, s("Trades")],
  ["performance", Performance, null, s("Performance")],
  ["equity", Equity, null, s("Equity")],
  ["send", Send, null, s("Send a signal")],
  ["builder", Builder, null, s("Alert messages")],
  ["strategies", Strategies, Strategies, s("Strategies")],
  ["accounts", Accounts, null, s("Accounts")],
  ["webhooks", Webhooks, Webhooks, s("Webhooks")],
  ["users", Users, Users, s("Users and tokens")],
  ["tickets", Tickets, Tickets, s("Tickets")],
  ["connections", Connections, null, s("Connections")],
];

const places = new Map(); // how far down each address was scrolled

/** The parts of the address's path. It also keeps each page's place, and the chosen user in every address. */
function useAddress() {
  const [address, set] = useState(() => readAddress().parts);
  useEffect(() => {
    let here = location.hash;
    const scrolled = () => here === location.hash && places.set(here, scrollY);
    const changed = () => {
      const { parts, params } = readAddress();
      const { user, admin } = session.value ?? {};
      if (admin) {
        const named = params.get("user");
        if (named) subject.set(Number(named) || named);
        else if (subject.value !== user.user_id) setParams({ user: subject.value });
      }
      history.replaceState({ within: true }, "");
      here = location.hash;
      set(parts);
    };
    addEventListener("hashchange", changed);
    addEventListener("scroll", scrolled, { passive: true });
    changed();
    return () => {
      removeEventListener("hashchange", changed);
      removeEventListener("scroll", scrolled);
    };
  }, []);
  return address;
}

/** Scrolls to where this address was left, as soon as the page is long enough. */
function restorePlace() {
  const wanted = places.get(location.hash) ?? 0;
  const until = performance.now() + 3000;
  const address = location.hash;
  const step = () => {
    if (location.hash !== address) return;
    if (document.documentElement.scrollHeight - innerHeight >= wanted || performance.now() > until) scrollTo(0, wanted);
    else requestAnimationFrame(step);
  };
  step();
}

function SignIn() {
  const [token, set] = useState("");
  const [run, { busy, error }] = useAction(() => signIn(token.trim(), api));
  const reason = useStore(farewell);
  const submit = (event) => {
    event.preventDefault();
    run();
  };
  return html`<main class="sign-in"><form class="card" onSubmit=${submit}>
    <img src=${ICON} alt="" width="48" height="48" />
    <h1>tradehook</h1>
    <p class="lead">${t("Webhooks in, trades out, webhooks out.")}</p>
    ${(error || reason) && html`<${Notice} error=${error ?? { message: reason }} />`}
    <${Field} label=${t("API token")} type="password" autocomplete="off" required autofocus value=${token} onInput=${set}
      hint=${t("It is kept in this tab only, and forgotten when you close it.")} />
    <button class="main" disabled=${busy || !token.trim()}>${t("Sign in")}</button>
    <p><${Languages} /></p>
  </form></main>`;
}

const Languages = () => html`<label class="pick"><span class="hidden">${t("Language")}</span>
  <select aria-label=${t("Language")} onInput=${(event) => speak(event.target.value)}>
    ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code} selected=${code === language.value}>${name}</option>`)}
  </select></label>`;

const THEMES = { "": s("As the system"), light: s("Light"), dark: s("Dark") };

const ZONES = { "": s("Local time"), UTC: s("UTC") };

const Zones = () => html`<label class="pick"><select aria-label=${t("Time zone")} onInput=${(event) => chooseZone(event.target.value)}>
    ${Object.entries(ZONES).map(([key, name]) => html`<option value=${key} selected=${key === zone.value}>${t(name)}</option>`)}
  </select></label>`;

function Themes() {
  const [theme, set] = useState(localStorage.getItem("tradehook-theme") ?? "");
  const choose = (event) => {
    localStorage.setItem("tradehook-theme", event.target.value);
    document.documentElement.dataset.theme = event.target.value;
    set(event.target.value);
  };
  return html`<label class="pick"><select aria-label=${t("Colours")} onInput=${choose}>
    ${Object.entries(THEMES).map(([key, name]) => html`<option value=${key} selected=${key === theme}>${t(name)}</option>`)}
  </select></label>`;
}

/** Admins choose whose records they look at. */
function Subject() {
  const chosen = useStore(subject);
  const [users, set] = useState([]);
  useEffect(() => void everything("/users").then(set, () => {}), []);
  if (users.length < 2) return null;
  const choose = (user) => {
    setParams({ user });
    subject.set(user);
  };
  const named = (user) => [user.first_name, user.last_name].filter(Boolean).join(" ") || user.username || `#${user.user_id}`;
  return html`<label class="pick subject"><span>${t("Viewing user")}</span>
    <select aria-label=${t("Viewing user")} onInput=${(event) => choose(users.find((user) => String(user.user_id) === event.target.value).user_id)}>
      ${users.map((user) => html`<option value=${user.user_id} selected=${user.user_id === chosen}>${named(user)}${user.role === "admin" ? ` (${t("admin")})` : ""}</option>`)}
    </select></label>`;
}

const LINKS = {
  open: ["good", s("Live")], connecting: ["warn", s("Connecting …")], waiting: ["bad", s("No connection, trying again")], closed: ["bad", s("Signed out")],
};
const SILENT = ["bad", s("The server does not answer")];

function Link() {
  const status = useStore(connection);
  const [tone, words] = useStore(reachable) ? LINKS[status] : SILENT;
  return html`<span class="link ${tone}" role="status">${t(words)}</span>`;
}

function Frame() {
  const { user, admin } = useStore(session);
  const whose = useStore(subject);
  const [name, id] = useAddress();
  const [open, setOpen] = useState(false);
  const main = useRef();
  const [path, List, One, title] = name === "" ? PAGES[0] : PAGES.find(([path]) => path === name) ?? ["", NotFound, null, s("Page not found")];
  const Shown = id && One ? One : id ? NotFound : List;
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    if (!first.current) main.current.querySelector("h1")?.focus({ preventScroll: true }); // a new page is announced, as a page load would be
    first.current = false;
    restorePlace();
  }, [path, id]);
  return html`<div class="frame ${open ? "nav-open" : ""}">
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.querySelector("h1")?.focus(); }}>${t("Skip to the page")}</a>
    <header class="top">
      <button class="quiet menu" aria-expanded=${open} aria-controls="nav" onClick=${() => setOpen(!open)}><${Icon} name="menu" /><span class="hidden">${t("Menu")}</span></button>
      <a class="brand" href="#/signals"><img src=${ICON} alt="" width="28" height="28" /><span>tradehook</span></a>
      <${Link} /><span class="space"></span>
      ${admin && html`<${Subject} />`}
      <${Halt} />
    </header>
    ${open && html`<div class="veil" onClick=${() => setOpen(false)}></div>`}
    <nav id="nav" aria-label=${t("Pages")}>
      <button class="quiet shut" onClick=${() => setOpen(false)}><${Icon} name="menu" />${t("Close")}</button>
      <ul>${PAGES.map(([each, , , words]) => html`<li><a href=${`#/${each}`} onClick=${() => places.delete(`#/${each}`)} aria-current=${each === path ? "page" : undefined}><${Icon} name=${each} />${t(words)}</a></li>`)}</ul>
      <div class="me">
        <p><b dir="auto">${user.first_name ?? user.username ?? `#${user.user_id}`}</b><br /><small>${word(user.role)}</small></p>
        <${Languages} /><${Zones} /><${Themes} />
        <a href=${REFERENCE}>${t("API reference")}</a>
        <button onClick=${() => signOut()}>${t("Sign out")}</button>
      </div>
    </nav>
    <main id="main" ref=${main}><${Shown} key=${`${path}/${id ?? ""}/${whose}`} id=${id} user=${whose} title=${t(Shown === NotFound ? "Page not found" : title)} admin=${admin} /></main>
  </div>`;
}

const NotFound = () => html`<${Page} title=${t("Page not found")}><${Empty} icon="signals" title=${t("There is no such page here")}>
  <a href="#/signals">${t("Live signals")}</a><//><//>`;

// The code of a one-time link, which the local cloud prints. It leaves the address bar and the history at once.
const link = /^#sign-in=([\w-]+)$/.exec(location.hash)?.[1];
if (link) history.replaceState(null, "", location.pathname);

function App() {
  useStore(language);
  const signedIn = useStore(session);
  const [known, setKnown] = useState(!remembered() && !link);
  useEffect(() => {
    if (!known) (link ? redeem(link) : Promise.resolve(remembered())).then((token) => signIn(token, api)).catch((error) => signOut(error.message)).finally(() => setKnown(true));
  }, []);
  if (!known) return html`<div class="loading" role="status">${t("Loading …")}</div>`;
  return signedIn ? html`<${Frame} />` : html`<${SignIn} />`;
}

document.documentElement.dataset.theme = localStorage.getItem("tradehook-theme") ?? "";
await ready();
show();
render(html`<${App} />`, document.getElementById("app"));
