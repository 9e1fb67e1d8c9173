// The AI SDK: `useChat` without its page.

import {
  AbstractChat, DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls, uiMessageChunkSchema,
} from "ai";
import { finish, gate, key, keysUrl, test, tinyUrl, until, url } from "./lib.mjs";

// What `@ai-sdk/react` keeps in a component, in an object.
class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => { this.messages = [...this.messages, message]; };
  popMessage = () => { this.messages = this.messages.slice(0, -1); };
  replaceMessage = (place, message) => {
    this.messages = this.messages.map((known, at) => (at === place ? message : known));
  };
  snapshot = structuredClone;
}

class Chat extends AbstractChat {
  constructor(options) {
    super({ ...options, state: new State() });
  }
}

let chats = 0;
const chat = ({ api = url, body = {}, headers, id, ...options } = {}) => {
  chats += 1;
  const seen = [];
  const transport = new DefaultChatTransport({ api: `${api}/api/chat`, body, headers });
  const made = new Chat({
    id: id ?? `chat ${process.pid} ${chats}`, transport, onData: (part) => seen.push(part), onError: () => {}, ...options,
  });
  return Object.assign(made, { seen });
};

const last = (chat) => chat.messages.at(-1);
const text = (chat) => last(chat).parts.filter((part) => part.type === "text").map((part) => part.text).join("");
const tools = (chat) => last(chat).parts.filter((part) => part.type === "dynamic-tool");

await test("an answer", async () => {
  const one = chat();
  await one.sendMessage({ text: "hello" });
  const { usage, run } = last(one).metadata;
  const holds = text(one) === "Hello from Martlet." && one.status === "ready" && usage.totalTokens > 0 && run === last(one).id;
  return holds || { messages: one.messages, error: one.error };
});

