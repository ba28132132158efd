// Talking to the API.
import { t, language } from "./i18n.js";
import { reachable, session, signOut } from "./session.js";

// The API's root: the folder above this file's, which is below the stage's name where the API has no domain of its own.
const ROOT = new URL("..", import.meta.url);

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status; // 0: no answer at all
    this.code = code;
  }
}

const SIGNED_OUT = new Set(["token_missing", "token_wrong", "token_expired", "user_not_active"]);

/** Asks the API, as the user who is signed in. @returns {Promise<object>} The answer's body. @throws {ApiError} */
export async function api(method, path, body, token = session.value?.token) {
  const { status, data } = await request(method, path, body, { Authorization: `Bearer ${token}` });
  if (status < 400) return data;
  throw refusal(status, data, token);
}

function refusal(status, data, token) {
  const error = new ApiError(status, data?.code, data?.code === "unknown_route" ? t("This part of the API is not available in this deployment.") : data?.error || `HTTP ${status}`);
  if ((status === 401 || status === 403) && SIGNED_OUT.has(error.code) && session.value?.token === token) signOut(error.message);
  return error;
}

const PATIENCE_MS = 10_000;

/** Exchanges the code of the local cloud's one-time link for a token. @throws {ApiError} The code was used or has expired. */
export async function redeem(code) {
  const { status, data } = await request("POST", "/_local/sign-in", { code });
  if (status === 200) return data.token;
  throw new ApiError(status, data?.code, t("This link was used or has expired."));
}

/**
 * Sends a request and gives what came back, whatever its status: {status, data, text, next, ms, signal}. `signal` is the id in
 * `X-Signal-Id`, `next` the cursor of the next page of a CSV.
 * @throws {ApiError} Nothing came back within `patience` milliseconds.
 */
export async function request(method, path, body, headers = {}, patience = PATIENCE_MS) {
  const started = performance.now();
  let answer, text;
  try {
    answer = await fetch(new URL(path.slice(1), ROOT), {
      method,
      headers: { ...headers, "Accept-Language": language.value, ...(body !== undefined && { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
    });
    text = await answer.text();
  } catch (fault) {
    reachable.set(false);
    const words = fault.name === "TimeoutError" ? t("The server has not answered within {count} seconds.", { count: patience / 1000 }) : t("The server cannot be reached.");
    throw new ApiError(0, "unreachable", words);
  }
  reachable.set(true);
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    data = { error: text.slice(0, 200) };
  }
  return { status: answer.status, data, text, next: answer.headers.get("X-Next-Cursor"), ms: Math.round(performance.now() - started), signal: data?.signal_id ?? answer.headers.get("X-Signal-Id") };
}

/** A whole list as CSV, all its pages under one header. @throws {ApiError} */
export async function csv(path) {
  const token = session.value?.token;
  const pages = [];
  let cursor = "";
  do {
    const { status, data, text, next } = await request("GET", `${path}${path.includes("?") ? "&" : "?"}limit=200${cursor}`, undefined, { Authorization: `Bearer ${token}`, Accept: "text/csv" });
    if (status >= 400) throw refusal(status, data, token);
    pages.push(pages.length ? text.slice(text.indexOf("\r\n") + 2) : text);
    cursor = next ? `&cursor=${encodeURIComponent(next)}` : "";
  } while (cursor);
  return pages.join("");
}

/** Every item of a list, at most a thousand. */
export async function everything(path) {
  const items = [];
  let cursor = "";
  do {
    const page = await api("GET", `${path}${path.includes("?") ? "&" : "?"}limit=200${cursor}`);
    items.push(...page.items);
    cursor = page.next ? `&cursor=${encodeURIComponent(page.next)}` : "";
  } while (cursor && items.length < 1000);
  return items;
}
