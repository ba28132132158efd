// Tickets: what users ask, and what they are answered.
import { api } from "../api.js";
import { t, word } from "../i18n.js";
import { html, useAction, useData, useList, useState } from "../lib.js";
import { Ask, Back, Badge, Card, Empty, Ltr, Notice, Page, Table, Time } from "../ui.js";

export const Tickets = ({ id, ...more }) => (id ? html`<${One} id=${id} ...${more} />` : html`<${All} ...${more} />`);

function All({ user, title }) {
  const list = useList(`/tickets?user_id=${user}&limit=50`, { again: "ticket.*" });
  const [asking, ask] = useState(false);
  const items = list.items?.map((ticket) => ({ ...ticket, key: ticket.ticket_id }));
  return html`<${Page} title=${title} actions=${html`<button class="main" onClick=${() => ask(true)}>${t("Open a ticket")}</button>`}>
    <${Card}><${Table} label=${title} list=${{ ...list, items }} href=${(ticket) => `#/tickets/${ticket.ticket_id}`} columns=${[
      [t("Title"), (ticket) => html`<bdi dir="auto">${ticket.title}</bdi>`],
      [t("Number"), (ticket) => html`<${Ltr}>#${ticket.ticket_id}<//>`],
      [t("User"), (ticket) => html`<${Ltr}>${ticket.user_id}<//>`],
      [t("Last change"), (ticket) => html`<${Time} value=${ticket.updated_at} />`],
      [t("Status"), (ticket) => html`<${Badge} value=${ticket.status} tone=${{ open: "warn", pending: "plain", closed: "good" }[ticket.status]} />`],
    ]} empty=${html`<${Empty} icon="tickets" title=${t("No tickets")}>${t("Nobody has asked anything.")}<//>`} /><//>
    ${asking && html`<${Ask} title=${t("Open a ticket")} button=${t("Send")} onClose=${() => ask(false)}
      ask=${[["title", t("Title"), { required: true, maxlength: 200 }], ["message", t("Message"), { required: true, maxlength: 4000 }]]}
      act=${(given) => api("POST", "/tickets", given)} onDone=${(made) => { ask(false); location.hash = `#/tickets/${made.ticket_id}`; }} />`}
  <//>`;
}

function One({ id, admin }) {
  const { data: ticket, error, reload } = useData(`/tickets/${id}`, { again: "ticket.*" });
  const messages = useList(`/tickets/${id}/messages?limit=100`, { again: "ticket.*" });
  const [text, write] = useState("");
  const [run, { busy, error: fault }] = useAction(async (method, path, body) => {
    await api(method, `/tickets/${id}${path}`, body);
    write("");
    reload();
    messages.reload();
  });
  const back = html`<${Back} to="#/tickets">${t("Back to the tickets")}<//>`;
  if (!ticket) return html`<${Page} title=${t("Ticket")} actions=${back}>${error ? html`<${Notice} error=${error} retry=${reload} />` : html`<div class="loading" role="status">${t("Loading …")}</div>`}<//>`;
  const submit = (event) => {
    event.preventDefault();
    run("POST", "/messages", { message: text });
  };
  return html`<${Page} title=${ticket.title} lead=${html`<${Ltr}>#${ticket.ticket_id}<//>`} actions=${html`
      ${admin && html`<label class="pick"><span>${t("Status")}</span><select onInput=${(event) => run("PATCH", "", { status: event.target.value })}>
        ${["open", "pending", "closed"].map((each) => html`<option value=${each} selected=${each === ticket.status}>${word(each)}</option>`)}</select></label>`}${back}`}>
    ${fault && html`<${Notice} error=${fault} />`}
    <${Card}>
      ${messages.error && html`<${Notice} error=${messages.error} />`}
      <ol class="talk">${messages.items?.map((message) => html`<li class=${message.is_from_admin ? "admin" : ""}>
        <p dir="auto">${message.message}</p><small>${message.is_from_admin ? t("Support") : t("User")} · <${Time} value=${message.created_at} /></small></li>`)}</ol>
      <form class="reply" onSubmit=${submit}><label for="reply">${t("Answer")}</label>
        <textarea id="reply" rows="3" maxlength="4000" required dir="auto" value=${text} onInput=${(event) => write(event.target.value)}></textarea>
        <p class="buttons"><button class="main" disabled=${busy || !text.trim()}>${t("Send")}</button></p></form>
    <//>
  <//>`;
}
