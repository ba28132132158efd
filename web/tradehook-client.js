/**
 * Tradehook's realtime events in a browser or in Node: each event of the stream exactly once and in order, across lost messages
 * and lost connections. No dependencies. What it relies on is described in docs/realtime.md.
 *
 *     import { TradehookClient } from "./tradehook-client.js";
 *     const client = new TradehookClient({ url: "wss://example.com/ws", token: "api_..." });
 *     client.on("order.*", (event) => console.log(event.sequence, event.type, event.payload));
 *     client.connect();
 *
 * @typedef {{type: string, payload: object, timestamp: string, sequence?: number}} TradehookEvent
 */

const DEFAULTS = {
  pingEvery: 30_000, // ms between pings; API Gateway closes a connection after ten silent minutes
  patience: 10_000, // ms to wait for an answer, or for a new connection to be ready, before it counts as dead
  grace: 2_000, // ms that an event may be on its way before it counts as lost
  backoffFirst: 500, // ms before the first try to reconnect, doubled each time
  backoffMost: 30_000,
  batch: true, // take several events in one message
};

export class TradehookClient {
  #options;
  #handlers = new Map(); // pattern -> Set of functions
  #socket = null;
  #status = "closed";
  #seen; // the sequence of the last event delivered; undefined until the stream's place is known
  #held = new Map(); // events that came too early, by sequence
  #resuming = false;
  #failures = 0;
  #fruitless = 0;
  #timers = {};

