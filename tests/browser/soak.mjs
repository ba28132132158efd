// Many clients, a fifth of them dropping at random. Reads {url, clients: [{stream, token, after}]} as the first line of its input; at the
// next ({stream: its last sequence}) it waits until every client has everything, and says what it found.
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { TradehookClient } from "../../web/tradehook-client.js";

const AT_ONCE = 25; // connections being opened
const STAYS_S = 15; // a fragile client's connection, on average

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { url, clients } = JSON.parse((await lines.next()).value);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const began = Date.now();
let sockets = 0;

const all = clients.map(({ stream, token, after }) => {
  const one = { stream, after, events: [], lateness: [], foreign: 0, resets: 0, socket: null };
  class Fragile extends WebSocket {
    constructor(address) {
      super(address);
      sockets++;
      one.socket = this;
      this.on("error", () => {});
    }
  }
  one.client = new TradehookClient({ url, token, after, patience: 60_000, WebSocket: Fragile }); // patient: they all connect to one machine
  one.client.on("*", (event) => {
    one.events.push(event.sequence);
    one.lateness.push(Date.now() - event.payload.at);
    if (stream !== "admin" && event.payload.owner !== stream) one.foreign++;
  });
  one.client.on("reset", () => one.resets++);
  return one;
});

const closed = () => all.filter((one) => one.client.status !== "open");
for (const [number, one] of all.entries()) {
  one.client.connect();
  if (number % AT_ONCE === AT_ONCE - 1) while (closed().length > all.length - number) await pause(20);
}
while (closed().length) await pause(20);
console.log(JSON.stringify({ ready: all.length, seconds: (Date.now() - began) / 1000 }));

let dropping = true;
const fragile = all.filter((_, number) => number % 5 === 0);
(async () => {
  while (dropping) {
    await pause((2000 * Math.random() * STAYS_S) / fragile.length);
    fragile[Math.floor(Math.random() * fragile.length)].socket?.terminate();
  }
})();

const last = JSON.parse((await lines.next()).value);
dropping = false;
const told = Date.now();
const lacking = () => all.filter((one) => one.after + one.events.length < last[one.stream]);
while (lacking().length && Date.now() < told + 120_000) await pause(50);
const caughtUp = (Date.now() - told) / 1000;
await pause(1000); // a repeat would show now

const sum = (number) => all.reduce((total, one) => total + number(one), 0);
const late = all.flatMap((one) => one.lateness).sort((a, b) => a - b);
console.log(JSON.stringify({
  clients: all.length, deliveries: sum((one) => one.events.length), reconnects: sockets - all.length, caught_up_s: caughtUp,
  late_ms_p50: late[Math.floor(late.length / 2)], late_ms_p99: late[Math.floor(late.length * 0.99)], late_ms_most: late.at(-1),
  lacking: lacking().length,
  wrong: sum((one) => one.after + one.events.length !== last[one.stream] || one.events.some((sequence, index) => sequence !== one.after + index + 1)),
  foreign: sum((one) => one.foreign), resets: sum((one) => one.resets),
}));
all.forEach((one) => one.client.close());
process.exit(0);
