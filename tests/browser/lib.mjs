// What the tests of the page share: a browser, pages that are watched for everything that they must not do, and names.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

import { check, finish, gate, until } from "../clients/lib.mjs";

export { check, gate, until };

const require = createRequire(import.meta.url);
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const url = process.env.MARTLET_URL;
export const tinyUrl = process.env.MARTLET_TINY_URL;
export const keysUrl = process.env.MARTLET_KEYS_URL;
export const key = process.env.MARTLET_KEY;
const pictures = process.env.MARTLET_SCREENSHOTS;

/** How long a condition may take: for faults, not for waiting. */
export const PATIENCE = 15_000;
export const WIDE = { width: 1280, height: 800 };
export const NARROW = { width: 390, height: 844 };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
  ],
});

/** Checks of one file: each has a page of its own. `name: async (page) => …`. */
export async function tests(bodies) {
  const only = process.env.MARTLET_TEST;
  for (const [name, body] of Object.entries(bodies)) {
    if (only && !name.includes(only)) continue;
    await test(name, body);
  }
  await browser.close();
  finish();
}

async function test(name, body) {
  const opened = [];
  const open = async (options) => {
    const page = await openPage(options);
    opened.push(page);
    return page;
  };
  let fault;
  try {
    await body(open);
  } catch (error) {
    fault = error.stack ?? String(error);
    for (const [index, page] of opened.entries()) {
      const file = `${pictures}/failed-${name.replaceAll(/\W+/g, "-")}-${index}.png`;
      await page.screenshot({ path: file }).then(() => { fault += `\n     picture: ${file}`; }, () => {});
    }
  }
  const misdeeds = [];
  for (const page of opened) misdeeds.push(...await page.misdeeds());
  await Promise.all(opened.map((page) => page.context().close()));
  check(name, fault === undefined, fault);
  if (misdeeds.length) check(`${name}: the page does nothing that it must not`, false, [...new Set(misdeeds)].join("\n     "));
}

/**
 * Opens a page in a browser of its own. What it must not do is noted: requests to elsewhere, breaches of its policy, errors
 * in the console, dialogs, windows. `expected` are patterns of console errors that the test provokes.
 */
export async function openPage({ at = "#/", base = url, size = WIDE, theme = "light", expected = [], ready = true, ...more } = {}) {
  const context = await browser.newContext({ viewport: size, colorScheme: theme, reducedMotion: "reduce", acceptDownloads: true, ...more });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const noted = [];
  const origin = new URL(base).origin;
  context.on("request", (request) => {
    const to = request.url();
    if (!/^(data|blob|about):/.test(to) && new URL(to).origin !== origin) noted.push(`a request to ${to}`);
  });
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    const text = `${message.text()} (${message.location().url ?? ""})`;
    if (!expected.some((pattern) => pattern.test(text))) noted.push(`in the console: ${text}`);
  });
  page.on("pageerror", (error) => noted.push(`an exception: ${error.stack ?? error}`));
  page.on("dialog", (dialog) => {
    noted.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  context.on("page", (other) => other !== page && noted.push(`a window: ${other.url()}`));
  await page.addInitScript(() => {
    globalThis.__breaches = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      globalThis.__breaches.push(`${event.effectiveDirective} by ${event.blockedURI} (${event.sample})`);
    });
  });
  page.misdeeds = async () => {
    const breaches = await page.evaluate(() => globalThis.__breaches).catch(() => []);
    return [...noted, ...breaches.map((breach) => `against its policy: ${breach}`)];
  };
  page.base = base;
  await page.goto(`${base}/${at}`);
  if (ready) await page.getByRole("textbox", { name: "Message", exact: true }).waitFor();
  return page;
}

// ---- names on the page

export const box = (page) => page.getByRole("textbox", { name: "Message", exact: true });
export const sendButton = (page) => page.getByRole("button", { name: "Send message" });
export const stopButton = (page) => page.getByRole("button", { name: "Stop", exact: true });
export const conversation = (page) => page.getByRole("region", { name: "Conversation" });
export const articles = (page) => conversation(page).locator("article[data-run]");
export const lastRun = (page) => articles(page).last();
export const answer = (page) => lastRun(page).getByTestId("answer");
export const steps = (page) => lastRun(page).locator("[data-step]");
export const approval = (page) => conversation(page).locator("section[role=alert][data-approval]");
export const sessions = (page) => page.getByRole("navigation", { name: "Conversations" });

/** Writes a message and sends it with Enter. */
export async function say(page, text, agent) {
  if (agent) await page.getByRole("combobox", { name: "Agent" }).selectOption(agent);
  await box(page).fill(text);
  await box(page).press("Enter");
}