  /**
   * @param {object} options
   * @param {string} [options.url] The WebSocket's address, with
   * @param {string} [options.token] an API token. It stands in the URL; in a browser prefer a ticket:
   * @param {() => Promise<{url: string}>} [options.ticket] Gets the answer of POST /realtime/tickets, again for each connection.
   * @param {string[]} [options.types] Only these types, such as ["order.*", "market.price"]. Events of other types are not sent then,
   *     so a lost event shows only at the next ping, and what was lost between two that came stays lost. Without it nothing is lost.
   * @param {boolean} [options.prices] Prices too, with everything else.
   * @param {number} [options.after] The sequence of the last event seen by an earlier client, to go on from there.
   */
  constructor(options) {
    this.#options = { ...DEFAULTS, WebSocket: globalThis.WebSocket, ...options };
    this.#seen = options.after;
    globalThis.addEventListener?.("online", () => this.#status === "waiting" && this.#open());
  }

  /** The last sequence delivered: keep it, and give it as `after`, to go on after a reload. */
  get sequence() {
    return this.#seen;
  }

  /** "connecting", "open", "waiting" (to reconnect) or "closed". */
  get status() {
    return this.#status;
  }

  /**
   * Calls a function with every event of a type: "order.filled", "order.*" or "*". Three names are not event types:
   * "status" (the client's status changed), "reset" (events were missed that nobody has any more: read your state again),
   * and "error" (the server did not understand a message).
   * @returns {() => void} Ends it.
   */
  on(pattern, handler) {
    if (!this.#handlers.has(pattern)) this.#handlers.set(pattern, new Set());
    this.#handlers.get(pattern).add(handler);
    return () => this.#handlers.get(pattern).delete(handler);
  }

  /** Connects, and stays connected until `close`. */
  connect() {
    if (this.#status === "closed") this.#open();
  }

  /** Ends the connection for good. */
  close() {
    this.#drop();
    this.#become("closed");
  }

  /** Sends a message, such as {type: "register", user_uuid}; false while not connected. */
  send(message) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  async #open() {
    this.#drop();
    this.#become("connecting");
    const { url, token, ticket, types, prices, batch, patience, WebSocket } = this.#options;
    const attempt = (this.#socket = {}); // stands for this try until there is a socket
    let address;
    try {
      address = new URL(ticket ? (await ticket()).url : url);
    } catch (error) {
      if (this.#socket === attempt) this.#retry(error);
      return;
    }
    if (this.#socket !== attempt) return; // closed, or opened again while the ticket was on its way
    const wanted = types ?? (prices ? ["*", "market.price"] : undefined);
    const query = { ...(!ticket && { token }), after: this.#seen ?? "last", batch: String(batch), ...(wanted && { types: wanted.join(",") }) };
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
    const socket = (this.#socket = new WebSocket(address.href));
    const mine = (handle) => (event) => socket === this.#socket && handle(event);
    socket.onmessage = mine((event) => this.#hear(JSON.parse(event.data)));
    socket.onerror = () => {}; // a close always follows
    socket.onclose = mine(() => this.#retry());
    this.#timers.ready = setTimeout(() => this.#retry(), patience);
  }

  /** Forgets the socket, and closes it. */
  #drop() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
    this.#resuming = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close?.();
  }

  #retry(error) {
    this.#drop();
    const { backoffFirst, backoffMost } = this.#options;
    const pause = Math.min(backoffMost, backoffFirst * 2 ** this.#failures++);
    this.#become("waiting", error);
    this.#timers.retry = setTimeout(() => this.#open(), pause * (0.5 + Math.random() / 2)); // jitter: not everybody at once
  }

  /** The server has sent everything since `after`; what follows comes by itself. */
  #ready() {
    clearTimeout(this.#timers.ready);
    this.#become("open");
    this.#timers.ping ??= setTimeout(() => this.#ping(), this.#options.pingEvery);
  }

  #ping() {
    this.send({ type: "ping", after: this.#seen ?? 0 });
    this.#expectAnswer();
    this.#timers.ping = setTimeout(() => this.#ping(), this.#options.pingEvery);
  }

  #expectAnswer() {
    this.#timers.answer ??= setTimeout(() => this.#retry(), this.#options.patience);
  }

  #hear(message) {
    clearTimeout(this.#timers.answer);
    delete this.#timers.answer;
    if (typeof message.sequence === "number") return this.#take(message);
    switch (message.type) {
      case "events":
        return message.events.forEach((event) => this.#take(event));
      case "pong":
        return "last" in message && this.#compare(message.last);
      case "resumed":
        return this.#resumed(message);
      case "reconnect": // this connection's time is running out: a new one, and nothing is missed
        return this.#open();
      default:
        return this.#tell(message.type, message); // prices, errors, registered
    }
  }

  /** The rule by which each event is delivered once and in order: the next one is, older ones were, later ones wait. */
  #take(event) {
    if (event.sequence <= this.#seen) return;
    this.#held.set(event.sequence, event);
    if (this.#seen === undefined || (this.#filtered && this.#resuming)) return;
    this.#release();
  }

  #release() {
    if (this.#filtered) {
      for (const sequence of [...this.#held.keys()].sort((a, b) => a - b)) this.#deliver(sequence);
    } else {
      while (this.#held.has(this.#seen + 1)) this.#deliver(this.#seen + 1);
      if (this.#held.size) this.#resume(); // a gap: what is in it was lost
    }
  }

  #deliver(sequence) {
    const event = this.#held.get(sequence);
    this.#held.delete(sequence);
    if (sequence <= this.#seen) return;
    this.#seen = sequence;
    this.#tell(event.type, event);
  }

  get #filtered() {
    return this.#options.types !== undefined;
  }

  #resume() {
    if (this.#resuming || this.#status !== "open") return;
    this.#resuming = this.send({ type: "resume", after: this.#seen });
    if (this.#resuming) this.#expectAnswer();
  }

  #resumed({ recovered, last }) {
    const before = this.#seen;
    this.#resuming = false;
    this.#failures = 0;
    this.#ready();
    if (before === undefined) { // a new client begins where the stream stood when it connected
      this.#seen = Math.min(last, ...[...this.#held.keys()].map((sequence) => sequence - 1));
      this.#release();
    } else if (!recovered) {
      this.#seen = last;
      this.#tell("reset", { type: "reset", after: before, last });
    }
    for (const sequence of this.#held.keys()) if (sequence <= this.#seen) this.#held.delete(sequence);
    if (this.#filtered) {
      this.#release();
      this.#seen = Math.max(this.#seen, last);
      return;
    }
    // Part of the replay may have been lost in its turn: ask again, but do not ask for ever.
    this.#fruitless = this.#seen < last && this.#seen === before ? this.#fruitless + 1 : 0;
    if (this.#fruitless > 3) this.#retry();
    else if (this.#seen < last) this.#timers.resume = setTimeout(() => this.#resume(), 200 * this.#fruitless);
    else this.#release();
  }

  /** What a pong says of the stream: whether this client lacks something. */
  #compare(last) {
    this.#failures = 0;
    if (this.#seen === undefined) return;
    if (last < this.#seen) {
      this.#resume(); // the stream began again
    } else if (last > this.#seen) {
      clearTimeout(this.#timers.grace);
      this.#timers.grace = setTimeout(() => last > this.#seen && this.#resume(), this.#options.grace);
    }
  }

  #become(status, error) {
    if (status === this.#status) return;
    this.#status = status;
    this.#tell("status", { type: "status", status, error });
  }

  #tell(type, event) {
    const family = `${type.split(".")[0]}.*`;
    const named = type.includes(".");
    for (const pattern of named ? [type, family, "*"] : [type]) {
      for (const handler of this.#handlers.get(pattern) ?? []) {
        try {
          handler(event);
        } catch (error) {
          console.error(error); // a handler's fault is not the stream's
        }
      }
    }
  }
}
