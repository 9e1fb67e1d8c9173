// A workflow, live: as a picture and as a list.

import { answer, articles, ends, gate, hasText, lastRun, same, stopButton, tests, truth, until } from "./lib.mjs";

const node = (page, name) => page.getByTestId("graph").locator(`g[data-node="${name}"]`);
const state = (page, name, wanted) => page.getByTestId("graph").locator(`g[data-node="${name}"][data-state=${wanted}]`).waitFor();

async function begin(page, topic) {
  await page.getByRole("navigation", { name: "Conversations" }).getByRole("link", { name: "report" }).click();
  await page.getByTestId("graph").locator("g[data-node]").first().waitFor();
  same((await page.getByTestId("graph").locator("g[data-node]").evaluateAll((all) => all.map((one) => one.dataset.node))).sort(), ["alarm", "figures", "history", "write"], "nodes");
  await page.getByRole("textbox", { name: "Input" }).fill(JSON.stringify({ topic }));
  await page.getByRole("button", { name: "Start workflow" }).click();
  await page.waitForURL(/#\/r\//);
}

await tests({
  "a workflow is seen as it goes on": async (open) => {
    const page = await open();
    const held = gate();
    await begin(page, `martlets ${held.word}`);
    await held.reached();
    await state(page, "history", "running");
    await state(page, "figures", "done");
    await state(page, "alarm", "skipped");
    await state(page, "write", "queued");
    // What a node does can be looked at, while it does it.
    await held.open();
    await held.reached(1);
    await node(page, "history").click();
    const row = page.getByTestId("graph-list").locator("details", { hasText: "history" }).first();
    await row.locator('[data-step="1"] details[data-kind=code]').waitFor();
    // A reload shows the same.
    await page.reload();
    await state(page, "history", "running");
    await state(page, "figures", "done");
    await held.open(1);
    await ends(page, "success");
    for (const name of ["history", "figures", "write"]) await state(page, name, "done");
    await hasText(answer(page), "It is an old bird.");
    await hasText(page.getByTestId("graph-list"), /write.*done/s);
    same(await articles(page).count(), 1, "runs");
  },

  "a workflow can be stopped": async (open) => {
    const page = await open();
    const held = gate();
    await begin(page, `martlets ${held.word}`);
    await held.reached();
    await stopButton(page).click();
    await held.left();
    await ends(page, "cancelled");
    await state(page, "history", "cancelled");
    same(await lastRun(page).getAttribute("data-outcome"), "cancelled", "outcome");
  },

  "nodes are reached with the keyboard": async (open) => {
    const page = await open();
    await begin(page, "martlets");
    await ends(page, "success");
    await node(page, "figures").focus();
    await page.keyboard.press("Enter");
    const row = page.getByTestId("graph-list").locator("details", { hasText: "figures" }).first();
    await until(async () => await row.evaluate((element) => element.open));
    truth(await row.evaluate((element) => element.contains(document.activeElement)), "the focus is at the node's work");
  },
});
