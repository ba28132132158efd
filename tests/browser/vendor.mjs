// Copies the dashboard's libraries from node_modules into web/vendor, with their licences: `npm ci && npm run vendor`.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";

const FILES = {
  "preact.js": "preact/dist/preact.mjs",
  "preact-hooks.js": "preact/hooks/dist/hooks.mjs",
  "htm.js": "htm/dist/htm.mjs",
  "uplot.js": "uplot/dist/uPlot.esm.js",
  "uplot.css": "uplot/dist/uPlot.min.css",
  "preact.LICENSE.txt": "preact/LICENSE",
  "htm.LICENSE.txt": "htm/LICENSE",
  "uplot.LICENSE.txt": "uplot/LICENSE",
  "swagger-ui.js": "swagger-ui-dist/swagger-ui-bundle.js",
  "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
  "swagger-ui.LICENSE.txt": "swagger-ui-dist/LICENSE",
  "swagger-ui.NOTICE.txt": "swagger-ui-dist/NOTICE",
  "swagger-ui.js.LICENSE.txt": "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt",
};
const here = new URL("./node_modules/", import.meta.url);
const there = new URL("../../web/vendor/", import.meta.url);

const sums = [];

/** Writes a file and notes its checksum. */
async function keep(name, text) {
  await writeFile(new URL(name, there), text);
  sums.push(`${createHash("sha256").update(text).digest("hex")}  ${name}`);
}

await mkdir(there, { recursive: true });
for (const [name, source] of Object.entries(FILES)) {
  const text = await readFile(new URL(source, here), "utf8");
  // A browser finds modules by address, not by name, and an import map would have to stand in the page.
  const linked = text.replace(/from\s*(["'])preact\1/g, 'from"./preact.js"').replace(/\n?(?:\/\/|\/\*)# sourceMappingURL=.*\n?/g, "\n").replace("swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.js.LICENSE.txt");
  await keep(name, linked);
}
const versions = await Promise.all(
  ["preact", "htm", "uplot", "swagger-ui-dist"].map(async (name) => `${name} ${JSON.parse(await readFile(new URL(`${name}/package.json`, here))).version}`),
);
await keep("VERSIONS.txt", `${versions.join("\n")}\n`);
await writeFile(new URL("SHA256SUMS", there), `${sums.join("\n")}\n`);
