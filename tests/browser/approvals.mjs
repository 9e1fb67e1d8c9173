// Questions to a person: in their place, in all conversations, with the keys.

import { answer, api, approval, ends, hasText, lastRun, same, say, tests, truth, until, box, articles } from "./lib.mjs";

const button = (page, name) => approval(page).getByRole("button", { name, exact: true });
const field = (page, name) => approval(page).getByRole("textbox", { name, exact: true });
const gone = async (page) => approval(page).waitFor({ state: "detached" });

/** Starts what waits for a person. */
async function asked(page, text = "pay the invoice") {
  await say(page, text, "clerk");
  await approval(page).waitFor();
}

await tests({
  "a call is shown to the letter and allowed once": async (open) => {
    const page = await open();
    await asked(page);
    same(await approval(page).getAttribute("aria-label"), "Approval: python", "its name");
    await hasText(approval(page), "# careful");
    await hasText(approval(page), "print('paid', 80)");
    await hasText(approval(page), "it may change something for good");
    same(await lastRun(page).getAttribute("data-state"), "waiting", "state");
    await button(page, "Allow once").click();
    await gone(page);
    await ends(page);
    await hasText(answer(page), "paid 80");
    truth(await box(page).evaluate((element) => element === document.activeElement), "the focus is back in the box");
  },

  "a call is denied, and the agent is told why": async (open) => {
    const page = await open();
    await asked(page);
    await field(page, "Reason").fill("it was paid yesterday");
    await button(page, "Deny").click();
    await gone(page);
    await ends(page);
    await hasText(answer(page), "it was paid yesterday");
    truth(!(await answer(page).textContent()).includes("paid 80"), "it was not made");
    await hasText(lastRun(page), "denied");
  },

  "the arguments are edited": async (open) => {
    const page = await open();
    await asked(page);
    await button(page, "Edit arguments").click();
    await field(page, "Arguments").fill("{\"code\": ");
    await hasText(approval(page), "not JSON yet");
    await field(page, "Arguments").fill(JSON.stringify({ code: "print('paid', 8)" }));
    await approval(page).getByRole("button", { name: /^Allow once/ }).click();
    await gone(page);
    await ends(page);
    await hasText(answer(page), "paid 8");
    truth(!(await answer(page).textContent()).includes("paid 80"), "the first arguments were not used");
  },

  "a tool is allowed for the run": async (open) => {
    const page = await open();
    await asked(page, "pay twice");
    await button(page, "Allow for this run").click();
    await gone(page);
    await ends(page);
    await hasText(answer(page), "payment 1");
    same(await approval(page).count(), 0, "further questions");
    // Once is once.
    await asked(page, "pay twice");
    const first = await approval(page).getAttribute("data-approval");
    await button(page, "Allow once").click();
    await until(async () => ![null, first].includes(await approval(page).getAttribute("data-approval", { timeout: 1000 }).catch(() => null)));
    await button(page, "Deny").click();
    await ends(page);
  },

  "a question is answered in words": async (open) => {
    const page = await open();
    await say(page, "ask me a colour", "assistant");
    await approval(page).waitFor();
    await hasText(approval(page), "Which colour do you like?");
    await field(page, "Your answer").fill("green");
    await button(page, "Answer").click();
    await gone(page);
    await ends(page);
    await hasText(answer(page), "You like green");
  },

  "keys decide only where the card has the focus": async (open) => {
    const page = await open();
    await asked(page);
    await box(page).press("a");
    await box(page).fill("");
    await page.locator("body").press("a");
    await page.locator("body").press("d");
    same(await approval(page).count(), 1, "the question is still there");
    const { approvals } = await api("approvals?limit=200");
    truth(approvals.length >= 1, "nothing was decided");
    await approval(page).focus();
    await page.keyboard.press("d");
    await gone(page);
    await ends(page);
    await asked(page);
    await approval(page).focus();
    await page.keyboard.press("a");
    await gone(page);
    await ends(page);
    await hasText(answer(page), "paid 80");
  },

  "what waits is told in all conversations, also after a reload": async (open) => {
    const page = await open();
    const badge = page.getByTestId("approvals-badge");
    await asked(page);
    const there = page.url();
    const id = await approval(page).getAttribute("data-approval");
    await badge.waitFor();
    const { approvals: before } = await api("approvals?limit=200");
    await hasText(badge, String(before.length));
    await page.getByRole("button", { name: "New conversation" }).click();
    await until(async () => await articles(page).count() === 0);
    await hasText(badge, String(before.length));
    await page.reload();
    await badge.waitFor();
    await badge.click();
    const dialog = page.getByRole("dialog");
    await dialog.locator(`[data-approval="${id}"]`).getByRole("button", { name: "Allow once" }).click();
    if (before.length === 1) await badge.waitFor({ state: "hidden" });
    else await hasText(badge, String(before.length - 1));
    await page.goto(there);
    await ends(page);
    await hasText(answer(page), "paid 80");
  },

  "who decides elsewhere takes the card away": async (open) => {
    const page = await open();
    await asked(page);
    const id = await approval(page).getAttribute("data-approval");
    const { digest } = (await api("approvals?limit=200")).approvals.find((one) => one.id === id);
    await api(`approvals/${id}`, { method: "POST", body: { decision: "approve", digest } });
    await gone(page);
    await ends(page);
  },
});
