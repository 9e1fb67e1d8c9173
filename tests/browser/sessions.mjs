// Conversations: many at once, found, named, saved, deleted; and the queue.

import { readFile } from "node:fs/promises";

import {
  answer, api, articles, ask, box, conversation, ends, gate, hasText, lastRun, same, say, sessions, showsTheJournal, tests, tinyUrl,
  truth, until,
} from "./lib.mjs";

const link = (page, name) => sessions(page).getByRole("link", { name, exact: true });
const search = (page) => page.getByRole("searchbox", { name: "Search conversations" });
let made = 0;
/** A title that no other test has. */
const title = (words) => `${words} ${process.pid}${made += 1}`;

async function menu(page, name, entry) {
  await sessions(page).getByRole("button", { name: `Actions for ${name}`, exact: true }).click();
  return page.getByRole("menuitem", { name: entry, exact: true });
}

await tests({
  "one can look at another conversation while one runs": async (open) => {
    const page = await open();
    const first = title("say hello");
    await ask(page, first);
    await page.getByRole("button", { name: "New conversation" }).click();
    const held = gate();
    await say(page, `do five steps ${held.word}`);
    await held.reached();
    const run = await lastRun(page).getAttribute("data-run");
    const there = page.url();
    await link(page, first).click();
    await hasText(answer(page), "Hello!");
    same(await articles(page).count(), 1, "runs");
    await held.open();
    await held.reached(1);
    await page.goto(there);
    await page.locator('[data-step="1"][data-state=done]').waitFor();
    for (const turn of [1, 2, 3, 4, 5]) {
      await held.open(turn);
      if (turn < 5) await held.reached(turn + 1);
    }
    await ends(page);
    await showsTheJournal(page, run);
  },

  "what is typed stays where it was typed": async (open) => {
    const page = await open();
    const first = title("say hello");
    await ask(page, first);
    await box(page).fill("half a thought");
    await page.getByRole("button", { name: "New conversation" }).click();
    await until(async () => await box(page).inputValue() === "");
    await link(page, first).click();
    await until(async () => await box(page).inputValue() === "half a thought");
  },

  "a conversation is found, named anew and deleted": async (open) => {
    const page = await open();
    const [first, second] = [title("say hello kiwi"), title("say hello ostrich")];
    await ask(page, first);
    await page.getByRole("button", { name: "New conversation" }).click();
    await ask(page, second);
    await search(page).fill("kiwi");
    await link(page, first).waitFor();
    await link(page, second).waitFor({ state: "detached" });
    await search(page).fill("");
    await link(page, second).waitFor();

    const renamed = title("A flightless bird");
    await (await menu(page, first, "Rename")).click();
    const field = sessions(page).getByRole("textbox", { name: "Title" });
    await field.fill(renamed);
    await field.press("Enter");
    await link(page, renamed).waitFor();
    await page.reload();
    await link(page, renamed).waitFor();

    await link(page, renamed).click();
    await hasText(answer(page), "Hello!");
    await (await menu(page, renamed, "Delete")).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await link(page, renamed).waitFor({ state: "detached" });
    await until(async () => await articles(page).count() === 0);
    await page.reload();
    await link(page, second).waitFor();
    same(await link(page, renamed).count(), 0, "the deleted one");
  },

  "a conversation is saved as Markdown and as JSON": async (open) => {
    const page = await open();
    const name = title("say hello");
    await ask(page, name);
    for (const [format, test] of [
      ["Markdown", (text) => text.includes(name) && text.includes("Hello! **Bold**")],
      ["JSON", (text) => JSON.stringify(JSON.parse(text)).includes(name)],
    ]) {
      const entry = await menu(page, name, `Export as ${format}`);
      const [download] = await Promise.all([page.waitForEvent("download"), entry.click()]);
      const text = await readFile(await download.path(), "utf8");
      truth(test(text), `what was saved as ${format}: ${text.slice(0, 300)}`);
    }
  },

  "a message waits behind the run that goes on": async (open) => {
    const page = await open();
    const held = gate();
    await say(page, `wait for me ${held.word}`);
    await held.reached();
    await say(page, "say hello");
    await say(page, "say hello again");
    await say(page, "say hello, third");
    const waiting = page.getByRole("region", { name: "Messages that wait" });
    await until(async () => await waiting.getByRole("listitem").count() === 3);
    // One is taken back, one is written anew.
    await waiting.getByRole("listitem").filter({ hasText: "third" }).getByRole("button", { name: "Remove" }).click();
    await until(async () => await waiting.getByRole("listitem").count() === 2);
    await waiting.getByRole("listitem").filter({ hasText: "again" }).getByRole("button", { name: "Edit" }).click();
    await until(async () => await box(page).inputValue() === "say hello again");
    await until(async () => await waiting.getByRole("listitem").count() === 1);
    await box(page).fill("say hello once more");
    await box(page).press("Enter");
    await until(async () => await waiting.getByRole("listitem").count() === 2);
    // A reload shows them where they were.
    await page.reload();
    await until(async () => await waiting.getByRole("listitem").count() === 2);
    same(await articles(page).count(), 1, "runs in the conversation");
    await held.open();
    await until(async () => await articles(page).count() === 3);
    await ends(page);
    same(await conversation(page).locator(".question").allTextContents(), [`wait for me ${held.word}`, "say hello", "say hello once more"], "questions");
    await waiting.waitFor({ state: "hidden" });
  },

  "the place in the queue is shown, and a full one is told": async (open) => {
    const held = gate();
    const at = { base: tinyUrl, expected: [/429/] };
    const first = await open(at);
    await say(first, `wait for me ${held.word}`);
    await held.reached();
    const second = await open(at);
    await say(second, "say hello");
    const queue = second.getByTestId("queue");
    await queue.waitFor();
    await hasText(queue, /Position 1 of 1/);
    const third = await open(at);
    await say(third, "say hello");
    const problem = third.getByTestId("problem").first();
    await problem.waitFor();
    await hasText(problem, /\S/);
    same(await box(third).inputValue(), "say hello", "what was typed is still there");
    await held.open();
    await ends(first);
    await ends(second);
    await queue.waitFor({ state: "hidden" });
    await box(third).press("Enter");
    await ends(third);
  },

  "a conversation that is not there is told as such": async (open) => {
    const page = await open({ at: "#/c/sess_0000000000000000000000000", expected: [/404|400/] });
    await page.getByTestId("problem").waitFor();
  },

  "runs from elsewhere are there, too": async (open) => {
    const session = await api("sessions", { method: "POST", body: { agent: "assistant" } });
    await api("runs", { method: "POST", body: { task: "say hello from afar", session: session.id }, headers: { prefer: "wait=20" } });
    const page = await open({ at: `#/c/${session.id}` });
    await hasText(answer(page), "Hello!");
    await link(page, "say hello from afar").waitFor();
  },
});
