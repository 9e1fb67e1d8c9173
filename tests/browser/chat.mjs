// Asking: the answer, the steps as they come, stopping, reloading in the middle, branches.

import {
  answer, api, articles, ask, box, conversation, ends, gate, hasText, journalSteps, lastRun, pageSteps, same, say, sendButton,
  sessions, showsTheJournal, steps, stopButton, tests, truth, until,
} from "./lib.mjs";

const runOf = (page) => lastRun(page).getAttribute("data-run");

await tests({
  "a question gets its answer, rendered": async (open) => {
    const page = await open();
    await ask(page, "say hello");
    await hasText(answer(page), "Hello! Bold, code and a link.");
    same(await answer(page).locator("strong").textContent(), "Bold", "what is bold");
    const link = answer(page).locator("a");
    same(await link.getAttribute("rel"), "noopener noreferrer nofollow", "rel of a link");
    same(await link.getAttribute("target"), "_blank", "target of a link");
    truth(/#\/c\/\w+/.test(page.url()), `the address names the conversation: ${page.url()}`);
    await sessions(page).getByRole("link", { name: "say hello", exact: true }).first().waitFor();
    await hasText(page.getByTestId("announcer"), "Answer: Hello!");
    truth(await box(page).evaluate((element) => element === document.activeElement), "the box has the focus again");
    same(await box(page).inputValue(), "", "the box is empty");
  },

  "steps are shown as they come, and closed when they are done": async (open) => {
    const page = await open();
    const held = gate();
    await say(page, `the average, please ${held.word}`);
    await held.reached();
    await hold(page, "running");
    await held.open();
    await held.reached(1);
    // The first step is done and closed; the second one is being thought about.
    await page.locator('[data-step="1"][data-state=done]').waitFor();
    await until(async () => await page.locator('[data-step="1"] details[open]').count() === 0);
    same(await kinds(page, 1), ["code", "logs", "result", "thought"], "cards of step 1");
    await held.open(1);
    await ends(page);
    same(await steps(page).count(), 3, "steps");
    await hasText(answer(page), "The average is 18.");
    same(await answer(page).locator("td").count(), 3, "cells of the table");
    const figures = page.locator('[data-step="1"]');
    await hasText(figures, /900/);
    await hasText(figures, /60/);
    await hasText(figures, /\d+ ?(ms|s)\b/);
    await hasText(figures, /cost 1\.02/);
    await hasText(page.getByTestId("totals"), /3[.,\s]?000|3(\.0)? ?k/i);
    await hasText(page.getByTestId("totals"), /cost 3\.36/);
    await showsTheJournal(page, await runOf(page));
  },

  "cards are open while their step runs, and stream": async (open) => {
    const page = await open();
    const held = gate();
    await say(page, `tell a story ${held.word}`);
    await held.reached();
    const thought = page.locator('[data-step="1"] details[data-kind=thought]');
    await thought.waitFor();
    truth(await thought.evaluate((card) => card.open), "the card is open");
    await hasText(thought, "A story in many");
    truth(!(await thought.textContent()).includes("did not land again"), "the end is not there yet");
    same(await conversation(page).getAttribute("aria-busy"), "true", "aria-busy");
    same(await conversation(page).getAttribute("aria-live"), null, "the conversation is not live");
    await held.open();
    await ends(page);
    await until(async () => await thought.evaluate((card) => !card.open));
    same(await conversation(page).getAttribute("aria-busy"), "false", "aria-busy");
    await thought.locator("summary").click();
    await hasText(thought, "did not land again");
  },

  "a run can be stopped": async (open) => {
    const page = await open();
    const held = gate();
    await say(page, `wait for me ${held.word}`);
    await held.reached();
    await stopButton(page).click();
    await held.left();
    await ends(page, "cancelled");
    await sendButton(page).waitFor();
    // With the key, too, and with a text in the box the button sends.
    const again = gate();
    await say(page, `wait for me ${again.word}`);
    await again.reached();
    await stopButton(page).waitFor();
    await box(page).fill("something else");
    await sendButton(page).waitFor();
    await box(page).fill("");
    await page.keyboard.press("Escape");
    await again.left();
    await ends(page, "cancelled");
    same(await articles(page).count(), 2, "runs");
  },

  "a reload in the middle loses nothing and repeats nothing": async (open) => {
    const page = await open();
    const held = gate();
    await say(page, `do five steps ${held.word}`);
    for (const turn of [0, 1]) {
      await held.reached(turn);
      await held.open(turn);
    }
    await held.reached(2);
    const run = await runOf(page);
    await page.reload();
    await page.locator(`article[data-run="${run}"][data-state=running]`).waitFor();
    await page.locator('[data-step="2"][data-state=done]').waitFor();
    same((await pageSteps(page, run)).slice(0, 2), [["1", ["code", "logs", "thought"]], ["2", ["code", "logs", "thought"]]], "the steps that are done");
    await held.open(2);
    await held.reached(3);
    // A second reload, in the middle of another reply, and the page of somebody else who looks on.
    const other = await open({ at: new URL(page.url()).hash });
    await page.reload();
    await page.locator('[data-step="3"][data-state=done]').waitFor();
    for (const turn of [3, 4, 5]) {
      await held.open(turn);
      if (turn < 5) await held.reached(turn + 1);
    }
    for (const one of [page, other]) {
      await ends(one);
      await hasText(answer(one), "All five steps are done.");
      await showsTheJournal(one, run);
      same(await articles(one).count(), 1, "runs");
      same(await one.locator("[data-step]").count(), 6, "steps");
    }
    same((await journalSteps(run)).length, 6, "steps of the journal");
  },

  "a lost connection is taken up where it was": async (open) => {
    const page = await open({ expected: [/ERR_INTERNET_DISCONNECTED|ERR_NETWORK|Failed to load resource/] });
    const held = gate();
    await say(page, `do five steps ${held.word}`);
    await held.reached();
    const run = await runOf(page);
    await held.open();
    await page.locator('[data-step="1"][data-state=done]').waitFor();
    await page.context().setOffline(true);
    for (const turn of [1, 2]) {
      await held.reached(turn);
      await held.open(turn);
    }
    await page.context().setOffline(false);
    for (const turn of [3, 4, 5]) {
      await held.reached(turn);
      await held.open(turn);
    }
    await ends(page);
    await showsTheJournal(page, run);
  },

  "what fails says why and what to do": async (open) => {
    const page = await open();
    await say(page, "refuse this");
    await ends(page, "failed");
    const problem = lastRun(page).getByTestId("problem");
    await hasText(problem, "does not like the question");
    await hasText(problem, "Retry");
  },

  "an answer can be tried again, a question be asked anew, each as a branch": async (open) => {
    const page = await open();
    await ask(page, "say hello");
    const first = page.url();
    await ask(page, "say hello twice");
    same(await articles(page).count(), 2, "runs before");
    await lastRun(page).getByRole("button", { name: "Retry" }).click();
    await page.waitForURL((address) => address.href !== first);
    await until(async () => await articles(page).count() === 2);
    await ends(page);
    const retried = page.url();
    await page.getByText("A branch of").waitFor();

    await articles(page).last().getByRole("button", { name: "Edit" }).click();
    await until(async () => await box(page).inputValue() === "say hello twice");
    await box(page).fill("say hello otherwise");
    await box(page).press("Enter");
    await page.waitForURL((address) => address.href !== retried);
    await until(async () => await articles(page).count() === 2);
    await ends(page);
    await hasText(lastRun(page).locator(".question"), "say hello otherwise");
    await hasText(articles(page).first().locator(".question"), /say hello$/);
    // What was there stays as it was.
    await page.goto(first);
    await until(async () => await articles(page).count() === 2);
    await hasText(lastRun(page).locator(".question"), "say hello twice");
    const { sessions: all } = await api("sessions?limit=200");
    const session = /#\/c\/(\w+)/.exec(retried)[1];
    truth(all.find((one) => one.id === session)?.branched_from?.session === /#\/c\/(\w+)/.exec(first)[1], "the branch knows where it is from");
  },

  "an answer can be copied": async (open) => {
    const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
    await ask(page, "say hello");
    await lastRun(page).getByRole("button", { name: "Copy", exact: true }).click();
    await until(async () => (await page.evaluate(() => navigator.clipboard.readText())).startsWith("Hello! **Bold**"));
  },
});

async function hold(page, state) {
  await page.locator(`article[data-run][data-state=${state}]`).waitFor();
}

async function kinds(page, step) {
  return page.locator(`[data-step="${step}"]`).evaluate((element) => [...element.querySelectorAll("details[data-kind]")].map((card) => card.dataset.kind).sort());
}
