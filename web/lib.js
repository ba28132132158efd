// Preact and htm as the pages use them, and the few hooks they share.
import { h, render } from "./vendor/preact.js";
import { useCallback, useEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
import htm from "./vendor/htm.js";
import { api, everything } from "./api.js";
import { live } from "./session.js";

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
 * What a GET answers: {data, error, loading, reload}. `again` is a pattern of events that make it be read anew.
 * A path of null reads nothing.
 */
export function useData(path, { again } = {}) {
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
  useEffect(() => () => clearTimeout(timer.current), [reload]);
  useLive(again ?? "none.none", () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(reload, 250); // events come in bursts
  });
  return { ...state, reload };
}

/** A list, page by page: {items, total, more, error, loading, reload}; `more` is null at the end. */
export function useList(path, options) {
  const first = useData(path, options);
  const [rest, setRest] = useState({ items: [], next: undefined });
  useEffect(() => setRest({ items: [], next: undefined }), [first.data]);
  const next = rest.next === undefined ? first.data?.next : rest.next;
  const more = next
    ? async () => {
        const page = await api("GET", `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(next)}`);
        setRest((before) => ({ items: [...before.items, ...page.items], next: page.next }));
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

/** Runs an action once at a time: [run, {busy, error, done}]. */
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
  return [run, state];
}
