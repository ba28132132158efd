// Draws the Mermaid diagrams of docs/ as docs/images/diagrams/{hash of the diagram}.svg: `npm ci && npm run diagrams`.
// The documentation site shows these pictures, so that it needs no script and no other host.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const DOCS = new URL("../../docs/", import.meta.url);
const PICTURES = new URL("images/diagrams/", DOCS);
const pages = (await readdir(DOCS, { recursive: true })).filter((name) => name.endsWith(".md"));
const texts = await Promise.all(pages.map((name) => readFile(new URL(name, DOCS), "utf8")));
const diagrams = texts.flatMap((text) => [...text.matchAll(/^```mermaid\n(.*?)^```/gms)].map((found) => found[1]));

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage();
await page.addScriptTag({ path: new URL("node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js", import.meta.url).pathname });
await rm(PICTURES, { recursive: true, force: true });
await mkdir(PICTURES, { recursive: true });
for (const diagram of diagrams) {
  const svg = await page.evaluate(async (text) => {
    mermaid.initialize({ startOnLoad: false, theme: "neutral", fontFamily: "system-ui, sans-serif" });
    return (await mermaid.render("diagram", text)).svg;
  }, diagram);
  const name = createHash("sha256").update(diagram).digest("hex").slice(0, 16);
  await writeFile(new URL(`${name}.svg`, PICTURES), `${svg}\n`);
}
await browser.close();
