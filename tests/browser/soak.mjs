// Many clients of many users, a fifth of them dropping at random. Reads {url, tokens, clients} as the first line of its input; at each
// further line ({user: count of events}) it waits until every client has them all, and says what it found.
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { TradehookClient } from "../../web/tradehook-client.js";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { url, tokens, clients } = JSON.parse((await lines.next()).value);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const users = Object.keys(tokens);
let sockets = 0;

class Fragile extends WebSocket {
  constructor(address) {
    super(address);
    sockets++;
    this.on("error", () => {});
  }
}

const all = [];
for (let number = 0; number < clients; number++) {
  const user = users[number % users.length];
  const one = { user, events: [], foreign: 0, resets: 0, socket: null };
  // Connected 25 at a time, and begun at 0, so that nothing is missed at the start. Patient, since they all connect to one machine.
  one.client = new TradehookClient({ url, token: tokens[user], after: 0, patience: 60_000, WebSocket: class extends Fragile { constructor(address) { super(address); one.socket = this; } } });
  one.client.on("*", (event) => {
    one.events.push(event.sequence);
    if (event.payload.owner !== user) one.foreign++;
  });
  one.client.on("reset", () => one.resets++);
  one.client.connect();
  all.push(one);
  if (number % 25 === 24) while (all.filter((each) => each.client.status !== "open").length > 5) await pause(50);
}
while (all.some((one) => one.client.status !== "open")) await pause(50);
console.log(JSON.stringify({ ready: all.length }));

let dropping = true;
(async () => {
  const fragile = all.filter((_, number) => number % 5 === 0);
  while (dropping) {
    await pause(60 + Math.random() * 120);
    fragile[Math.floor(Math.random() * fragile.length)].socket?.terminate();
  }
})();

const expected = JSON.parse((await lines.next()).value);
dropping = false;
const until = Date.now() + 120_000;
const lacking = () => all.filter((one) => one.events.length < (expected[one.user] ?? 0));
while (lacking().length && Date.now() < until) await pause(100);
await pause(1000); // a repeat would show now
const wrong = all.filter((one) => one.events.length !== (expected[one.user] ?? 0) || one.events.some((sequence, index) => sequence !== index + 1));
console.log(JSON.stringify({
  clients: all.length, events: all.reduce((sum, one) => sum + one.events.length, 0), reconnects: sockets - all.length,
  lacking: lacking().length, wrong: wrong.length, foreign: all.reduce((sum, one) => sum + one.foreign, 0), resets: all.reduce((sum, one) => sum + one.resets, 0),
}));
all.forEach((one) => one.client.close());
process.exit(0);
