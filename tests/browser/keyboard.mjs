// The keyboard, the palette, the theme, the narrow page.

import { NARROW, answer, api, articles, ask, box, ends, gate, hasText, lastRun, overflow, same, say, sessions, steps, tests, truth, until } from "./lib.mjs";

const hasFocus = (locator) => locator.evaluate((element) => element === document.activeElement);
const background = (page) => page.evaluate(async () => {
  // A colour on its way is neither light nor dark.
  await new Promise(requestAnimationFrame);
  await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
  return getComputedStyle(document.body).backgroundColor;
});
const brightness = (colour) => colour.match(/[\d.]+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0);

await tests({
  "Enter sends, Shift+Enter begins a line, the arrow brings the last question back": async (open) => {
    const page = await open();
    truth(await hasFocus(box(page)), "the box has the focus at once");
    await page.keyboard.type("say hello");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("in two lines");
    same(await box(page).inputValue(), "say hello\nin two lines", "the text");
    same(await articles(page).count(), 0, "runs");
    await page.keyboard.press("Enter");
    await ends(page);
    truth(await hasFocus(box(page)), "the box has the focus again");
    await page.keyboard.press("ArrowUp");
    await until(async () => await box(page).inputValue() === "say hello\nin two lines");
    await page.keyboard.press("Escape");
    await until(async () => await box(page).inputValue() === "");
    // An empty message is none.
    await page.keyboard.press("Enter");
    same(await articles(page).count(), 1, "runs");
  },

  "J and K walk through the steps, and are letters in the box": async (open) => {
    const page = await open();
    await ask(page, "the average");
    await page.keyboard.type("jk");
    same(await box(page).inputValue(), "jk", "the text");
    await box(page).fill("");
    await page.getByRole("region", { name: "Conversation" }).focus();
    await page.keyboard.press("j");
    truth(await hasFocus(steps(page).nth(0)), "the first step has the focus");
    await page.keyboard.press("j");
    truth(await hasFocus(steps(page).nth(1)), "the second step has the focus");
    await page.keyboard.press("k");
    truth(await hasFocus(steps(page).nth(0)), "the first step has the focus again");
    await page.keyboard.press("Enter");
    await until(async () => await steps(page).nth(0).locator("details[open]").count() > 0);
  },

  "the palette finds conversations and commands": async (open) => {
    const page = await open();
    const title = `say hello palette${process.pid}`;
    await ask(page, title);
    await page.getByRole("button", { name: "New conversation" }).click();
    await until(async () => await articles(page).count() === 0);
    await page.keyboard.press("Control+k");
    const palette = page.getByRole("dialog", { name: "Command palette" });
    await palette.waitFor();
    await page.keyboard.type(`palette${process.pid}`);
    await palette.getByRole("option", { name: title }).waitFor();
    await page.keyboard.press("Enter");
    await palette.waitFor({ state: "detached" });
    await hasText(answer(page), "Hello!");
    await page.keyboard.press("Control+k");
    await palette.waitFor();
    await page.keyboard.press("Escape");
    await palette.waitFor({ state: "detached" });
  },

  "the keys are told": async (open) => {
    const page = await open();
    await page.keyboard.press("Control+/");
    const help = page.getByRole("dialog", { name: "Keyboard shortcuts" });
    await help.waitFor();
    await page.keyboard.press("Escape");
    await help.waitFor({ state: "detached" });
    truth(await hasFocus(box(page)), "the box has the focus again");
  },

  "everything can be reached with the Tab key": async (open) => {
    const page = await open();
    const wanted = new Set(["New conversation", "Search conversations", "Message", "Attach files", "Agent", "Theme"]);
    // Each conversation has two places.
    for (let presses = 0; presses < 400 && wanted.size; presses += 1) {
      await page.keyboard.press("Tab");
      wanted.delete(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent.trim()));
    }
    same([...wanted], [], "what was not reached");
  },

  "the theme follows the system, and what was chosen": async (open) => {
    for (const theme of ["light", "dark"]) {
      const page = await open({ theme });
      const isDark = async () => brightness(await background(page)) < 200;
      same(await isDark(), theme === "dark", `${theme}: dark at first`);
      const button = page.getByRole("button", { name: "Theme" });
      const other = theme !== "dark";
      for (let presses = 0; presses < 3 && await isDark() !== other; presses += 1) await button.click();
      same(await isDark(), other, `${theme}: dark after the choice`);
      await page.reload();
      await box(page).waitFor();
      same(await isDark(), other, `${theme}: dark after a reload`);
    }
  },

  "the narrow page has everything": async (open) => {
    const page = await open({ size: NARROW, hasTouch: true });
    const title = `say hello narrow${process.pid}`;
    await ask(page, title);
    same(await overflow(page), "", "overflow");
    await page.getByRole("button", { name: "Show conversations" }).click();
    await sessions(page).getByRole("link", { name: title, exact: true }).waitFor();
    await sessions(page).getByRole("button", { name: "New conversation" }).click();
    await until(async () => await articles(page).count() === 0);
    for (const width of [360, 320]) {
      await page.setViewportSize({ width, height: 700 });
      await ask(page, "the average");
      same(await overflow(page), "", `overflow at ${width}`);
    }
  },

  "the switch withholds the tools of the web": async (open) => {
    const page = await open();
    const { agents } = await api("agents");
    const searches = (name) => agents.find((one) => one.name === name).tools.some((tool) => ["web_search", "visit_webpage", "download_images"].includes(tool.name));
    const web = page.getByRole("switch", { name: "Web search" });
    for (const { name } of agents) {
      await page.getByRole("combobox", { name: "Agent" }).selectOption(name);
      same(await web.isVisible(), searches(name), `the switch of ${name}`);
    }
    const searcher = agents.find(({ name }) => searches(name))?.name;
    truth(searcher, "there is an agent that searches");
    await page.getByRole("combobox", { name: "Agent" }).selectOption(searcher);
    for (const wanted of ["true", "false"]) {
      if (await web.getAttribute("aria-checked") !== wanted) await web.click();
      const [request] = await Promise.all([
        page.waitForRequest((one) => one.method() === "POST" && /\/runs$/.test(new URL(one.url()).pathname)),
        ask(page, "search the web", searcher),
      ]);
      const { without_tools: without } = request.postDataJSON();
      same((without ?? []).includes("web_search"), wanted === "false", `web_search is withheld with the switch ${wanted}`);
    }
  },
});
