// A server that asks who comes.

import { answer, api, articles, ask, box, hasText, key, keysUrl, overflow, same, sessions, tests, truth, until } from "./lib.mjs";

const field = (page) => page.getByRole("textbox", { name: "API key" });
// The page asks who one is, and is told that nobody knows.
const closed = { base: keysUrl, ready: false, expected: [/401/] };

await tests({
  "a key opens the door, and stays open": async (open) => {
    const page = await open({ ...closed, expected: [/401|404/] });
    await field(page).waitFor();
    same(await box(page).isVisible(), false, "the box is there before");
    await field(page).fill("mrt_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await hasText(page.getByTestId("problem"), "not valid");
    await field(page).fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await box(page).waitFor();
    await ask(page, "say hello");
    await hasText(answer(page), "Hello!");
    await page.reload();
    await hasText(answer(page), "Hello!");
    // The key is nowhere where a script could read it.
    const readable = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]));
    truth(!readable.includes(key.slice(0, 12)) && !readable.includes("mrt_"), `the key can be read: ${readable}`);
    const cookies = await page.context().cookies();
    truth(cookies.length > 0 && cookies.every((cookie) => cookie.httpOnly && cookie.sameSite !== "None"), JSON.stringify(cookies.map(({ value, ...rest }) => rest)));
    const conversation = page.url();

    await page.getByRole("button", { name: "Sign out" }).click();
    await field(page).waitFor();
    same(await page.context().cookies(), [], "cookies after signing out");
    // Somebody else sees nothing of it.
    await field(page).fill(process.env.MARTLET_OTHER_KEY);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByTestId("problem").or(box(page)).first().waitFor();
    await page.goto(conversation);
    await until(async () => await articles(page).count() === 0);
    same(await sessions(page).getByRole("link", { name: "say hello" }).count(), 0, "conversations of others");
  },

  "the cookie is for this page alone": async (open) => {
    const page = await open(closed);
    await field(page).fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await box(page).waitFor();
    const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
    const status = async (headers, method = "GET", path = "me") => (await fetch(`${keysUrl}/api/v1/${path}`, { method, headers: { cookie, ...headers }, body: method === "POST" ? "{}" : undefined })).status;
    same(await status({}), 200, "with the cookie");
    truth([400, 401, 403].includes(await status({ origin: "https://evil.example", "sec-fetch-site": "cross-site", "content-type": "application/json" }, "POST", "sessions")), "a page of another site may not write with it");
  },

  "the door fits a narrow page": async (open) => {
    const page = await open({ ...closed, size: { width: 360, height: 640 } });
    await field(page).waitFor();
    same(await overflow(page), "", "overflow");
    await api("me", { base: keysUrl, headers: { authorization: `Bearer ${key}` } });
  },
});
