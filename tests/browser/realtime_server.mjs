// The server's side of docs/realtime.md for one stream, with faults to order: for testing clients without a cloud.
import { WebSocketServer } from "ws";

export class RealtimeServer {
  log = []; // every event so far
  sockets = new Set();
  said = []; // every message that clients sent
  tickets = [];
  losing = () => false; // which live messages are lost on their way
  repeating = false; // whether live messages come twice
  silent = false; // whether messages are left unanswered
  mostReplayed = 500;

  static async start() {
    const server = new RealtimeServer();
    server.wss = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise((resolve) => server.wss.once("listening", resolve));
    server.wss.on("connection", (socket, request) => server.#connected(socket, request));
    return server;
  }

  get url() {
    return `ws://127.0.0.1:${this.wss.address().port}/ws`;
  }

  async stop() {
    for (const socket of this.sockets) socket.terminate();
    await new Promise((resolve) => this.wss.close(resolve));
  }

  /** An event happens. */
  happen(type = "order.filled", payload = {}) {
    const event = { type, payload, timestamp: new Date().toISOString(), sequence: this.log.length + 1 };
    this.log.push(event);
    for (const socket of this.sockets) {
      if (!this.#hears(socket, type) || this.losing(event)) continue;
      for (let times = this.repeating ? 2 : 1; times; times--) this.send(socket, event);
    }
    return event;
  }

  send(socket, message) {
    if (socket.readyState === 1) socket.send(JSON.stringify(message));
  }

  all(message) {
    for (const socket of this.sockets) this.send(socket, message);
  }

  dropEverybody() {
    for (const socket of this.sockets) socket.terminate();
  }

  #connected(socket, request) {
    const asked = new URL(request.url, "ws://x").searchParams;
    this.tickets.push(asked);
    this.sockets.add(socket);
    socket.types = asked.get("types")?.split(",") ?? ["*"];
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("message", (data) => this.#hear(socket, JSON.parse(data)));
    this.send(socket, { type: "connection", status: "connected", message: "WebSocket connection established" });
    if (asked.has("after") && !this.silent) this.#replay(socket, asked.get("after") === "last" ? this.log.length : Number(asked.get("after")));
  }

  #hears(socket, type) {
    return socket.types.some((pattern) => pattern === "*" || pattern === type || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1))));
  }

  #replay(socket, after) {
    const last = this.log.length;
    const missed = this.log.slice(after).filter((event) => this.#hears(socket, event.type));
    const recovered = after <= last && last - after <= this.mostReplayed;
    if (recovered && missed.length > 1) this.send(socket, { type: "events", events: missed });
    else if (recovered) missed.forEach((event) => this.send(socket, event));
    this.send(socket, { type: "resumed", recovered, last });
  }

  #hear(socket, message) {
    this.said.push(message);
    if (this.silent) return;
    const last = this.log.length;
    switch (message.type) {
      case "ping":
        return this.send(socket, { type: "pong", ...("after" in message && { last }) });
      case "subscribe":
        socket.types = message.types ?? socket.types;
        return this.send(socket, { type: "subscribed", types: socket.types, batch: !!message.batch });
      case "resume":
        return this.#replay(socket, message.after);
      default:
        return this.send(socket, { type: "error", error: "?", code: "invalid_choice" });
    }
  }
}
