// The snippets of the documents this system was made from, as printed, on a running stack (TRADEHOOK_* in the environment).
import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";

const { TRADEHOOK_WS_URL, TRADEHOOK_URL, TRADEHOOK_ADMIN_TOKEN, TRADEHOOK_USER_TOKEN, TRADEHOOK_DEMO_USER_UUID } = process.env;

/** Runs the admin panel's client as its document prints it: only address, token and what is called on `user.created` are given. */
function printed(address, updateDashboard) {
  const log = [];
  const console = { log: (...words) => log.push(words), error: (...words) => log.push(words) };
  const ws = new WebSocket(address);

  ws.onopen = () => {
    console.log('Connected');
  };

  ws.onmessage = (event) => {
    const data = JSON.parse(event.data);
    console.log('Event:', data.type, data.payload);
    
    if (data.type === 'user.created') {
      // Обработка нового пользователя
      updateDashboard(data.payload);
    }
  };

  ws.onerror = (error) => {
    console.error('WebSocket error:', error);
  };

  ws.onclose = () => {
    console.log('Disconnected');
  };

  return { ws, log };
}

const until = async (condition) => {
  const end = Date.now() + 15_000;
  while (!condition()) {
    assert.ok(Date.now() < end, String(condition));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

for (const parameter of ["token", "api_key"]) {
  test(`the admin panel's client hears a new user, with ?${parameter}=`, async () => {
    const users = [];
    const { ws, log } = printed(`${TRADEHOOK_WS_URL}?${parameter}=${TRADEHOOK_ADMIN_TOKEN}`, (payload) => users.push(payload));
    await until(() => log.some(([, type]) => type === "connection"));
    const username = `seed${Date.now()}`;
    const made = await fetch(`${TRADEHOOK_URL}/users`, {
      method: "POST", headers: { Authorization: `Bearer ${TRADEHOOK_ADMIN_TOKEN}` }, body: JSON.stringify({ username }),
    });
    assert.equal(made.status, 201);
    await until(() => users.some((user) => user.username === username));
    const fields = ["user_id", "telegram_id", "username", "first_name", "last_name", "referral_code", "referred_by_id"];
    assert.deepEqual(fields.filter((field) => !(field in users.at(-1))), []);
    ws.send(JSON.stringify({ type: "ping" }));
    await until(() => log.some(([, type]) => type === "pong"));
    ws.close();
  });
}

test("a trading dashboard registers and unregisters, and logs in and out", async () => {
  const heard = [];
  const ws = new WebSocket(`${TRADEHOOK_WS_URL}?token=${TRADEHOOK_USER_TOKEN}`);
  ws.onmessage = (event) => heard.push(JSON.parse(event.data));
  await until(() => heard.length);
  assert.deepEqual(heard.shift(), { type: "connection", status: "connected", message: "WebSocket connection established" });
  for (const [enter, leave] of [["register", "unregister"], ["login", "logout"]]) {
    ws.send(JSON.stringify({ type: enter, user_uuid: TRADEHOOK_DEMO_USER_UUID }));
    await until(() => heard.length);
    assert.deepEqual(heard.shift(), { type: "registered", user_uuid: TRADEHOOK_DEMO_USER_UUID });
    ws.send(JSON.stringify({ type: leave }));
    await until(() => heard.length);
    assert.deepEqual(heard.shift(), { type: "unregistered" });
  }
  ws.send(JSON.stringify({ type: "register", user_uuid: "somebody-else" }));
  await until(() => heard.length);
  assert.equal(heard.shift().code, "not_your_uuid");
  ws.close();
});

test("without a good token nobody is let in", async () => {
  for (const query of ["", "?token=", "?token=api_1_nonsense", "?ticket=wst_nonsense"]) {
    const ws = new WebSocket(TRADEHOOK_WS_URL + query);
    const error = await new Promise((resolve) => (ws.onerror = resolve));
    assert.match(error.message, /403/);
  }
});

test("a ticket lets one connection in, once", async () => {
  const made = await fetch(`${TRADEHOOK_URL}/realtime/tickets`, { method: "POST", headers: { Authorization: `Bearer ${TRADEHOOK_USER_TOKEN}` } });
  const { url } = await made.json();
  const first = new WebSocket(url);
  await new Promise((resolve) => (first.onmessage = resolve));
  const second = new WebSocket(url);
  assert.match((await new Promise((resolve) => (second.onerror = resolve))).message, /403/);
  first.close();
});
