// Samples of an operation in curl, Python and JavaScript, from the OpenAPI document alone.

const TOKENS = { bearer: ["Authorization", "TRADEHOOK_TOKEN", "Bearer "], webhook: ["X-Webhook-Token", "TRADEHOOK_WEBHOOK_TOKEN", ""], telegram: ["X-Telegram-Bot-Api-Secret-Token", "TRADEHOOK_TELEGRAM_WEBHOOK_SECRET", ""] };

/** What a sample sends: {method, url, header: [name, variable, prefix] or undefined, body or undefined}. */
export function sampleRequest(server, path, method, operation) {
  const filled = (operation.parameters ?? [])
    .filter((each) => each.in === "path")
    .reduce((url, each) => url.replace(`{${each.name}}`, encodeURIComponent(each.example)), path);
  const scheme = (operation.security ?? []).flatMap(Object.keys)[0];
  const shown = Object.values(operation.requestBody?.content?.["application/json"]?.examples ?? {})[0];
  return { method: method.toUpperCase(), url: server.replace(/\/$/, "") + filled, header: TOKENS[scheme], body: shown?.value };
}

/** The samples by language. */
export function samples(server, path, method, operation) {
  const request = sampleRequest(server, path, method, operation);
  return { curl: curl(request), Python: python(request), JavaScript: javascript(request) };
}

function curl({ method, url, header, body }) {
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}'${url}'`];
  if (header) lines.push(`-H "${header[0]}: ${header[2]}$${header[1]}"`);
  if (body !== undefined) lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`);
  return lines.join(" \\\n  ");
}

function python({ method, url, header, body }) {
  const imports = header ? "import os\n\nimport requests" : "import requests";
  const value = header && `os.environ["${header[1]}"]`;
  const lines = [`    "${method}",`, `    ${JSON.stringify(url)},`];
  if (header) lines.push(`    headers={"${header[0]}": ${header[2] ? `"${header[2]}" + ${value}` : value}},`);
  if (body !== undefined) lines.push(`    json=${literal(body, "    ")},`);
  return `${imports}\n\nanswer = requests.request(\n${lines.join("\n")}\n    timeout=30,\n)\nanswer.raise_for_status()\nprint(answer.text)`;
}

/** A JSON value as a Python literal. */
function literal(value, indent) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const deeper = `${indent}    `;
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const parts = Array.isArray(value) ? value.map((each) => literal(each, deeper)) : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each, deeper)}`);
  return parts.length ? `${open}\n${parts.map((each) => `${deeper}${each},\n`).join("")}${indent}${close}` : open + close;
}

function javascript({ method, url, header, body }) {
  const headers = [];
  if (header) headers.push(`    "${header[0]}": ${header[2] ? `\`${header[2]}\${process.env.${header[1]}}\`` : `process.env.${header[1]}`},`);
  if (body !== undefined) headers.push('    "Content-Type": "application/json",');
  const lines = [`  method: "${method}",`];
  if (headers.length) lines.push(`  headers: {\n${headers.join("\n")}\n  },`);
  if (body !== undefined) lines.push(`  body: JSON.stringify(${JSON.stringify(body, null, 2).replaceAll("\n", "\n  ")}),`);
  lines.push("  signal: AbortSignal.timeout(30_000),");
  return `const answer = await fetch(${JSON.stringify(url)}, {\n${lines.join("\n")}\n});\nif (!answer.ok) throw new Error(await answer.text());\nconsole.log(await answer.text());`;
}
