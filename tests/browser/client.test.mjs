// The JavaScript client against a server that loses, repeats and drops.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import WebSocket from "ws";
import { TradehookClient } from "../../web/tradehook-client.js";
import { RealtimeServer } from "./realtime_server.mjs";

let server;
let clients;

beforeEach(async () => {
  server = await RealtimeServer.start();
  clients = [];
});

afterEach(async () => {
  clients.forEach((client) => client.close());
  await server.stop();
});

/** A connected client with short waits, and what it was told. */
async function connected(options = {}) {
  const quick = { pingEvery: 60, patience: 400, grace: 20, backoffFirst: 10, backoffMost: 50 };
  const client = new TradehookClient({ url: server.url, token: "t", WebSocket, ...quick, ...options });
  clients.push(client);
  client.events = [];
  client.resets = [];
  client.on("*", (event) => client.events.push(event.sequence));
  client.on("reset", (reset) => client.resets.push(reset));
  client.connect();
  await until(() => client.status === "open" && client.sequence !== undefined);
  return client;
}

async function until(condition, ms = 3000) {
  const end = Date.now() + ms;
  while (!condition()) {
    assert.ok(Date.now() < end, `not within ${ms} ms: ${condition}`);
    await pause(5);
  }
}

const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

test("delivers events by type, family and all", async () => {
  const client = await connected();
  const heard = [];
  client.on("order.filled", () => heard.push("type"));
  const off = client.on("order.*", () => heard.push("family"));
  server.happen("order.filled");
  server.happen("signal.settled");
  await until(() => client.sequence === 2);
  off();
  server.happen("order.filled");
  await until(() => client.sequence === 3);
  assert.deepEqual(heard, ["type", "family", "type"]);
});

test("a new client begins where the stream stands", async () => {
  server.happen();
  server.happen();
  const client = await connected();
  server.happen();
  await until(() => client.sequence === 3);
  assert.deepEqual(client.events, [3]);
});

test("what happens while a new client connects is delivered", async () => {
  upTo(2).forEach(() => server.happen());
  const client = new TradehookClient({ url: server.url, token: "t", WebSocket });
  clients.push(client);
  const events = [];
  client.on("*", (event) => events.push(event.sequence));
  server.silent = true; // no replay of its own: this test sends one
  client.connect();
  await until(() => server.sockets.size === 1);
  server.happen();
  server.all({ type: "resumed", recovered: true, last: 3 });
  server.happen();
  await until(() => client.sequence === 4);
  assert.deepEqual(events, [3, 4]);
});

test("a connection that is never ready is left", async () => {
  server.silent = true;
  const client = new TradehookClient({ url: server.url, token: "t", WebSocket, patience: 40, backoffFirst: 10 });
  clients.push(client);
  client.connect();
  await until(() => server.tickets.length > 1);
  assert.notEqual(client.status, "open");
});

test("a client given a sequence goes on from there", async () => {
  upTo(4).forEach(() => server.happen());
  const client = await connected({ after: 1 });
  await until(() => client.sequence === 4);
  assert.deepEqual(client.events, [2, 3, 4]);
});

test("events that come twice are delivered once", async () => {
  const client = await connected();
  server.repeating = true;
  upTo(5).forEach(() => server.happen());
  await until(() => client.sequence === 5);
  assert.deepEqual(client.events, upTo(5));
});

test("a lost event is fetched before the next is delivered", async () => {
  const client = await connected({ pingEvery: 60_000 });
  server.losing = (event) => event.sequence === 2;
  upTo(3).forEach(() => server.happen());
  await until(() => client.sequence === 3);
  assert.deepEqual(client.events, upTo(3));
});

test("a lost last event is found by the ping", async () => {
  const client = await connected();
  server.losing = () => true;
  server.happen();
  await until(() => client.sequence === 1);
  assert.deepEqual(client.events, [1]);
});

