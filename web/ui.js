// The pieces pages are made of.
import { csv } from "./api.js";
import { exactTime, number, t, time, word, zone } from "./i18n.js";
import { html, useAction, useEffect, useRef, useState, useStore } from "./lib.js";

const ICONS = {
  signals: "M3 12h4l3-8 4 16 3-8h4",
  orders: "M4 6h16M4 12h16M4 18h10",
  positions: "M12 3v9l7 5M12 3a9 9 0 1 0 9 9",
  equity: "M3 17l6-6 4 4 8-9M15 6h6v6",
  trades: "M4 8h13m-4-4 4 4-4 4M20 16H7m4-4-4 4 4 4",
  performance: "M5 20V10M12 20V4M19 20v-7",
  webhooks: "M4 12h12m-5-5 5 5-5 5M20 4v16",
  users: "M16 19v-1a4 4 0 0 0-8 0v1M12 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6",
  strategies: "M4 5h6v6H4zM14 13h6v6h-6zM10 8h7v5",
  accounts: "M3 7h18v12H3zM3 11h18M7 15h4",
  tickets: "M4 5h16v11H9l-5 4z",
  connections: "M5 12a7 7 0 0 1 14 0M8 12a4 4 0 0 1 8 0M12 13v7",
  send: "M4 12l16-8-6 16-3-7z",
  builder: "M8 7l-5 5 5 5M16 7l5 5-5 5M13 4l-2 16",
  menu: "M4 6h16M4 12h16M4 18h16",
  incoming: "M12 3v12m-5-5 5 5 5-5M4 20h16",
  halt: "M8 3h8l5 5v8l-5 5H8l-5-5V8zM9 12h6",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;

/** Codes, symbols and addresses read left to right in every language. */
export const Ltr = ({ children, mono }) => html`<bdi dir="ltr" class=${mono ? "mono" : ""}>${children}</bdi>`;

export const Num = ({ value, unit }) => html`<bdi dir="ltr" class="num">${number(value)}${unit ? html` <small>${unit}</small>` : null}</bdi>`;

/** A result: its sign decides its colour. */
export const Gain = ({ value, unit }) => (value === undefined || value === null ? "–" : html`<span class=${String(value).startsWith("-") ? "loss" : "gain"}><${Num} value=${value} unit=${unit} /></span>`);

export function Time({ value }) {
  useStore(zone);
  return html`<time datetime=${value} title=${exactTime(value)}>${time(value)}</time>`;
}

/** @param {string} title Plain text: it is also the browser tab's. */
export function Page({ title, lead, actions, children }) {
  const heading = useRef();
  useEffect(() => {
    document.title = `${title} · tradehook`;
  }, [title]);
  return html`<section class="page">
    <header class="page-head">
      <div><h1 ref=${heading} tabindex="-1" dir="auto">${title}</h1>${lead && html`<p class="lead">${lead}</p>`}</div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}
  </section>`;
}

export const Card = ({ title, actions, children, ...more }) => html`<section class="card" ...${more}>
  ${(title || actions) && html`<header><h2>${title}</h2>${actions}</header>`}${children}
</section>`;

const TONES = {
  good: ["filled", "done", "success", "active", "completed", "healthy", "yes", "buy", "long", "delivered", "enabled", "verified"],
  bad: ["rejected", "failed", "refused", "unverified", "disabled", "dead", "sell", "short", "halted", "failing"],
  warn: ["pending", "partial", "replayed", "unknown", "paused", "held", "partially_filled", "live", "accepted", "waiting", "retrying"],
};

export function Badge({ value, tone }) {
  if (value === null || value === undefined || value === "") return "–";
  const found = tone ?? Object.keys(TONES).find((name) => TONES[name].includes(String(value).toLowerCase())) ?? "plain";
  return html`<span class="badge ${found}">${word(value)}</span>`;
}

export const Empty = ({ icon, title, children }) => html`<div class="empty"><${Icon} name=${icon} /><h3>${title}</h3><p>${children}</p></div>`;

export const Notice = ({ error, retry }) => html`<div class="notice" role="alert">
  <p dir="auto">${error.message}</p>${retry && html`<button onClick=${retry}>${t("Try again")}</button>`}
</div>`;

/**
 * A list as a table; on a phone each row is a card.
 * @param columns [title, (row) => cell, classes?] each; the first cell names the row. "num" aligns numbers, "minor" goes first
 *     where the window is narrow.
 */
export function Table({ list, columns, empty, href, label }) {
  const [more, { busy }] = useAction(list.more ?? (() => {}));
  if (list.error && !list.items) return html`<${Notice} error=${list.error} retry=${list.reload} />`;
  if (!list.items) return html`<div class="loading" role="status">${t("Loading …")}</div>`;
  if (!list.items.length) return empty;
  return html`<div class="table-box"><table aria-label=${label}>
      <thead><tr>${columns.map(([title, , kind]) => html`<th scope="col" class=${kind}>${title || html`<span class="hidden">${t("Actions")}</span>`}</th>`)}</tr></thead>
      <tbody>${list.items.map((row) => html`<tr key=${row.key ?? row.id ?? row.signal_id}>
        ${columns.map(([title, cell, kind], index) => html`<td class=${kind} data-label=${title}>
          ${href && index === 0 ? html`<a class="row-link" href=${href(row)}>${cell(row)}</a>` : cell(row)}
        </td>`)}
      </tr>`)}</tbody>
    </table></div>
    ${list.more && html`<p class="more"><button onClick=${more} disabled=${busy}>${t("Show more")}</button></p>`}`;
}

export function Copy({ text, label }) {
  const [done, set] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    set(true);
    setTimeout(() => set(false), 1500);
  };
  return html`<button class="quiet" onClick=${copy}><${Icon} name="copy" />${done ? t("Copied") : label ?? t("Copy")}</button>`;
}

