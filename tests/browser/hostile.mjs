// Answers that mean harm: shown, and inert.

import { answer, ask, box, conversation, overflow, picture, same, tests, truth, until, url } from "./lib.mjs";

const ANSWERS = ["scripts", "images", "references", "links", "vectors", "table", "lines", "bidi", "card", "form"];

/** What an answer must not bring into the page. */
function findings() {
  const place = document.querySelector("section[aria-label=Conversation]");
  const found = [];
  const inside = [...document.querySelectorAll("[data-testid=answer], details[data-kind]")];
  for (const element of inside.flatMap((one) => [...one.querySelectorAll("*")])) {
    const name = element.tagName.toLowerCase();
    const isOwn = element.closest("summary") || element.closest("button")?.closest(".block");
    if (["script", "style", "link", "meta", "base", "iframe", "object", "embed", "form", "input", "textarea", "select", "video", "audio", "math", "dialog", "template", "picture", "source", "img"].includes(name)) found.push(`an element ${name}`);
    if (["svg", "button"].includes(name) && !isOwn) found.push(`an element ${name}`);
    for (const { name: attribute, value } of element.attributes) {
      if (/^on/.test(attribute)) found.push(`a handler ${attribute}`);
      if (!isOwn && ["style", "srcset", "action", "formaction", "ping", "background", "popovertarget", "srcdoc", "xlink:href"].includes(attribute)) found.push(`an attribute ${attribute}`);
      if (attribute === "href" && !/^(https?:|mailto:)/i.test(value)) found.push(`a link to ${value}`);
      if (attribute === "id" || attribute === "name") found.push(`a name ${value}`);
      if (attribute.startsWith("data-") && ["data-approval", "data-run"].includes(attribute)) found.push(`a false ${attribute}`);
    }
    if (name === "a" && (element.rel !== "noopener noreferrer nofollow" || element.target !== "_blank")) found.push(`a link with rel ${element.rel}`);
  }
  if (document.querySelectorAll("[data-approval], section[role=alert]").length) found.push("a false approval card");
  if (globalThis.__hostile) found.push(`a script ran: ${globalThis.__hostile}`);
  if (document.body.textContent.length && getComputedStyle(document.body).display === "none") found.push("the page is hidden");
  if (document.querySelectorAll("#app, #message").length !== 2) found.push("names of the page are taken twice");
  if (!place) found.push("the conversation is gone");
  return found;
}

const bodies = {};
for (const name of ANSWERS) {
  bodies[`hostile ${name}`] = async (open) => {
    const page = await open();
    // This agent answers in plain words: whatever they are, they are no part of a program.
    await ask(page, `hostile ${name}`, "clerk");
    await until(async () => await answer(page).evaluate((element) => !element.classList.contains("plain")));
    truth((await answer(page).textContent()).includes(`END ${name}`), "the end of the answer is shown");
    // Everything that was written is there to be seen, too.
    for (const summary of await conversation(page).locator("details > summary").all()) {
      if (!await summary.evaluate((element) => element.parentElement.open)) await summary.click();
    }
    same(await page.evaluate(findings), [], "findings");
    same(await overflow(page), "", "overflow");
    await page.setViewportSize({ width: 390, height: 844 });
    same(await overflow(page), "", "overflow at 390");
    await answer(page).evaluate((element) => element.scrollIntoView({ block: "start" }));
    await picture(page, `hostile-${name}-390`);
    await page.setViewportSize({ width: 1280, height: 800 });
    await answer(page).evaluate((element) => element.scrollIntoView({ block: "start" }));
    await picture(page, `hostile-${name}-1280`);
    await box(page).fill("the page still works");
    same(new URL(page.url()).origin, new URL(url).origin, "origin");
  };
}

bodies["titles, questions and file names are text"] = async (open) => {
  const page = await open();
  await page.getByTestId("file-input").setInputFiles({ name: "<img src=x onerror=alert(1)>.txt", mimeType: "text/plain", buffer: Buffer.from("x") });
  await page.getByRole("list", { name: "Attached files" }).locator("[data-state=done]").waitFor();
  await ask(page, "say hello <img src=x onerror=\"window.__hostile='question'\"><script>window.__hostile='question'</script>");
  await page.getByRole("navigation", { name: "Conversations" }).getByRole("link", { name: /<img src=x/ }).first().waitFor();
  same(await page.evaluate(findings), [], "findings");
  same(await page.locator("img").count(), 0, "images");
};

bodies["what comes by the address is text"] = async (open) => {
  for (const at of ["#/c/<img src=x onerror=alert(1)>", "#/w/<img src=x onerror=alert(1)>", "#/r/%3Cscript%3Ealert(1)%3C/script%3E", "#/w/javascript:alert(1)", "#/c/..%2f..%2fopenapi.json"]) {
    const page = await open({ at, ready: false, expected: [/40\d/] });
    await page.getByTestId("problem").first().waitFor();
    same(await page.locator("img").count(), 0, "images");
  }
};

await tests(bodies);