/** The newest run ends so. */
export async function ends(page, outcome = "succeeded") {
  const run = lastRun(page);
  await run.waitFor();
  let seen;
  await until(async () => {
    seen = await run.evaluate((article) => ({ state: article.dataset.state, outcome: article.dataset.outcome }));
    return seen.state === "ended";
  }, 2 * PATIENCE / 1000).catch(() => {
    throw new Error(`the newest run has not ended: ${JSON.stringify(seen)}`);
  });
  if (seen.outcome !== outcome) throw new Error(`the newest run ended as ${seen.outcome}, not ${outcome}: ${await run.innerText()}`);
}

/** Asks, and waits for the answer. */
export async function ask(page, text, agent) {
  const before = await articles(page).count();
  await say(page, text, agent);
  await articles(page).nth(before).waitFor();
  await ends(page);
}

/** Waits until the text of an element is as wanted. */
export async function hasText(locator, wanted) {
  const fits = (text) => (wanted instanceof RegExp ? wanted.test(text) : text.includes(wanted));
  let seen = "";
  await until(async () => fits((seen = (await locator.textContent({ timeout: 1000 }).catch(() => "")) ?? "")), PATIENCE / 1000).catch(() => {
    throw new Error(`wanted ${wanted}, seen: ${seen.slice(0, 500)}`);
  });
}

export function same(seen, wanted, what) {
  const [one, other] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (one !== other) throw new Error(`${what}: ${one}, wanted ${other}`);
}

export function truth(holds, what) {
  if (!holds) throw new Error(what);
}

// ---- the server beside the page

export async function api(path, { method = "GET", body, base = url, headers = {} } = {}) {
  const answer = await fetch(`${base}/api/v1/${path}`, {
    method, headers: { "content-type": "application/json", ...headers }, body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

/** The stored events of a run up to now, or all if it has ended. */
export async function events(run, base = url) {
  const answer = await fetch(`${base}/api/v1/runs/${run}/events`, { headers: { accept: "text/event-stream" } });
  const found = [];
  let text = "";
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const name = /^event: ?(.*)$/m.exec(block)?.[1] ?? "message";
      const data = [...block.matchAll(/^data: ?(.*)$/gm)].map((line) => line[1]).join("\n");
      if (name === "end") return found;
      if (name === "message" && data) found.push(JSON.parse(data));
    }
  }
  return found;
}

/** What the journal says the page has to show of a run: each step with the kinds of its cards. */
export async function journalSteps(run, base = url) {
  const found = new Map();
  for (const event of await events(run, base)) {
    if (event.run !== run || event.step === undefined) continue;
    const cards = found.get(event.step) ?? found.set(event.step, []).get(event.step);
    if (event.type === "model.replied" && event.thought.trim()) cards.push("thought");
    if (event.type === "code.started") cards.push("code");
    if (event.type === "tool.called") cards.push("tool");
    if (event.type === "code.ended" && event.stdout) cards.push("logs");
    if (event.type === "code.ended" && event.value !== undefined) cards.push("result");
    if (event.type === "code.ended" && event.error) cards.push("error");
  }
  return [...found].map(([step, cards]) => [String(step), cards.sort()]);
}

/** What the page shows of a run. */
export async function pageSteps(page, run) {
  return page.locator(`article[data-run="${run}"]`).evaluate((article) => [...article.querySelectorAll("[data-step]")].map((step) => [
    step.dataset.step, [...step.querySelectorAll("details[data-kind]")].map((card) => card.dataset.kind).sort(),
  ]));
}

/** The page shows the steps of the journal, none twice and none missing. */
export async function showsTheJournal(page, run, base = url) {
  const wanted = JSON.stringify(await journalSteps(run, base));
  let seen;
  await until(async () => (seen = JSON.stringify(await pageSteps(page, run))) === wanted, PATIENCE / 1000).catch(() => {
    throw new Error(`the page shows ${seen}, the journal has ${wanted}`);
  });
}

// ---- looking at it

/** Findings of axe-core that are serious or critical. */
export async function axe(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical").flatMap(({ id, impact, nodes }) => nodes.map((node) => `${impact} ${id}: ${node.target.join(" ")} ${node.failureSummary?.replaceAll(/\s+/g, " ") ?? ""}`));
}

/** Elements that reach beyond the width of the page, unless something between clips or scrolls them. */
export async function overflow(page) {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth ? `the page is ${scrollWidth} wide in ${clientWidth}` : "";
  });
}

export async function picture(page, name) {
  mkdirSync(pictures, { recursive: true });
  const file = `${pictures}/${name}.png`;
  await page.screenshot({ path: file });
  return file;
}