await test("every part is what the SDK's schema says", async () => {
  const schema = uiMessageChunkSchema?.();
  if (!schema) return;
  const body = JSON.stringify({ id: "schema", messages: [{ role: "user", parts: [{ type: "text", text: "calculate" }] }] });
  const response = await fetch(`${url}/api/chat`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const frames = (await response.text()).split("\n\n").filter((frame) => frame.startsWith("data: {"));
  for (const frame of frames) {
    const result = await schema.validate(JSON.parse(frame.slice(6)));
    if (!result.success) return { frame, error: String(result.error) };
  }
  return frames.length > 5 || frames;
});

await test("a story comes in pieces", async () => {
  const one = chat({ body: { agent: "caller" } });
  const lengths = new Set();
  let isDone = false;
  const asking = one.sendMessage({ text: "story" }).finally(() => { isDone = true; });
  const looking = until(() => {
    if (last(one)?.role === "assistant") lengths.add(text(one).length);
    return isDone;
  });
  await Promise.all([asking, looking]);
  return (lengths.size > 2 && text(one).startsWith("Once upon a time")) || { lengths: [...lengths], text: text(one) };
});

await test("steps, thoughts and programs", async () => {
  const one = chat();
  await one.sendMessage({ text: "calculate" });
  const { parts } = last(one);
  const [python] = tools(one);
  const holds = python.toolName === "python" && python.state === "output-available" && python.input.code.includes("6 * 7")
    && parts.some((part) => part.type === "step-start")
    && parts.some((part) => part.type === "reasoning" && part.text.includes("I calculate it."))
    && text(one) === "It is 42." && one.seen.some((part) => part.type === "data-usage");
  return holds || parts;
});

await test("the conversation is remembered", async () => {
  const one = chat();
  await one.sendMessage({ text: "my name is Ada" });
  await one.sendMessage({ text: "what did I say?" });
  return text(one) === "You said that your name is Ada." || one.messages;
});

await test("an answer is made anew", async () => {
  const one = chat();
  await one.sendMessage({ text: "hello" });
  const first = last(one).id;
  await one.regenerate();
  return (text(one) === "Hello from Martlet." && last(one).id !== first && one.messages.length === 2) || one.messages;
});

await test("an error is told", async () => {
  const one = chat();
  await one.sendMessage({ text: "fail" });
  return (one.status === "error" && one.error.message.includes("the model refuses this")) || String(one.error);
});

await test("a call is approved, and the same run goes on by itself", async () => {
  const one = chat({
    body: { agent: "caller" }, sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  });
  await one.sendMessage({ text: "careful" });
  const [asked] = tools(one);
  if (asked?.state !== "approval-requested") return { messages: one.messages, error: String(one.error) };
  const id = last(one).id;
  await one.addToolApprovalResponse({ id: asked.approval.id, approved: true });
  await until(() => one.status === "ready" && text(one).includes("Seen:"));
  const holds = last(one).id === id && tools(one).length === 1 && tools(one)[0].state === "output-available"
    && text(one).includes("42") && one.messages.length === 2;
  return holds || one.messages;
});

await test("a call is refused", async () => {
  const one = chat({
    body: { agent: "caller" }, sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  });
  await one.sendMessage({ text: "both" });
  const asked = tools(one).find((part) => part.state === "approval-requested");
  if (!asked) return one.messages;
  await one.addToolApprovalResponse({ id: asked.approval.id, approved: false, reason: "not today" });
  await until(() => one.status === "ready" && text(one).includes("Both done:"));
  const states = tools(one).map((part) => part.state).sort();
  return states.join() === "output-available,output-denied" || tools(one);
});

await test("a question is answered as the output of its call", async () => {
  for (const agent of ["caller", "assistant"]) {
    const one = chat({ body: { agent }, sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls });
    await one.sendMessage({ text: "ask me" });
    const asked = tools(one).find((part) => part.toolName === "ask_user");
    if (asked?.state !== "input-available") return one.messages;
    await one.addToolOutput({ tool: "ask_user", toolCallId: asked.toolCallId, output: "green" });
    await until(() => one.status === "ready" && text(one).includes("Seen:"));
    if (!text(one).includes("green")) return one.messages;
  }
});

await test("a run is come back to", async () => {
  const one = chat();
  const held = gate();
  const asking = one.sendMessage({ text: `hold ${held.word}` });
  await held.reached();
  // The page is loaded again.
  await one.stop();
  await asking;
  const again = chat({ id: one.id });
  const back = again.resumeStream();
  await until(() => again.status !== "ready");
  await held.open();
  await back;
  const isDone = text(again) === "Held and let go.";
  const idle = chat({ id: one.id });
  await idle.resumeStream();
  return (isDone && idle.messages.length === 0 && idle.status === "ready") || { again: again.messages, idle: idle.messages };
});

await test("a run is stopped, and the model is left", async () => {
  const one = chat();
  const held = gate();
  const asking = one.sendMessage({ text: `hold ${held.word}` });
  await held.reached();
  await fetch(`${url}/api/chat/${encodeURIComponent(one.id)}/stop`, { method: "POST" });
  await held.left();
  await asking;
  const two = chat({ body: { disconnect: "cancel" } });
  const other = gate();
  const again = two.sendMessage({ text: `hold ${other.word}` });
  await other.reached();
  await two.stop();
  await other.left();
  await again;
  return (one.status === "ready" && two.status === "ready") || [one.status, two.status];
});

await test("the graph of a workflow is live", async () => {
  const [left, right] = [gate(), gate()];
  const topic = "birds";
  const one = chat({ body: { workflow: "pair", input: { topic: `${topic} ${left.word}` } } });
  const asking = one.sendMessage({ text: "go" });
  await left.reached();
  const graph = () => last(one)?.parts?.find((part) => part.type === "data-dag")?.data;
  await until(() => graph()?.nodes.some((node) => node.status === "running"));
  await left.open();
  await right.open();
  await asking;
  const statuses = graph().nodes.map((node) => `${node.id} ${node.status}`).join();
  const agents = last(one).parts.filter((part) => part.type === "data-subagent");
  const holds = statuses === "left completed,right completed,joined completed" && agents.length === 2
    && agents.every((part) => part.data.status === "completed");
  return holds || { statuses, parts: last(one).parts };
});

await test("the place in the queue is told, and a full queue is refused", async () => {
  const held = gate();
  const first = chat({ api: tinyUrl });
  const asking = first.sendMessage({ text: `hold ${held.word}` });
  await held.reached();
  const second = chat({ api: tinyUrl });
  const waiting = second.sendMessage({ text: "hello" });
  await until(() => second.seen.some((part) => part.type === "data-queue"));
  const third = chat({ api: tinyUrl });
  await third.sendMessage({ text: "hello" });
  const refused = third.status === "error" && /queue_full|user_limit/.test(third.error.message);
  await held.open();
  await Promise.all([asking, waiting]);
  const place = second.seen.find((part) => part.type === "data-queue").data;
  return (refused && place.position === 1 && text(second) === "Hello from Martlet.") || { error: String(third.error), place };
});

await test("an image comes along, and no address is fetched", async () => {
  const png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const one = chat();
  await one.sendMessage({ text: "hello", files: [{ type: "file", mediaType: "image/png", filename: "dot.png", url: png }] });
  const two = chat();
  const elsewhere = { type: "file", mediaType: "image/png", url: "http://169.254.169.254/x.png" };
  await two.sendMessage({ text: "hello", files: [elsewhere] });
  return (text(one) === "Hello from Martlet." && two.status === "error") || { one: one.messages, two: two.status };
});

await test("a key is needed where keys are", async () => {
  const mine = chat({ api: keysUrl, headers: { Authorization: `Bearer ${key}` } });
  await mine.sendMessage({ text: "hello" });
  const nobody = chat({ api: keysUrl });
  await nobody.sendMessage({ text: "hello" });
  return (text(mine) === "Hello from Martlet." && nobody.error.message.includes("unauthorized")) || String(nobody.error);
});

finish();