test("after a lost connection it resumes what it missed", async () => {
  const client = await connected();
  server.happen();
  await until(() => client.sequence === 1);
  server.dropEverybody();
  await until(() => server.sockets.size === 0);
  upTo(4, 2).forEach(() => server.happen());
  await until(() => client.sequence === 4);
  assert.deepEqual(client.events, upTo(4));
});

test("every event once and in order, whatever is lost, repeated and dropped", async () => {
  const client = await connected();
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  server.losing = () => random() < 0.2;
  for (let number = 0; number < 300; number++) {
    server.repeating = random() < 0.2;
    server.happen();
    if (random() < 0.03) server.dropEverybody();
    if (random() < 0.3) await pause(3);
  }
  await until(() => client.sequence === 300, 10_000);
  assert.deepEqual(client.events, upTo(300));
  assert.deepEqual(client.resets, []);
});

test("what cannot be recovered is a reset, and the stream goes on after it", async () => {
  const client = await connected();
  server.mostReplayed = 2;
  server.losing = () => true;
  upTo(5).forEach(() => server.happen());
  await until(() => client.resets.length);
  assert.deepEqual(client.resets, [{ type: "reset", after: 0, last: 5 }]);
  server.losing = () => false;
  server.happen();
  await until(() => client.sequence === 6);
  assert.deepEqual(client.events, [6]);
});

test("a stream that began anew is a reset", async () => {
  upTo(5).forEach(() => server.happen());
  const client = await connected();
  server.log = [];
  await until(() => client.resets.length);
  assert.equal(client.sequence, 0);
});

test("a hint to reconnect is followed without a gap", async () => {
  const client = await connected();
  server.all({ type: "reconnect" });
  upTo(3).forEach(() => server.happen());
  await until(() => client.sequence === 3 && server.tickets.length === 2);
  assert.deepEqual(client.events, upTo(3));
});

test("a server that falls silent is left", async () => {
  await connected();
  server.silent = true;
  await until(() => server.tickets.length > 1);
});

test("pings go on", async () => {
  await connected({ pingEvery: 20 });
  await until(() => server.said.filter((message) => message.type === "ping").length > 4);
});

test("each connection takes a ticket of its own, and a refused ticket is asked for again", async () => {
  let number = 0;
  const ticket = async () => {
    if (++number === 1) throw new Error("401");
    return { url: `${server.url}?ticket=wst_${number}` };
  };
  await connected({ token: undefined, ticket });
  server.dropEverybody();
  await until(() => server.tickets.length === 2);
  assert.deepEqual(server.tickets.map((query) => query.get("ticket")), ["wst_2", "wst_3"]);
});

test("filtered clients get their types, and after a lost connection what they missed of them", async () => {
  const client = await connected({ types: ["order.*"] });
  server.happen("signal.settled");
  server.happen("order.filled");
  await until(() => client.sequence === 2);
  server.dropEverybody();
  await until(() => server.sockets.size === 0);
  server.happen("order.filled");
  server.happen("signal.settled");
  await until(() => client.sequence === 4);
  assert.deepEqual(client.events, [2, 3]);
});

test("prices have no sequence and disturb none", async () => {
  const client = await connected({ prices: true });
  const prices = [];
  client.on("market.price", (event) => prices.push(event.payload.price));
  server.all({ type: "market.price", payload: { symbol: "BTC/USDT", price: "1" }, timestamp: "" });
  server.happen();
  await until(() => client.sequence === 1 && prices.length === 1);
  assert.equal(server.tickets[0].get("types"), "*,market.price");
});

test("a handler that throws stops nothing", async (context) => {
  context.mock.method(console, "error", () => {});
  const client = await connected();
  client.on("order.filled", () => {
    throw new Error("mine");
  });
  upTo(2).forEach(() => server.happen());
  await until(() => client.sequence === 2);
  assert.deepEqual(client.events, upTo(2));
});

test("closed is closed", async () => {
  const client = await connected();
  client.close();
  await pause(100);
  assert.equal(client.status, "closed");
  assert.equal(server.sockets.size, 0);
});
