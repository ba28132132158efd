// Outbound webhooks: endpoints, how they fare, and their deliveries.
import { api } from "../api.js";
import { t, word } from "../i18n.js";
import { html, useAction, useData, useList, useParam, useState } from "../lib.js";
import { Ask, Back, Badge, Card, Code, Confirm, Dialog, Empty, Facts, Ltr, Notice, Num, Page, Secret, Table, Tiles, Time } from "../ui.js";

const at = (id, rest = "") => `/webhooks/${encodeURIComponent(id)}${rest}`;

export const Webhooks = ({ id, ...more }) => (id ? html`<${Endpoint} id=${id} ...${more} />` : html`<${Endpoints} ...${more} />`);

const figures = (stats) => [
  [t("Delivered"), html`<${Num} value=${stats.successful_deliveries} />`],
  [t("Waiting"), html`<${Num} value=${stats.pending_deliveries} />`],
  [t("Failed"), html`<${Num} value=${stats.failed_deliveries} />`, stats.failed_deliveries > 0 ? "loss" : ""],
  [t("Success rate"), html`<${Num} value=${stats.success_rate} unit="%" />`],
];

function Endpoints({ title, user, admin }) {
  const found = useList("/webhooks?limit=100", { again: "webhook.*" });
  // An admin's list holds everybody's: the chosen user's, and for the admins' own stream those of no user.
  const list = { ...found, items: found.items?.filter((item) => !admin || String(item.user_id) === String(user)) };
  const { data: stats } = useData("/webhooks/stats");
  const [asking, ask] = useState(false);
  const [secret, setSecret] = useState(null);
  return html`<${Page} title=${title} lead=${t("Where events are sent, signed, and sent again until they arrive.")}
    actions=${html`<button class="main" onClick=${() => ask(true)}>${t("Add an endpoint")}</button>`}>
    ${stats && html`<${Tiles} of=${[[t("Active endpoints"), html`<${Num} value=${stats.active_webhooks} />`], ...figures(stats)]} />`}
    <${Card}><${Table} label=${title} list=${list} href=${(item) => `#/webhooks/${item.id}`} columns=${[
      [t("Name"), (item) => html`<bdi dir="auto">${item.name}</bdi>`],
      [t("Address"), (item) => html`<${Ltr} mono>${item.url}<//>`],
      [t("Events"), (item) => html`<${Ltr} mono>${(item.event_types ?? [item.event_type]).join(", ")}<//>`, "minor"],
      [t("Delivered"), (item) => html`<${Num} value=${item.success_count} />`, "num minor"],
      [t("Failed"), (item) => html`<${Num} value=${item.failure_count} />`, "num"],
      [t("Last sent"), (item) => html`<${Time} value=${item.last_triggered_at} />`, "minor"],
      [t("Health"), (item) => html`<${Badge} value=${health(item)} />`],
    ]} empty=${html`<${Empty} icon="webhooks" title=${t("No endpoints")}>${t("Add an address, and every event of the types you choose is posted to it.")}<//>`} /><//>
    ${asking && html`<${Ask} title=${t("Add an endpoint")} button=${t("Add")} onClose=${() => ask(false)} ask=${[
        ["name", t("Name"), { required: true }], ["url", t("Address"), { required: true, type: "url", dir: "ltr", placeholder: "https://" }],
        ["event_type", t("Events"), { required: true, start: "order.*", dir: "ltr", hint: t("A type such as order.filled, or a family such as order.*") }],
        ["description", t("Description")]]}
      act=${(given) => api("POST", "/webhooks", given)} onDone=${(made) => { ask(false); list.reload(); setSecret(made.secret); }} />`}
    ${secret && html`<${Secret} title=${t("The endpoint's signing secret")} value=${secret} onClose=${() => setSecret(null)} />`}
  <//>`;
}

const health = (item) => (item.failing_since ? "failing" : item.status ?? (item.is_active ? "active" : "disabled"));

