// Languages. A sentence is its own key in English; another language is a file of lang/ that maps it.
import ar from "./lang/ar.js";
import { store } from "./session.js";

export const LANGUAGES = { en: "English", ar: "العربية" };
const CATALOGUES = { en: {}, ar };
const RIGHT_TO_LEFT = new Set(["ar"]);
const KEY = "tradehook-language";

const preferred = () => localStorage.getItem(KEY) ?? navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES) ?? "en";

export const language = store(preferred());

export function speak(code) {
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
  const found = CATALOGUES[language.value][sentence] ?? sentence;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
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

export function time(value) {
  if (!value) return "–";
  const date = new Date(value);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(locale(), today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
}

export const exactTime = (value) => (value ? new Date(value).toLocaleString(locale(), { dateStyle: "full", timeStyle: "long" }) : "");
