// Files that come with a message.

import { answer, ask, box, ends, hasText, lastRun, same, say, sendButton, tests, truth, until } from "./lib.mjs";

const input = (page) => page.getByTestId("file-input");
const attached = (page) => page.getByRole("list", { name: "Attached files" });
const csv = { name: "numbers.csv", mimeType: "text/csv", buffer: Buffer.from("name,value\nmartlet,42\n") };

await tests({
  "a file is attached and read": async (open) => {
    const page = await open();
    await input(page).setInputFiles(csv);
    await hasText(attached(page), "numbers.csv");
    await attached(page).locator("[data-state=done]").waitFor();
    await ask(page, "read the file, please");
    await hasText(answer(page), "martlet,42");
    await attached(page).waitFor({ state: "hidden" });
  },

  "the progress of an upload is shown, and nothing is sent before it is there": async (open) => {
    const page = await open();
    // As slow as a telephone: 10 KB take a while, during which the state can be seen.
    let let_go;
    const gone = new Promise((resolve) => { let_go = resolve; });
    await page.route("**/api/v1/files**", async (route) => {
      await gone;
      await route.continue();
    });
    await input(page).setInputFiles({ name: "large.txt", mimeType: "text/plain", buffer: Buffer.alloc(300_000, "a line of text\n") });
    await attached(page).locator("[data-state=uploading]").waitFor();
    await attached(page).getByRole("progressbar").waitFor();
    await box(page).fill("read the file");
    truth(await sendButton(page).isDisabled(), "it cannot be sent yet");
    let_go();
    await attached(page).locator("[data-state=done]").waitFor();
    truth(await sendButton(page).isEnabled(), "it can be sent");
    await attached(page).getByRole("button", { name: "Remove large.txt" }).click();
    await attached(page).waitFor({ state: "hidden" });
  },

  "an upload that fails says so": async (open) => {
    const page = await open({ expected: [/Failed to load resource/] });
    await page.route("**/api/v1/files**", (route) => route.abort());
    await input(page).setInputFiles(csv);
    await page.getByTestId("problem").filter({ hasText: "numbers.csv" }).waitFor();
    await attached(page).waitFor({ state: "hidden" });
  },

  "files are dropped and pasted, too": async (open) => {
    const page = await open();
    const transfer = await page.evaluateHandle(() => {
      const data = new DataTransfer();
      data.items.add(new File(["dropped"], "dropped.txt", { type: "text/plain" }));
      return data;
    });
    const conversation = page.getByRole("region", { name: "Conversation" });
    await conversation.dispatchEvent("dragover", { dataTransfer: transfer });
    await conversation.dispatchEvent("drop", { dataTransfer: transfer });
    await hasText(attached(page), "dropped.txt");
    await box(page).evaluate((element) => {
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File(["pasted"], "pasted.txt", { type: "text/plain" }));
      element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    });
    await hasText(attached(page), "pasted.txt");
    await until(async () => await attached(page).locator("[data-state=done]").count() === 2);
    await say(page, "say hello");
    await ends(page);
    same(await lastRun(page).getAttribute("data-outcome"), "succeeded", "outcome");
  },
});
