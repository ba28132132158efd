// Who is signed in, whose records are shown, and the live events: state that outlives a page of the dashboard.
import { TradehookClient } from "./tradehook-client.js";

/** A value that can be watched. */
export function store(initial) {
  const watchers = new Set();
  return {
    value: initial,
    set(value) {
      if (value === this.value) return;
      this.value = value;
      watchers.forEach((watcher) => watcher(value));
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

/** {token, user, admin} or null. */
export const session = store(null);
/** Why somebody was signed out. */
export const farewell = store(null);
/** The user whose records are shown; admins choose. */
export const subject = store(null);
/** The realtime client's status. */
export const connection = store("closed");
/** Whether the API answered the last request. */
export const reachable = store(true);
/** The newest events first, for the feed. */
export const feed = store([]);

const FEED_LENGTH = 200;
const KEY = "tradehook-token";
const handlers = new Map();
let client = null;

/** Live events, whichever client brings them. */
export const live = {
  on(pattern, handler) {
    if (!handlers.has(pattern)) handlers.set(pattern, new Set());
    handlers.get(pattern).add(handler);
    const off = client?.on(pattern, handler);
    return () => {
      handlers.get(pattern).delete(handler);
      off?.();
    };
  },
};

/** Whether an event concerns the chosen user; events of no user concern everybody. */
export const concerns = (event, user) => event.user_id === undefined || event.user_id === null || String(event.user_id) === String(user);

/** The token of this tab's last sign-in. It goes with the tab, and never into storage that outlives it. */
export const remembered = () => sessionStorage.getItem(KEY);

/** @param {(method: string, path: string, body: undefined, token: string) => Promise<object>} api */
export async function signIn(token, api) {
  const { items } = await api("GET", "/halt", undefined, token); // names the caller
  const id = items.find((item) => item.scope === "user")?.id;
  const user = await api("GET", `/users/${id}`, undefined, token);
  sessionStorage.setItem(KEY, token);
  farewell.set(null);
  subject.set(user.user_id);
  session.set({ token, user, admin: user.role === "admin" });
  client = new TradehookClient({ prices: true, ticket: () => api("POST", "/realtime/tickets", undefined, token) });
  client.on("status", ({ status }) => connection.set(status));
  client.on("*", (event) => event.type !== "market.price" && feed.set([event, ...feed.value].slice(0, FEED_LENGTH)));
  for (const [pattern, all] of handlers) for (const handler of all) client.on(pattern, handler);
  client.connect();
}

export function signOut(reason = null) {
  client?.close();
  client = null;
  sessionStorage.removeItem(KEY);
  feed.set([]);
  session.set(null);
  farewell.set(reason);
}
