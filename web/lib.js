// Preact and htm as the pages use them, and the few hooks they share.
import { h, render } from "./vendor/preact.js";
import { useCallback, useEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
import htm from "./vendor/htm.js";
import { api, everything } from "./api.js";
import { connection, live } from "./session.js";

const RETRY_MS = 10_000;

export const html = htm.bind(h);
export { render, useCallback, useEffect, useMemo, useRef, useState };

/** The value of a store (session.js), again whenever it changes. */
export function useStore(store) {
  const [, again] = useState(0);
  useEffect(() => store.watch(() => again((count) => count + 1)), [store]);
  return store.value;
}

/** Calls a function on live events of a type. */
export function useLive(pattern, handler) {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => live.on(pattern, (event) => latest.current(event)), [pattern]);
}

/**
 * What a GET answers: {data, error, loading, reload}. `again` is a pattern of events after which it is read again.
 * A path of null reads nothing.
 */
export function useData(path, { again, pause = 250 } = {}) {
  const [state, set] = useState({ loading: path !== null });
  const asked = useRef(0);
  const reload = useCallback(async () => {
    if (path === null) return set({ loading: false });
    const mine = ++asked.current; // an answer that was overtaken is dropped
    try {
      const data = await api("GET", path);
      if (mine === asked.current) set({ data, loading: false });
    } catch (error) {
      if (mine === asked.current) set((before) => ({ data: error.status ? undefined : before.data, error, loading: false }));
    }
  }, [path]);
  useEffect(() => {
    set({ loading: path !== null });
    reload();
    return () => void asked.current++;
  }, [reload]);
  const timer = useRef();
  useEffect(() => () => { clearTimeout(timer.current); timer.current = undefined; }, [reload]);
  useLive(again ?? "none.none", () => {
    timer.current ??= setTimeout(() => { // events come in bursts
      timer.current = undefined;
      reload();
    }, pause);
  });
  // An answer that never came is asked for again, at once when the connection is back.
  const unanswered = state.error?.status === 0;
  useEffect(() => {
    if (!unanswered) return undefined;
    const timer = setInterval(reload, RETRY_MS);
    const off = connection.watch((status) => status === "open" && reload());
    return () => {
      clearInterval(timer);
      off();
    };
  }, [unanswered, reload]);
  return { ...state, reload };
}

const opened = new Map(); // pages beyond the first that a list shows, by its path

/** A list, page by page: {items, total, more, error, loading, reload}; `more` is null at the end. */
export function useList(path, options) {
  const first = useData(path, options);
  const [rest, setRest] = useState({ items: [], next: undefined });
  useEffect(() => {
    let current = true;
    const again = async () => { // as many pages as were open when this list was left or read again
      let items = [];
      let next = first.data.next;
      for (let count = opened.get(path) ?? 0; count > 0 && next; count--) {
        const page = await api("GET", `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(next)}`);
        items = [...items, ...page.items];
        next = page.next;
      }
      if (current) setRest({ items, next, path });
    };
    const kept = first.data?.next && opened.get(path);
    if (!kept || rest.path !== path) setRest({ items: [], next: undefined, path }); // else the rows stay until they are read again
    if (kept) again().catch(() => {});
    return () => void (current = false);
  }, [first.data]);
  const next = rest.next === undefined ? first.data?.next : rest.next;
  const more = next
    ? async () => {
        const page = await api("GET", `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(next)}`);
        opened.set(path, (opened.get(path) ?? 0) + 1);
        setRest((before) => ({ items: [...before.items, ...page.items], next: page.next, path }));
      }
    : null;
  return { ...first, items: first.data && [...first.data.items, ...rest.items], total: first.data?.total, more };
}

/** Every item of a list that is known to be short, such as a user's accounts. */
export function useEverything(path) {
  const [state, set] = useState({ loading: true });
  const reload = useCallback(() => {
    if (path === null) return set({ loading: false });
    everything(path).then(
      (items) => set({ items, loading: false }),
      (error) => set({ error, loading: false }),
    );
  }, [path]);
  useEffect(reload, [reload]);
  return { ...state, reload };
}

/** The address: {parts, params}, from "#/orders?status=open". */
export function readAddress() {
  const [path, query] = location.hash.slice(2).split("?");
  return { parts: path.split("/").map(decodeURIComponent), params: new URLSearchParams(query) };
}

/** Changes parameters of the address in place, so that a reload and the way back keep them. */
export function setParams(values) {
  const { params } = readAddress();
  for (const [name, value] of Object.entries(values)) value === "" || value === null ? params.delete(name) : params.set(name, value);
  const query = params.toString();
  history.replaceState(history.state, "", `#/${location.hash.slice(2).split("?")[0]}${query && `?${query}`}`);
}

/** A value that is kept in the address: [value, set]. */
export function useParam(name, initial = "") {
  const [value, set] = useState(() => readAddress().params.get(name) ?? initial);
  return [value, (next) => {
    setParams({ [name]: next === initial ? "" : next });
    set(next);
  }];
}

/** Runs an action once at a time: [run, {busy, error, done}, clear]. */
export function useAction(action) {
  const [state, set] = useState({});
  const run = async (...given) => {
    set({ busy: true });
    try {
      const done = await action(...given);
      set({ done });
      return done;
    } catch (error) {
      set({ error });
      return undefined;
    }
  };
  return [run, state, () => set({})];
}
