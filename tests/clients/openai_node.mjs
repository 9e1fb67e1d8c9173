// The package `openai` of npm.

import OpenAI from "openai";

import { finish, gate, key, keysUrl, test, tinyUrl, until, url } from "./lib.mjs";

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
const tiny = new OpenAI({ baseURL: `${tinyUrl}/v1`, apiKey: "any", maxRetries: 0 });
const said = (content) => [{ role: "user", content }];

function equal(seen, expected, what = "") {
  if (JSON.stringify(seen) !== JSON.stringify(expected)) {
    throw new Error(`${what}: ${JSON.stringify(seen)} is not ${JSON.stringify(expected)}`);
  }
}

async function raised(ask) {
  try {
    await ask();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was raised");
}

async function all(stream) {
  const seen = [];
  for await (const one of stream) seen.push(one);
  return seen;
}

await test("models are listed", async () => {
  const ids = (await client.models.list()).data.map((model) => model.id);
  equal(ids[0], "agent:assistant");
  for (const id of ["agent:caller", "workflow:pair", "llm:scripted"]) equal(ids.includes(id), true, id);
  equal((await client.models.retrieve("agent:caller")).id, "agent:caller");
});

await test("an agent answers", async () => {
  const answer = await client.chat.completions.create({ model: "agent:assistant", messages: said("hello") });
  equal(answer.choices[0].message.content, "Hello from Martlet.");
  equal(answer.usage.total_tokens, 18);
});

await test("an answer streams", async () => {
  const stream = client.chat.completions.stream({ model: "agent:assistant", messages: said("calculate") });
  let thoughts = "";
  stream.on("chunk", (chunk) => (thoughts += chunk.choices[0]?.delta.reasoning_content ?? ""));
  equal(await stream.finalContent(), "It is 42.");
  equal(thoughts.includes("print(6 * 7)"), true, thoughts);
});

await test("a plain model streams token by token", async () => {
  const stream = await client.chat.completions.create({ model: "llm:scripted", messages: said("story"), stream: true });
  const pieces = (await all(stream)).map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);
  equal(pieces.length > 5 && pieces.join("").startsWith("Once upon a time"), true, pieces);
});

await test("failures", async () => {
  const failed = await raised(() => client.chat.completions.create({ model: "assistant", messages: said("fail") }));
  equal([failed.status, failed.code], [502, "run_failed"]);
  const cut = await raised(async () =>
    all(await client.chat.completions.create({ model: "assistant", messages: said("fail"), stream: true })),
  );
  equal(cut.code, "run_failed");
  const unknown = await raised(() => client.chat.completions.create({ model: "gpt-4o", messages: said("x") }));
  equal([unknown.status, unknown.code, unknown.type], [404, "model_not_found", "invalid_request_error"]);
  const stranger = new OpenAI({ baseURL: `${keysUrl}/v1`, apiKey: "nothing" });
  equal((await raised(() => stranger.models.list())).status, 401);
  const known = new OpenAI({ baseURL: `${keysUrl}/v1`, apiKey: key });
  equal((await known.models.list()).data.length > 0, true);
});

await test("a full line", async () => {
  const held = gate();
  const first = await tiny.responses.create({ model: "assistant", input: `hold ${held.word}`, background: true });
  await held.reached();
  const second = await tiny.responses.create({ model: "assistant", input: "hello", background: true });
  equal(second.status, "queued");
  const refused = await raised(() => tiny.responses.create({ model: "assistant", input: "hello" }));
  equal(refused.status, 429);
  equal(Number(refused.headers.get("retry-after")) <= 120, true);
  for (const one of [second, first]) equal((await tiny.responses.cancel(one.id)).status, "cancelled");
});

await test("who leaves a stream stops the run", async () => {
  const held = gate();
  const stream = await client.chat.completions.create({
    model: "assistant", messages: said(`hold ${held.word}`), stream: true,
  });
  await held.reached();
  stream.controller.abort();
  await held.left();
});

await test("a response streams and is stored as it was told", async () => {
  const stream = client.responses.stream({ model: "agent:assistant", input: "calculate" });
  const events = await all(stream);
  const final = await stream.finalResponse();
  equal(events.at(-1).type, "response.completed");
  equal(final.output_text, "It is 42.");
  equal(final.output.map((item) => item.type), ["reasoning", "mcp_call", "mcp_call", "message"]);
  const stored = await client.responses.retrieve(final.id);
  equal(events.at(-1).response.output, stored.output);
});

await test("in the background, and read on from any place", async () => {
  const held = gate();
  const begun = await client.responses.create({
    model: "assistant", input: `wait then work ${held.word}`, background: true, stream: true,
  });
  const seen = [];
  await held.reached();
  await held.open();
  for await (const event of begun) {
    seen.push(event);
    if (event.type === "response.mcp_call.completed") break;
  }
  const id = seen[0].response.id;
  await held.open(1);
  await until(async () => (await client.responses.retrieve(id)).status === "completed");
  const after = seen.at(-1).sequence_number;
  const rest = await all(await client.responses.retrieve(id, { stream: true, starting_after: after }));
  const numbers = [...seen, ...rest].map((event) => event.sequence_number);
  equal(numbers, numbers.map((_, place) => place));
  equal(rest.at(-1).response.output_text ?? rest.at(-1).response.output.at(-1).content[0].text, "Both steps are done.");
});

await test("an approval", async () => {
  const asked = await client.responses.create({ model: "agent:caller", input: "both" });
  const request = asked.output.at(-1);
  equal([asked.status, request.type, request.name], ["completed", "mcp_approval_request", "python"]);
  const input = [{ type: "mcp_approval_response", approval_request_id: request.id, approve: true }];
  const stream = client.responses.stream({ model: "agent:caller", input, previous_response_id: asked.id });
  const final = await stream.finalResponse();
  equal(final.output_text.startsWith("Both done:"), true, final.output_text);
  const again = await client.responses.retrieve(final.id);
  equal(again.output, final.output.map(({ parsed, ...item }) => strip(item)));
  const items = await client.responses.inputItems.list(final.id);
  equal([items.data[0].type, items.data[0].approve], ["mcp_approval_response", true]);
});

// What the package adds to items.
function strip(item) {
  if (item.content) item.content = item.content.map(({ parsed, ...part }) => part);
  return item;
}

await test("what was said before goes on", async () => {
  const first = await client.responses.create({ model: "agent:assistant", input: "my name is Ada" });
  const second = await client.responses.create({
    model: "agent:assistant", input: "what did I say", previous_response_id: first.id,
  });
  equal(second.output_text, "You said that your name is Ada.");
});

finish();