function Endpoint({ id }) {
  const { data: item, error, reload } = useData(at(id), { again: "webhook.*" });
  const { data: stats } = useData(at(id, "/stats"));
  const [status, filter] = useParam("status");
  const list = useList(at(id, `/deliveries?limit=50${status && `&status=${status}`}`), { again: "*", pause: 1500 });
  const [notice, tell] = useState(null);
  const [asking, ask] = useState(null);
  const refresh = () => { reload(); list.reload(); };
  const [run, { busy, error: fault }] = useAction(async (words, method, path, body) => {
    const done = await api(method, path, body);
    tell(words(done));
    refresh();
    return done;
  });
  const [opened, open] = useState(null);
  const [secret, setSecret] = useState(null);
  const back = html`<${Back} to="#/webhooks">${t("Back to the endpoints")}<//>`;
  if (error) return html`<${Page} title=${t("Endpoint")} actions=${back}><${Notice} error=${error} retry=${reload} /><//>`;
  if (!item) return html`<${Page} title=${t("Endpoint")} actions=${back}><div class="loading" role="status">${t("Loading …")}</div><//>`;
  const replay = (delivery) => run(() => t("Delivery {id} is on its way again.", { id: delivery.id }), "POST", at(id, `/deliveries/${delivery.id}/replay`));
  const [test, tested] = useAction(async () => {
    const started = performance.now();
    const done = await api("POST", at(id, "/test"), {});
    refresh();
    return { ...done, ms: Math.round(performance.now() - started) };
  });
  const flip = () => (item.is_active ? ask("pause") : switchOver());
  const switchOver = () => run(() => (item.is_active ? t("Deliveries are paused from now on.") : t("What was paused goes out.")), "POST", at(id, item.is_active ? "/pause" : "/resume"), {});
  const rotate = async () => { const done = await run(() => null, "POST", at(id, "/rotate-secret"), {}); if (done) setSecret(done.secret); return done; };
  return html`<${Page} title=${item.name} lead=${html`<${Ltr} mono>${item.url}<//>`} actions=${back}>
    ${fault && html`<${Notice} error=${fault} />`}${notice && html`<p class="note" role="status">${notice}</p>`}
    ${tested.error && html`<${Notice} error=${tested.error} />`}${tested.done && html`<${TestResult} result=${tested.done} />`}
    <${Tiles} of=${[[t("Health"), html`<${Badge} value=${health(item)} />`], ...(stats ? figures(stats) : []),
      ...(stats?.recent?.p95_ms != null ? [[t("p95"), html`<${Num} value=${stats.recent.p95_ms} unit="ms" />`]] : [])]} />
    <div class="buttons start">
      <button onClick=${() => test()} disabled=${busy || tested.busy}>${t("Send a test event")}</button>
      <button onClick=${flip} disabled=${busy}>${item.is_active ? t("Pause") : t("Resume")}</button>
      <button onClick=${() => ask("replay")} disabled=${busy}>${t("Replay all that failed")}</button>
      <button onClick=${() => ask("rotate")} disabled=${busy}>${t("New secret")}</button>
    </div>
    <${Card} title=${t("Deliveries")} actions=${html`<label class="pick"><select aria-label=${t("Status")} onInput=${(event) => filter(event.target.value)}>
        ${["", "success", "pending", "failed"].map((each) => html`<option value=${each} selected=${each === status}>${each ? word(each) : t("All")}</option>`)}</select></label>`}>
      <${Table} label=${t("Deliveries")} list=${list} columns=${[
        [t("Time"), (each) => html`<button class="as-link" onClick=${() => open(each)}><${Time} value=${each.created_at} /></button>`],
        [t("Event"), (each) => html`<${Ltr} mono>${each.event_type}<//>`],
        [t("Attempts"), (each) => html`<${Num} value=${each.attempt_number} />`, "num"],
        [t("Answer"), (each) => html`<${Num} value=${each.response_status} />`, "num"],
        [t("Took"), (each) => html`<${Num} value=${each.duration_ms} unit="ms" />`, "num"],
        [t("Status"), (each) => html`<${Badge} value=${each.status} />${each.next_retry_at ? html` <small>${t("again at")} <${Time} value=${each.next_retry_at} /></small>` : ""}`],
        ["", (each) => html`<button onClick=${() => replay(each)} disabled=${busy}>${t("Replay")}</button>`],
      ]} empty=${html`<${Empty} icon="webhooks" title=${t("No deliveries")}>${t("Nothing of the chosen kind has been sent yet.")}<//>`} />
    <//>
    ${asking === "pause" && html`<${Confirm} title=${t("Pause {name}?", { name: item.name })} button=${t("Pause")} onClose=${() => ask(null)} act=${switchOver}>
      <p>${t("Events for this endpoint wait until it is resumed.")}</p><//>`}
    ${asking === "replay" && html`<${Confirm} title=${t("Replay all that failed?")} button=${t("Replay")} onClose=${() => ask(null)}
      act=${() => run((done) => t("Deliveries on their way again: {count}", { count: done.replayed }), "POST", at(id, "/replay"), { status: "failed" })}>
      <p>${t("{name} gets {count} failed deliveries again.", { name: item.name, count: item.failure_count ?? "–" })}</p><//>`}
    ${asking === "rotate" && html`<${Confirm} title=${t("A new secret for {name}?", { name: item.name })} button=${t("New secret")} onClose=${() => ask(null)} act=${rotate}>
      <p>${t("Deliveries are signed with the new secret. The receiver must know it.")}</p><//>`}
    ${opened && html`<${Delivery} webhook=${id} delivery=${opened} onClose=${() => open(null)} />`}
    ${secret && html`<${Secret} title=${t("The endpoint's signing secret")} value=${secret} onClose=${() => setSecret(null)} />`}
  <//>`;
}

