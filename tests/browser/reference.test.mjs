// The API reference in Chromium, on a running stack: TRADEHOOK_URL and the tokens of its stack.env in the environment.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const env = process.env;
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"];
let browser;

before(async () => void (browser = await chromium.launch({ executablePath: env.CHROMIUM, args: ARGUMENTS })));
after(() => browser.close());

/** The opened reference; `page.faults` holds what went wrong in it, `page.elsewhere` the requests to other hosts. */
async function opened(address = "docs", options = {}) {
  const page = await browser.newPage({ viewport: { width: 1360, height: 860 }, ...options });
  Object.assign(page, { faults: [], elsewhere: [] });
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.faults.push(message.text()));
  page.on("request", (request) => !request.url().startsWith(env.TRADEHOOK_URL) && !request.url().startsWith("data:") && page.elsewhere.push(request.url()));
  await page.goto(`${env.TRADEHOOK_URL}/${address}`);
  await page.locator(".opblock").first().waitFor({ timeout: 30_000 });
  return page;
}

for (const address of ["docs", "docs/"]) {
  test(`/${address} shows every operation, breaks no policy and asks no other host`, async () => {
    const page = await opened(address);
    const spec = await (await fetch(`${env.TRADEHOOK_URL}/openapi.json`)).json();
    const count = Object.values(spec.paths).flatMap(Object.keys).length;
    assert.equal(await page.locator(".opblock").count(), count);
    assert.deepEqual([page.faults, page.elsewhere], [[], []]);
    if (env.SCREENSHOTS) await page.screenshot({ path: `${env.SCREENSHOTS}/reference.png` });
    await page.close();
  });
}

test("an operation has samples in three languages, and nothing but a GET can be sent", async () => {
  const page = await opened();
  const post = page.locator("#operations-accounts-post_accounts");
  await post.locator(".opblock-summary-control").click();
  for (const [name, part] of [["curl", "curl -X POST"], ["Python", "requests.request("], ["JavaScript", "await fetch("]]) {
    await post.getByRole("tab", { name }).click();
    assert.ok((await post.locator(".samples pre").innerText()).includes(part), name);
  }
  assert.equal(await post.locator(".try-out").count(), 0);
  assert.deepEqual(page.faults, []);
  await page.close();
});

test("a GET is sent with the reader's token, which is gone after a reload", async () => {
  const page = await opened();
  await page.getByRole("button", { name: "Authorize" }).click();
  await page.locator("#auth-bearer-value").fill(env.TRADEHOOK_USER_TOKEN);
  await page.locator(".auth-btn-wrapper .authorize").first().click();
  await page.locator(".auth-btn-wrapper .btn-done").first().click();
  const get = page.locator("#operations-accounts-get_accounts");
  await get.locator(".opblock-summary-control").click();
  await get.locator(".try-out__btn").click();
  const answered = page.waitForResponse((answer) => /\/accounts/.test(answer.url()));
  await get.locator(".execute").click();
  assert.equal((await answered).status(), 200);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((name) => name.includes("auth"))), []);
  assert.deepEqual([page.faults, page.elsewhere], [[], []]);
  await page.close();
});

test("in the dark, on a phone and without the document the page stays readable", async () => {
  const page = await opened("docs", { colorScheme: "dark", viewport: { width: 390, height: 844 } });
  assert.equal(await page.evaluate(() => document.documentElement.classList.contains("dark-mode")), true);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390);
  if (env.SCREENSHOTS) await page.screenshot({ path: `${env.SCREENSHOTS}/reference-phone.png` });
  await page.route("**/openapi.json", (route) => route.fulfill({ status: 503, body: "" }));
  await page.reload();
  await page.locator("[role=alert]", { hasText: "HTTP 503" }).waitFor();
  await page.close();
});
