// Runs the JavaScript samples of an OpenAPI document and prints every sample: node run_samples.mjs openapi.json http://server
import { readFile } from "node:fs/promises";
import { samples } from "../../web/samples.js";

const [file, server] = process.argv.slice(2);
const spec = JSON.parse(await readFile(file, "utf8"));
const Run = (async () => {}).constructor;
const made = {};
console.log = () => {};
for (const [path, methods] of Object.entries(spec.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const name = `${method.toUpperCase()} ${path}`;
    made[name] = samples(server, path, method, operation);
    await new Run(made[name].JavaScript)();
  }
}
process.stdout.write(JSON.stringify(made));