/** Saves a whole list as a CSV file. */
export function Download({ path, name }) {
  const [run, { busy, error }] = useAction(async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await csv(path)], { type: "text/csv" }));
    link.download = `${name}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
  return html`<button onClick=${run} disabled=${busy}>${t("Download as CSV")}</button>${error && html`<${Notice} error=${error} />`}`;
}

export const Code = ({ children }) => html`<pre dir="ltr" tabindex="0">${typeof children === "string" ? children : JSON.stringify(children, null, 2)}</pre>`;

/** Name and value pairs; those without a value are left out. */
export const Facts = ({ of }) => html`<dl class="facts">${Object.entries(of)
  .filter(([, value]) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length))
  .map(([name, value]) => html`<div><dt>${name}</dt><dd>${typeof value === "boolean" ? t(value ? "yes" : "no") : value}</dd></div>`)}</dl>`;

export const Tiles = ({ of }) => html`<dl class="tiles">${of.map(([name, value, tone]) => html`<div class=${tone}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

let fields = 0;

export function Field({ label, hint, options, value, onInput, ...more }) {
  const [id] = useState(() => `field-${++fields}`);
  const given = { id, value: value ?? "", onInput: (event) => onInput(event.target.value), "aria-describedby": hint ? `${id}-hint` : undefined };
  return html`<div class="field"><label for=${id}>${label}</label>
    ${options ? html`<select ...${given} ...${more}>${options.map((option) => {
        const [key, text] = Array.isArray(option) ? option : [option, option];
        return html`<option value=${key} selected=${String(key) === String(value)}>${text}</option>`;
      })}</select>` : html`<input ...${given} ...${more} />`}
    ${hint && html`<small id=${`${id}-hint`}>${hint}</small>`}
  </div>`;
}

/** A dialog; Escape and the backdrop close it. */
export function Dialog({ title, onClose, children, tone }) {
  const box = useRef();
  useEffect(() => {
    box.current.showModal();
    (box.current.querySelector("[data-first]") ?? box.current.querySelector("input, select, textarea, button"))?.focus();
  }, []);
  const outside = (event) => event.target === box.current && onClose();
  return html`<dialog ref=${box} class=${tone} onClose=${onClose} onClick=${outside} aria-label=${title}>
    <div class="dialog"><h2>${title}</h2>${children}</div>
  </dialog>`;
}

/**
 * A dialog that fills in fields and does something with them.
 * @param ask [name, label, more] each, or a function of what is filled in that gives them; `more` are a Field's attributes, `start` its
 *     first value.
 * @param danger The button is red and Cancel has the focus.
 */
export function Ask({ title, ask = [], act, onClose, onDone, button, children, danger }) {
  const [given, set] = useState(() => Object.fromEntries((typeof ask === "function" ? ask({}) : ask).map(([name, , more]) => [name, more?.start ?? ""])));
  const [run, { busy, error }] = useAction(act);
  const submit = async (event) => {
    event.preventDefault();
    const names = new Set(shown.map(([name]) => name));
    const done = await run(Object.fromEntries(Object.entries(given).filter(([name, value]) => names.has(name) && value !== "")));
    if (done !== undefined) (onDone ?? onClose)(done);
  };
  const shown = typeof ask === "function" ? ask(given) : ask;
  return html`<${Dialog} title=${title} onClose=${onClose}><form onSubmit=${submit}>
    ${children}
    ${shown.map(([name, label, { start, ...more } = {}]) => html`<${Field} key=${name} label=${label} value=${given[name]} ...${more}
      onInput=${(value) => set((before) => ({ ...before, [name]: value }))} />`)}
    ${error && html`<${Notice} error=${error} />`}
    <p class="buttons"><button type="button" data-first=${danger && ""} onClick=${onClose}>${t("Cancel")}</button><button class=${danger ? "main red" : "main"} disabled=${busy}>${button}</button></p>
  </form><//>`;
}

/** A secret that is shown this once. */
export const Secret = ({ title, value, onClose }) => html`<${Dialog} title=${title} onClose=${onClose}>
  <p>${t("Copy it now: it is not shown again.")}</p><${Code}>${value}<//>
  <p class="buttons"><${Copy} text=${value} /><button class="main" onClick=${onClose}>${t("Done")}</button></p>
<//>`;

/** Asks before something is done: what it is, and what it affects. */
export const Confirm = ({ title, button, act, onClose, children }) => html`<${Ask} title=${title} button=${button ?? title} act=${async () => (await act()) ?? null}
  onClose=${onClose} danger>${children}<//>`;

/** Leads back to a list as it was left: its filter, its pages and its place. */
export const Back = ({ to, children }) => html`<a class="button" href=${to} onClick=${(event) => {
  if (history.state?.within !== true) return;
  event.preventDefault();
  history.back();
}}>${children}</a>`;