/** How an endpoint answered the test event. */
const TestResult = ({ result }) => (result.status === "success"
  ? html`<div class="note" role="status"><p>${t("The endpoint took the test event.")} <${Badge} value=${String(result.response?.status ?? "")} tone="good" /> <${Num} value=${result.ms} unit="ms" /></p></div>`
  : html`<div class="notice" role="alert"><p>${t("Test event failed")} <${Badge} value=${String(result.response?.status ?? result.response?.error ?? "–")} tone="bad" /> <${Num} value=${result.ms} unit="ms" /></p>
      <${Code}>${result.response ?? result}<//></div>`);

function Delivery({ webhook, delivery, onClose }) {
  const { data } = useData(at(webhook, `/deliveries/${encodeURIComponent(delivery.id)}`));
  const shown = data ?? delivery;
  return html`<${Dialog} title=${shown.event_type} onClose=${onClose}>
    <${Facts} of=${{ [t("Status")]: html`<${Badge} value=${shown.status} />`, [t("Event")]: html`<${Ltr} mono>${shown.event_id}<//>`, [t("Delivered")]: shown.delivered_at && html`<${Time} value=${shown.delivered_at} />`, [t("Reason")]: shown.error_message }} />
    ${shown.attempts?.length > 0 && html`<h3>${t("Attempts")}</h3><ol class="attempts">${shown.attempts.map((each) => html`<li>
      <p><${Badge} value=${each.response_status ?? each.error} tone=${each.error ? "bad" : "good"} /> <${Time} value=${each.at} /> <${Num} value=${each.duration_ms} unit="ms" /></p>
      <details><summary>${t("Request and answer")}</summary><${Code}>${each}<//></details></li>`)}</ol>`}
    <h3>${t("Payload")}</h3><${Code}>${shown.payload}<//>
    <p class="buttons"><button class="main" onClick=${onClose}>${t("Close")}</button></p>
  <//>`;
}
