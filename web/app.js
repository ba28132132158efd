// The dashboard's frame: sign-in, navigation, halt switch, and the page that the address names.
import { api, everything } from "./api.js";
import { Halt } from "./halt.js";
import { language, LANGUAGES, show, speak, t } from "./i18n.js";
import { html, render, useAction, useEffect, useRef, useState, useStore } from "./lib.js";
import { connection, farewell, remembered, session, signIn, signOut, subject } from "./session.js";
import { Field, Icon, Notice } from "./ui.js";
import { Accounts } from "./pages/accounts.js";
import { Builder } from "./pages/builder.js";
import { Connections } from "./pages/connections.js";
import { Equity } from "./pages/equity.js";
import { Orders } from "./pages/orders.js";
import { Positions } from "./pages/positions.js";
import { Send } from "./pages/send.js";
import { Signals } from "./pages/signals.js";
import { Strategies } from "./pages/strategies.js";
import { Tickets } from "./pages/tickets.js";
import { Trace } from "./pages/trace.js";
import { Users } from "./pages/users.js";
import { Webhooks } from "./pages/webhooks.js";

const ICON = new URL("icon.svg", import.meta.url).href;

// Address, page, page of one record, name.
const PAGES = [
  ["signals", Signals, Trace, "Live signals"],
  ["orders", Orders, null, "Orders"],
  ["positions", Positions, null, "Positions"],
  ["equity", Equity, null, "Equity"],
  ["send", Send, null, "Send a signal"],
  ["builder", Builder, null, "Alert messages"],
  ["strategies", Strategies, Strategies, "Strategies"],
  ["accounts", Accounts, null, "Accounts"],
  ["webhooks", Webhooks, Webhooks, "Webhooks"],
  ["users", Users, Users, "Users and tokens"],
  ["tickets", Tickets, Tickets, "Tickets"],
  ["connections", Connections, null, "Connections"],
];

function useAddress() {
  const read = () => location.hash.slice(2).split("/").map(decodeURIComponent);
  const [address, set] = useState(read);
  useEffect(() => {
    const changed = () => set(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return address;
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

const THEMES = { "": "As the system", light: "Light", dark: "Dark" };

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
  const named = (user) => [user.first_name, user.last_name].filter(Boolean).join(" ") || user.username || `#${user.user_id}`;
  return html`<label class="pick subject"><span>${t("Viewing user")}</span>
    <select onInput=${(event) => subject.set(users.find((user) => String(user.user_id) === event.target.value).user_id)}>
      ${users.map((user) => html`<option value=${user.user_id} selected=${user.user_id === chosen}>${named(user)}${user.role === "admin" ? ` (${t("admin")})` : ""}</option>`)}
    </select></label>`;
}

const LINKS = { open: ["good", "Live"], connecting: ["warn", "Connecting …"], waiting: ["bad", "No connection, trying again"], closed: ["bad", "Signed out"] };

function Link() {
  const [tone, words] = LINKS[useStore(connection)];
  return html`<span class="link ${tone}" role="status">${t(words)}</span>`;
}

function Frame() {
  const { user, admin } = useStore(session);
  const whose = useStore(subject);
  const [name, id] = useAddress();
  const [open, setOpen] = useState(false);
  const main = useRef();
  const [path, List, One, title] = PAGES.find(([path]) => path === name) ?? PAGES[0];
  const Shown = id && One ? One : List;
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    if (!first.current) main.current.querySelector("h1")?.focus(); // a new page is announced, as a page load would be
    first.current = false;
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
    <nav id="nav" aria-label=${t("Pages")}>
      <ul>${PAGES.map(([each, , , words]) => html`<li><a href=${`#/${each}`} aria-current=${each === path ? "page" : undefined}><${Icon} name=${each} />${t(words)}</a></li>`)}</ul>
      <div class="me">
        <p><b>${user.first_name ?? user.username ?? `#${user.user_id}`}</b><br /><small>${t(user.role)}</small></p>
        <${Languages} /><${Themes} />
        <button onClick=${() => signOut()}>${t("Sign out")}</button>
      </div>
    </nav>
    <main id="main" ref=${main}><${Shown} key=${`${path}/${id ?? ""}/${whose}`} id=${id} user=${whose} title=${t(title)} admin=${admin} /></main>
  </div>`;
}

function App() {
  useStore(language);
  const signedIn = useStore(session);
  const [ready, setReady] = useState(!remembered());
  useEffect(() => {
    if (!ready) signIn(remembered(), api).catch((error) => signOut(error.message)).finally(() => setReady(true));
  }, []);
  if (!ready) return html`<div class="loading" role="status">${t("Loading …")}</div>`;
  return signedIn ? html`<${Frame} />` : html`<${SignIn} />`;
}

document.documentElement.dataset.theme = localStorage.getItem("tradehook-theme") ?? "";
show();
render(html`<${App} />`, document.getElementById("app"));
