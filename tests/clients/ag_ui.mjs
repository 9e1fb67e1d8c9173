// The client of AG-UI.

import { HttpAgent } from "@ag-ui/client";
import { finish, gate, key, keysUrl, test, tinyUrl, until, url } from "./lib.mjs";

console.error = () => {};
const warnings = [];
console.warn = (...words) => warnings.push(words.join(" "));

let threads = 0;
const agent = (name, { to = url, query = "", headers, threadId, initialState } = {}) => {
  threads += 1;
  const made = new HttpAgent({
    url: `${to}/agui/${name}${query}`, headers, threadId: threadId ?? `thread ${process.pid} ${threads}`, initialState,
  });
  const events = [];
  made.subscribe({ onEvent: ({ event }) => { events.push(event); } });
  return Object.assign(made, { events });
};

let messages = 0;
const say = (agent, content) => {
  messages += 1;
  agent.addMessage({ id: `m${messages}`, role: "user", content });
};
const ask = (agent, content, parameters) => {
  say(agent, content);
  return agent.runAgent(parameters);
};
const kinds = (agent) => agent.events.map((event) => event.type);
const answer = (agent) => agent.messages.filter((message) => message.role === "assistant" && message.content).at(-1)?.content;

await test("an answer", async () => {
  const one = agent("assistant");
  const { result } = await ask(one, "hello");
  const finished = one.events.at(-1);
  const holds = result === "Hello from Martlet." && answer(one) === result && finished.outcome.type === "success"
    && finished.usage[0].inputTokens > 0;
  return holds || { result, messages: one.messages, finished };
});

await test("a story comes in pieces", async () => {
  const one = agent("caller");
  await ask(one, "story");
  const pieces = kinds(one).filter((kind) => kind === "TEXT_MESSAGE_CONTENT").length;
  const texts = one.messages.filter((message) => message.role === "assistant");
  return (pieces > 3 && texts.length === 1 && answer(one).startsWith("Once upon a time")) || one.events;
});

await test("steps, thoughts and programs", async () => {
  const one = agent("assistant");
  await ask(one, "calculate");
  const call = one.messages.flatMap((message) => message.toolCalls ?? [])[0];
  const result = one.messages.find((message) => message.role === "tool");
  const thought = one.messages.find((message) => message.role === "reasoning");
  const holds = call.function.name === "python" && JSON.parse(call.function.arguments).code.includes("6 * 7")
    && result.toolCallId === call.id && result.content.includes("42") && thought.content.includes("I calculate it.")
    && kinds(one).includes("STEP_STARTED") && answer(one) === "It is 42.";
  return holds || one.messages;
});

await test("the conversation is remembered", async () => {
  const one = agent("assistant");
  await ask(one, "my name is Ada");
  await ask(one, "what did I say?");
  return answer(one) === "You said that your name is Ada." || one.messages;
});

await test("a retry is the same run", async () => {
  const one = agent("assistant", { threadId: `retry ${process.pid}` });
  const first = await ask(one, "hello", { runId: "r1" });
  const again = agent("assistant", { threadId: `retry ${process.pid}` });
  const second = await ask(again, "hello", { runId: "r1" });
  const run = (agent) => agent.events[0].metadata.run;
  return (first.result === second.result && run(one) === run(again)) || [one.events, again.events];
});

await test("an error is told", async () => {
  const one = agent("assistant");
  await ask(one, "fail").catch(() => {});
  const failed = one.events.at(-1);
  return (failed.type === "RUN_ERROR" && failed.code === "failed" && failed.message.includes("the model refuses this")) || failed;
});

await test("a call interrupts the run until it is approved", async () => {
  const one = agent("caller");
  await ask(one, "careful");
  const [interrupt] = one.pendingInterrupts;
  const call = one.messages.flatMap((message) => message.toolCalls ?? [])[0];
  if (interrupt?.toolCallId !== call.id) return { interrupt, call };
  one.events.length = 0;
  await one.runAgent({ resume: [{ interruptId: interrupt.id, status: "resolved", payload: { approved: true } }] });
  const isShort = !kinds(one).includes("TOOL_CALL_START") && kinds(one).filter((kind) => kind === "TOOL_CALL_RESULT").length === 1;
  return (isShort && answer(one).includes("42") && one.pendingInterrupts.length === 0) || one.events;
});

