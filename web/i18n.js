// Languages. A sentence is its own key in English; another language is a file of lang/ that maps it.
import { store } from "./session.js";
import { WORDS } from "./words.js";

export const LANGUAGES = { en: "English", ar: "العربية", ko: "한국어", ru: "Русский", zh: "中文" };
const catalogues = { en: {} };
const RIGHT_TO_LEFT = new Set(["ar"]);
const KEY = "tradehook-language";

const preferred = () => localStorage.getItem(KEY) ?? navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES) ?? "en";

export const language = store(preferred());

/** Fetches the sentences of a language. English needs none. */
async function load(code) {
  if (!(code in catalogues)) catalogues[code] = (await import(`./lang/${code}.js`)).default;
}

/** Fetches the reader's language before the first page is drawn. Without it the page is English. */
export const ready = () => load(language.value).catch(() => language.set("en"));

export async function speak(code) {
  await load(code);
  localStorage.setItem(KEY, code);
  language.set(code);
  show();
}

/** Tells the document its language and direction. */
export function show() {
  document.documentElement.lang = language.value;
  document.documentElement.dir = RIGHT_TO_LEFT.has(language.value) ? "rtl" : "ltr";
}

/** A sentence in the reader's language, with {values} filled in. */
export function t(sentence, values = {}) {
  const found = catalogues[language.value]?.[sentence] ?? sentence;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Marks a sentence that `t` gets later, out of a table. */
export const s = (sentence) => sentence;

/** A word of the API, such as a status, in the reader's language. */
export function word(value) {
  const key = String(value).replaceAll("_", " ").toLowerCase();
  if (Object.hasOwn(WORDS, key)) return t(WORDS[key]);
  return /^[a-z_]+$/.test(value) ? key : String(value);
}

// Latin digits in every language: prices are compared with those of exchanges.
const locale = () => (language.value === "ar" ? "ar-u-nu-latn" : language.value);

/** A number or a decimal string with its digits grouped, none of them lost. */
export function number(value) {
  if (value === null || value === undefined || value === "") return "–";
  const [whole, fraction] = String(value).split(".");
  if (!/^-?\d+$/.test(whole)) return String(value);
  return whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (fraction ? `.${fraction}` : "");
}

const ZONE = "tradehook-zone";

/** "" for the reader's own time zone, or "UTC". */
export const zone = store(localStorage.getItem(ZONE) ?? "");

export function chooseZone(name) {
  localStorage.setItem(ZONE, name);
  zone.set(name);
}

const zoned = () => (zone.value ? { timeZone: zone.value } : {});

/** A time with its zone; the day only where it is not today. */
export function time(value) {
  if (!value) return "–";
  const date = new Date(value);
  const day = (moment) => moment.toLocaleDateString("en", zoned());
  const clock = { hour: "2-digit", minute: "2-digit", timeZoneName: "short", hourCycle: "h23", ...zoned() };
  if (day(date) === day(new Date())) return date.toLocaleTimeString(locale(), { ...clock, second: "2-digit" });
  return date.toLocaleString(locale(), { year: "numeric", month: "short", day: "numeric", ...clock });
}

export const exactTime = (value) => (value ? new Date(value).toLocaleString(locale(), { dateStyle: "full", timeStyle: "long", ...zoned() }) : "");
