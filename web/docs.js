// The API reference: Swagger UI on this deployment's own OpenAPI document, with samples of every operation.
import { samples } from "./samples.js";

const ROOT = new URL("..", import.meta.url); // below the stage's name where the API has no domain of its own
const PATIENCE_MS = 15_000;
const dark = matchMedia("(prefers-color-scheme: dark)");

document.getElementById("brand").href = new URL("dashboard", ROOT);
document.getElementById("document").href = new URL("openapi.json", ROOT);
dark.addEventListener("change", followScheme);
followScheme();
show().catch((fault) => {
  const words = document.createElement("p");
  words.className = "fault";
  words.role = "alert";
  words.textContent = `The reference could not be loaded: ${fault.message}. Reload the page to try again.`;
  document.getElementById("reference").replaceChildren(words);
});

function followScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

async function show() {
  const answer = await fetch(new URL("openapi.json", ROOT), { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const spec = await answer.json();
  // The page may send to its own origin only, whatever name the deployment has in the document.
  spec.servers = [{ url: ROOT.href.replace(/\/$/, "") }];
  window.SwaggerUIBundle({
    spec,
    domNode: document.getElementById("reference"),
    plugins: [withSamples],
    validatorUrl: null, // by default every document goes to a validator of the maker's
    supportedSubmitMethods: ["get"], // a click in a reference must not trade or change a record
    persistAuthorization: false,
    queryConfigEnabled: false,
    deepLinking: true,
    filter: true,
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    syntaxHighlight: { activated: false },
  });
}

/** Shows the samples above an operation's answers. */
function withSamples({ React }) {
  const create = React.createElement;

  function Samples({ path, method, operation, server }) {
    const [chosen, choose] = React.useState("curl");
    const all = samples(server, path, method, operation);
    const tab = (name) => create("button", { key: name, type: "button", role: "tab", "aria-selected": name === chosen, onClick: () => choose(name) }, name);
    return create("section", { className: "samples" },
      create("h4", null, "Sample"),
      create("div", { role: "tablist", "aria-label": "Language of the sample" }, Object.keys(all).map(tab)),
      create("pre", { tabIndex: 0, role: "tabpanel" }, create("code", null, all[chosen])));
  }

  const responses = (Original, system) => (props) => {
    const document = system.specSelectors.specJson().toJS();
    const operation = document.paths[props.path][props.method];
    return create(React.Fragment, null,
      create(Samples, { path: props.path, method: props.method, operation, server: document.servers[0].url }),
      create(Original, props));
  };
  return { wrapComponents: { responses } };
}