await test("a call is edited, and a call is refused", async () => {
  const edited = agent("caller");
  await ask(edited, "careful");
  const editedArgs = { code: "# careful\n'edited'" };
  await edited.runAgent({
    resume: [{ interruptId: edited.pendingInterrupts[0].id, status: "resolved", payload: { approved: true, editedArgs } }],
  });
  const refused = agent("caller");
  await ask(refused, "both");
  await refused.runAgent({ resume: [{ interruptId: refused.pendingInterrupts[0].id, status: "cancelled" }] });
  const results = refused.messages.filter((message) => message.role === "tool").map((message) => message.content);
  const holds = answer(edited).includes("edited") && results.length === 2 && results.some((text) => text.startsWith("Not done:"));
  return holds || [edited.messages, results];
});

await test("a question is answered", async () => {
  for (const name of ["caller", "assistant"]) {
    const one = agent(name);
    await ask(one, "ask me");
    const [interrupt] = one.pendingInterrupts;
    if (interrupt?.message !== "Which colour?") return { name, interrupt, events: one.events };
    await one.runAgent({ resume: [{ interruptId: interrupt.id, status: "resolved", payload: { answer: "green" } }] });
    if (!answer(one).includes("green")) return one.messages;
  }
});

await test("a run is stopped by the client, and the model is left", async () => {
  const one = agent("assistant");
  const held = gate();
  const asking = ask(one, `hold ${held.word}`).catch(() => {});
  await held.reached();
  one.abortRun();
  await held.left();
  await asking;
});

await test("a run that somebody else cancels ends as that", async () => {
  const one = agent("assistant");
  const held = gate();
  const asking = ask(one, `hold ${held.word}`);
  await held.reached();
  await fetch(`${url}/api/v1/runs/${one.events[0].metadata.run}/cancel`, { method: "POST" });
  await held.left();
  await asking;
  return one.events.at(-1).outcome?.type === "cancelled" || one.events.at(-1);
});

await test("the graph of a workflow is a live activity", async () => {
  const held = gate();
  const one = agent("workflow:pair", { initialState: { topic: `birds ${held.word}` } });
  const asking = ask(one, "go");
  await held.reached();
  const graph = () => one.messages.find((message) => message.role === "activity");
  await until(() => graph()?.content.nodes.some((node) => node.status === "running"));
  await held.open();
  await asking;
  const statuses = graph().content.nodes.map((node) => `${node.id} ${node.status}`).join();
  const subagents = kinds(one).filter((kind) => kind === "SUBAGENT_FINISHED").length;
  const holds = graph().activityType === "DAG" && statuses === "left completed,right completed,joined completed" && subagents === 2;
  return holds || { statuses, kinds: kinds(one) };
});

await test("the place in the queue is told, and a full queue is refused", async () => {
  const held = gate();
  const first = agent("assistant", { to: tinyUrl });
  const asking = ask(first, `hold ${held.word}`);
  await held.reached();
  const second = agent("assistant", { to: tinyUrl });
  const waiting = ask(second, "hello");
  const queue = () => second.events.find((event) => event.type === "CUSTOM" && event.name === "queue");
  await until(queue);
  const third = agent("assistant", { to: tinyUrl });
  const refused = await ask(third, "hello").then(() => "none", (error) => `${error.status} ${error.message}`);
  await held.open();
  await Promise.all([asking, waiting]);
  return (refused.startsWith("429") && queue().value.position === 1 && answer(second) === "Hello from Martlet.") || refused;
});

await test("a key is needed where keys are", async () => {
  const mine = agent("assistant", { to: keysUrl, headers: { Authorization: `Bearer ${key}` } });
  await ask(mine, "hello");
  const nobody = agent("assistant", { to: keysUrl });
  const refused = await ask(nobody, "hello").then(() => "none", (error) => String(error.status));
  return (answer(mine) === "Hello from Martlet." && refused === "401") || refused;
});

await test("the client had nothing to complain of", () => warnings.filter((text) => text.includes("ag-ui")).join("\n") || undefined);

finish();
