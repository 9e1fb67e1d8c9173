// How much the page is and how fast: printed, and held to generous bounds, because machines differ.

import { answer, api, articles, box, ends, tests, truth, until, url } from "./lib.mjs";

const print = (name, figure) => console.log(`     ${name}: ${figure}`);
const ms = (value) => `${Math.round(value)} ms`;
const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

/** Watches for tasks that hold the page up, and for the times between its frames. */
const WATCH = () => {
  globalThis.__tasks = [];
  new PerformanceObserver((list) => globalThis.__tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask", buffered: true });
};

await tests({
  "the weight of the page": async (open) => {
    const fresh = await open({ ready: false });
    const client = await fresh.context().newCDPSession(fresh);
    await client.send("Network.enable");
    await client.send("Network.setCacheDisabled", { cacheDisabled: true });
    const got = new Map();
    client.on("Network.responseReceived", ({ requestId, response }) => got.set(requestId, { url: response.url, raw: 0, sent: 0, zipped: /gzip|br/.test(response.headers["content-encoding"] ?? response.headers["Content-Encoding"] ?? "") }));
    client.on("Network.dataReceived", ({ requestId, dataLength }) => { if (got.has(requestId)) got.get(requestId).raw += dataLength; });
    client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => { if (got.has(requestId)) got.get(requestId).sent += encodedDataLength; });
    await fresh.reload({ waitUntil: "networkidle" });
    await box(fresh).waitFor();
    const files = [...got.values()].filter((one) => !one.url.includes("/api/"));
    const total = (member) => files.reduce((sum, one) => sum + one[member], 0);
    print("files", files.length);
    print("weight", `${kb(total("raw"))}, ${kb(total("sent"))} as transferred, headers included`);
    truth(files.length >= 5 && total("raw") > 10_000, `something was measured: ${files.length} files`);
    truth(total("sent") < 200 * 1024, "the page is small");
  },

  "the time to the first paint": async (open) => {
    const times = [];
    for (let round = 0; round < 5; round += 1) {
      const page = await open();
      const [paint, ready] = await page.evaluate(() => [performance.getEntriesByName("first-contentful-paint")[0]?.startTime, performance.now()]);
      truth(paint > 0, "there was a paint");
      times.push([paint, ready]);
    }
    const middle = (index) => times.map((one) => one[index]).sort((a, b) => a - b)[2];
    print("first contentful paint, the middle one of 5", ms(middle(0)));
    print("ready to type, at most", ms(middle(1)));
    truth(middle(0) < 3000, "the first paint comes soon");
  },

  "the time to the first token": async (open) => {
    const page = await open();
    const times = [];
    for (let round = 0; round < 5; round += 1) {
      const before = await articles(page).count();
      await box(page).fill("tell a story");
      times.push(await page.evaluate(async () => {
        const start = performance.now();
        const known = document.querySelectorAll("details[data-kind=thought]").length;
        const shown = new Promise((resolve) => {
          const look = () => {
            const cards = document.querySelectorAll("details[data-kind=thought]");
            if (cards.length > known && cards[cards.length - 1].textContent.includes("A story")) resolve();
            else requestAnimationFrame(look);
          };
          look();
        });
        document.querySelector("button[aria-label='Send message']").click();
        await shown;
        return performance.now() - start;
      }));
      await articles(page).nth(before).waitFor();
      await ends(page);
    }
    times.sort((a, b) => a - b);
    print("from the click to the first token on the page (a model that answers at once), the middle one of 5", ms(times[2]));
    truth(times[2] < 3000, "the first token is shown soon");
  },

  "five hundred steps in one conversation": async (open) => {
    const session = await api("sessions", { method: "POST", body: { agent: "assistant" } });
    for (let part = 0; part < 10; part += 1) {
      await api("runs", { method: "POST", body: { task: `Look at all fifty steps, part ${part}.`, session: session.id }, headers: { prefer: "wait=120" } });
    }
    await scrolled(open, session.id, 10, "ten runs of 50 steps");
  },

  "five hundred steps in one run": async (open) => {
    const session = await api("sessions", { method: "POST", body: { agent: "assistant" } });
    const run = await api("runs", { method: "POST", body: { task: "Look at all five hundred steps.", session: session.id } });
    await until(async () => (await api(`runs/${run.id}`)).state === "ended", 240);
    await scrolled(open, session.id, 1, "one run of 500 steps");
  },
});

async function scrolled(open, session, runs, what) {
  const page = await open({ ready: false });
  await page.addInitScript(WATCH);
  const start = Date.now();
  await page.goto(`${url}/#/c/${session}`);
  await page.reload();
  await until(async () => await articles(page).count() === runs, 60);
  await ends(page);
  await answer(page).locator("p").first().waitFor();
  print(`${what}: the conversation is there after`, ms(Date.now() - start));
  // All the work is shown.
  for (;;) {
    const button = page.getByRole("button", { name: /Show the work/ }).first();
    if (!await button.isVisible().catch(() => false)) break;
    await button.click();
  }
  const unfold = Date.now();
  await until(async () => await page.locator("[data-step]").count() === 500, 60);
  print(`${what}: all its steps after another`, ms(Date.now() - unfold));
  const loading = await page.evaluate(() => Math.max(0, ...globalThis.__tasks));
  const frames = await page.evaluate(async () => {
    globalThis.__tasks = [];
    const view = document.querySelector("section[aria-label=Conversation]");
    view.style.scrollBehavior = "auto";
    const times = [];
    let last = performance.now();
    const frame = () => new Promise(requestAnimationFrame);
    for (const direction of [-1, 1]) {
      view.scrollTop = direction < 0 ? view.scrollHeight : 0;
      await frame();
      last = performance.now();
      for (let place = 0; place < 120; place += 1) {
        view.scrollTop += direction * view.scrollHeight / 120;
        await frame();
        times.push(performance.now() - last);
        last = performance.now();
      }
    }
    return { times, tasks: globalThis.__tasks, height: view.scrollHeight };
  });
  const sorted = frames.times.toSorted((a, b) => a - b);
  const longest = Math.max(0, ...frames.tasks);
  print(`${what}: height`, `${frames.height} px`);
  print(`${what}: longest task while it is shown`, ms(loading));
  print(`${what}: frames while scrolling, middle / 99th of 100 / longest`, [0.5, 0.99, 1].map((part) => ms(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))])).join(" / "));
  print(`${what}: longest task while scrolling`, longest ? ms(longest) : "none above 50 ms");
  truth(longest < 1000, `scrolling is held up for ${longest} ms`);
  truth(sorted[Math.floor(sorted.length / 2)] < 100, "scrolling is smooth");
  // Asking in it is as quick as ever.
  const typed = await page.evaluate(async () => {
    const field = document.querySelector("#message");
    const begun = performance.now();
    for (const letter of "a question") {
      field.value += letter;
      field.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }
    await new Promise(requestAnimationFrame);
    return performance.now() - begun;
  });
  print(`${what}: ten letters typed`, ms(typed));
  truth(typed < 1000, "typing is held up");
  await page.close();
}
