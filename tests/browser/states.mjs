// Every state of the page, at two widths and in both themes: looked at by axe-core, measured, and kept as a picture.

import { 
  NARROW, WIDE, answer, api, approval, articles, axe, box, ends, gate, keysUrl, overflow, picture, sessions, steps, tests, tinyUrl, truth, until,
 } from "./lib.mjs";

const LOOKS = [
  { size: WIDE, theme: "light" }, { size: WIDE, theme: "dark" }, { size: NARROW, theme: "light" }, { size: NARROW, theme: "dark" },
];

/** Looks at one state in all forms. `arrive` brings a fresh page to it. */
function looks(name, arrive, options = {}) {
  return async (open) => {
    const faults = [];
    await Promise.all(LOOKS.map(async (look) => {
      const page = await open({ ...look, ...(typeof options === "function" ? await options() : options) });
      await arrive(page, look);
      await page.evaluate(() => document.fonts.ready);
      const where = `${look.size.width}-${look.theme}`;
      await picture(page, `${name}-${where}`);
      faults.push(...(await axe(page)).map((finding) => `${where}: ${finding}`));
      const wide = await overflow(page);
      if (wide) faults.push(`${where}: ${wide}`);
    }));
    truth(faults.length === 0, [...new Set(faults)].slice(0, 12).join("\n     "));
  };
}

/** A conversation that goes on for as long as it is looked at. */
async function going(task, agent = "assistant", turns = 0) {
  const session = await api("sessions", { method: "POST", body: { agent } });
  const held = gate();
  const run = await api("runs", { method: "POST", body: { task: `${task} ${held.word}`, session: session.id, agent } });
  for (let turn = 0; turn < turns; turn += 1) {
    await held.reached(turn);
    await held.open(turn);
  }
  return { at: `#/c/${session.id}`, held, run: run.id, session: session.id };
}

let streaming, waiting, failed, long, queue;

await tests({
  "empty": looks("empty", (page) => box(page).waitFor()),

  "streaming": async (open) => {
    streaming = await going("Please work out the average of these numbers, the average in two ways.", "assistant", 1);
    await streaming.held.reached(1);
    await looks("streaming", (page) => page.locator('[data-step="1"][data-state=done]').waitFor(), { at: streaming.at })(open);
    await streaming.held.open(1);
  },

  "a reply as it is written": async (open) => {
    const story = await going("tell a story");
    await story.held.reached();
    await looks("writing", (page) => steps(page).first().waitFor(), { at: story.at })(open);
    await story.held.open();
  },

  "done": looks("done", async (page) => {
    await ends(page);
    await until(async () => await answer(page).locator("table").count() === 1);
  }, () => ({ at: streaming.at })),

  "done, cards open": looks("cards", async (page) => {
    await ends(page);
    await steps(page).first().waitFor();
    for (const summary of await steps(page).first().locator("summary").all()) await summary.click();
    await steps(page).first().scrollIntoViewIfNeeded();
  }, () => ({ at: streaming.at })),

  "waiting for a person": async (open) => {
    waiting = await going("pay the invoice", "clerk");
    await looks("approval", (page) => approval(page).waitFor(), { at: waiting.at })(open);
  },

  "arguments being edited": looks("approval-edit", async (page) => {
    await approval(page).getByRole("button", { name: "Edit arguments" }).click();
    await approval(page).getByRole("textbox", { name: "Arguments" }).waitFor();
  }, () => ({ at: waiting.at })),

  "what waits, from elsewhere": looks("approvals", async (page) => {
    await page.getByTestId("approvals-badge").click();
    await page.getByRole("dialog").locator("[data-approval]").first().waitFor();
  }),

  "a question": async (open) => {
    const question = await going("ask me a colour");
    await looks("question", (page) => approval(page).waitFor(), { at: question.at })(open);
    await api(`runs/${question.run}/cancel`, { method: "POST", body: {} });
    await api(`runs/${waiting.run}/cancel`, { method: "POST", body: {} });
  },

  "failed": async (open) => {
    failed = await going("refuse this");
    await looks("failed", (page) => ends(page, "failed"), { at: failed.at })(open);
  },

  "stopped": async (open) => {
    const stopped = await going("wait for me");
    await stopped.held.reached();
    await api(`runs/${stopped.run}/cancel`, { method: "POST", body: {} });
    await looks("stopped", (page) => ends(page, "cancelled"), { at: stopped.at })(open);
  },

  "queued": async (open) => {
    const held = gate();
    queue = await api("runs", { method: "POST", base: tinyUrl, body: { task: `wait for me ${held.word}` } });
    await held.reached();
    const session = await api("sessions", { method: "POST", base: tinyUrl, body: { agent: "assistant" } });
    await api("runs", { method: "POST", base: tinyUrl, body: { task: "say hello", session: session.id } });
    await looks("queued", (page) => page.getByTestId("queue").waitFor(), { base: tinyUrl, at: `#/c/${session.id}` })(open);
    await held.open();
  },

  "messages that wait": async (open) => {
    const first = await going("wait for me");
    await first.held.reached();
    for (const task of ["say hello, when you have time", "and then say hello in another way"]) await api("runs", { method: "POST", body: { task, session: first.session } });
    await looks("behind", (page) => page.getByRole("region", { name: "Messages that wait" }).waitFor(), { at: first.at })(open);
    await first.held.open();
  },

  "a long conversation": async (open) => {
    long = await api("sessions", { method: "POST", body: { agent: "assistant" } });
    for (const task of ["say hello", "the average of these numbers", "Now look at all fifty steps of the data.", "say hello at the end"]) {
      await api("runs", { method: "POST", body: { task, session: long.id }, headers: { prefer: "wait=60" } });
    }
    await looks("long", async (page) => {
      await until(async () => await articles(page).count() === 4);
      await ends(page);
    }, { at: `#/c/${long.id}` })(open);
  },

  "a long work, unfolded": looks("unfolded", async (page) => {
    await until(async () => await articles(page).count() === 4);
    const run = articles(page).nth(2);
    await run.scrollIntoViewIfNeeded();
    const unfold = run.getByRole("button", { name: /Show the work/ });
    if (await unfold.isVisible()) await unfold.click();
    await until(async () => await run.locator("[data-step]").count() === 50);
  }, () => ({ at: `#/c/${long.id}` })),

  "the conversations, on a narrow page": looks("sidebar", async (page, { size }) => {
    if (size === NARROW) await page.getByRole("button", { name: "Show conversations" }).click();
    await sessions(page).getByRole("searchbox").waitFor();
    await sessions(page).getByRole("button", { name: /^Actions for/ }).first().click();
    await page.getByRole("menu").waitFor();
  }),

  "files": looks("files", async (page) => {
    await page.getByTestId("file-input").setInputFiles([
      { name: "numbers.csv", mimeType: "text/csv", buffer: Buffer.from("a,b\n1,2\n") },
      { name: "a very long name of a file that somebody gave it some time ago (final) (2).txt", mimeType: "text/plain", buffer: Buffer.from("text") },
    ]);
    await until(async () => await page.getByRole("list", { name: "Attached files" }).locator("[data-state=done]").count() === 2);
    await box(page).fill("What is in these files?\nA second line.");
  }),

  "an earlier message being edited": looks("editing", async (page) => {
    await ends(page);
    await articles(page).last().getByRole("button", { name: "Edit" }).click();
  }, () => ({ at: streaming.at })),

  "the palette": looks("palette", async (page) => {
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog").waitFor();
    await page.getByRole("option").nth(5).waitFor();
  }),

  "the keys": looks("keys", async (page) => {
    await page.keyboard.press("Control+/");
    await page.getByRole("dialog").waitFor();
  }),

  "a workflow before it starts": looks("workflow", (page) => page.getByTestId("graph").locator("g[data-node]").first().waitFor(), { at: "#/w/report", ready: false }),

  "a workflow as it runs": async (open) => {
    const held = gate();
    const run = await api("runs", { method: "POST", body: { workflow: "report", input: { topic: `birds ${held.word}` } } });
    await held.reached();
    await looks("workflow-running", (page) => page.locator("g[data-node=figures][data-state=done]").waitFor(), { at: `#/r/${run.id}`, ready: false })(open);
    await held.open();
    await held.open(1);
    await looks("workflow-done", async (page) => {
      await page.locator("g[data-node=write][data-state=done]").waitFor();
      await page.locator("g[data-node=history]").click();
    }, { at: `#/r/${run.id}`, ready: false })(open);
  },

  "not found": looks("not-found", (page) => page.getByTestId("problem").waitFor(), { at: "#/c/sess_0000000000000000000000000", expected: [/40\d/] }),

  "signing in": looks("sign-in", (page) => page.getByRole("textbox", { name: "API key" }).waitFor(), { base: keysUrl, ready: false, expected: [/401/] }),
});
