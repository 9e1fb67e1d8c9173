// The client of Gradio for JavaScript.

import { Client } from "@gradio/client";
import { check, finish, gate, key, keysUrl, test, tinyUrl, until, url } from "./lib.mjs";

const connect = (to = url, options = {}) => Client.connect(to, { events: ["data", "status", "log"], ...options });
// What it says of streams that it closes itself is no news.
console.error = () => {};

const app = await connect();

await test("the agents are endpoints", async () => {
  const { named_endpoints } = await app.view_api();
  const names = named_endpoints["/chat"].parameters.map((parameter) => parameter.parameter_name);
  return "/caller" in named_endpoints && names.join() === "message,history,web_search" ? undefined : named_endpoints;
});

await test("predict gives the answer", async () => {
  const byPlace = await app.predict("/chat", ["hello"]);
  const byName = await app.predict("/predict", { message: { text: "hello", files: [] } });
  const byNumber = await app.predict(0, ["hello"]);
  const answers = [byPlace, byName, byNumber].map((result) => result.data[0]);
  return answers.every((answer) => answer === "Hello from Martlet.") || answers;
});

await test("what is done is shown while it is, and at last the answer", async () => {
  const values = [];
  const stages = new Set();
  for await (const event of app.submit("/caller", ["calculate"])) {
    if (event.type === "data") values.push(event.data[0]);
    if (event.type === "status") stages.add(event.stage);
  }
  const shown = values.some((value) => value.includes("python"));
  const isDone = stages.has("generating") && stages.has("complete") && values.at(-1) === "It is 42.";
  return (shown && isDone) || { values, stages: [...stages] };
});

await test("a story comes in pieces", async () => {
  const values = [];
  for await (const event of app.submit("/caller", ["story"])) {
    if (event.type === "data") values.push(event.data[0]);
  }
  const grows = values.slice(1).every((value, place) => value.startsWith(values[place]));
  return (values.length > 4 && grows && values.at(-1).startsWith("Once upon a time")) || values;
});

await test("the conversation of a client is remembered", async () => {
  const own = await connect();
  await own.predict("/chat", ["my name is Ada"]);
  const answer = (await own.predict("/chat", ["what did I say?"])).data[0];
  return answer === "You said that your name is Ada." || answer;
});

await test("many calls at once", async () => {
  const results = await Promise.all(Array.from({ length: 8 }, () => app.predict("/predict", ["hello"])));
  return results.every((result) => result.data[0] === "Hello from Martlet.") || results;
});

await test("an error is told", async () => {
  const error = await app.predict("/predict", ["fail"]).then(() => "none", (error) => error.message);
  return error.includes("the model refuses this") || error;
});

await test("a call is cancelled, and the model is left", async () => {
  const held = gate();
  const job = app.submit("/predict", [`hold ${held.word}`]);
  const stages = [];
  const reading = (async () => {
    for await (const event of job) if (event.type === "status") stages.push(event.stage);
  })();
  await held.reached();
  await job.cancel();
  await held.left();
  await reading;
  return stages.at(-1) === "error" || stages;
});

await test("the place in the queue is told, and a full queue is refused", async () => {
  const tiny = await connect(tinyUrl);
  const held = gate();
  const first = tiny.predict("/predict", [`hold ${held.word}`]);
  await held.reached();
  const places = [];
  const second = (async () => {
    let value;
    for await (const event of tiny.submit("/predict", ["hello"])) {
      if (event.type === "status" && event.position !== undefined) places.push([event.position, event.size]);
      if (event.type === "data") value = event.data[0];
    }
    return value;
  })();
  await until(() => places.length > 0);
  const refused = await tiny.predict("/predict", ["hello"]).then(() => "none", (error) => error.message);
  await held.open();
  const answers = [(await first).data[0], await second];
  const holds = places[0].join() === "0,1" && refused.includes("busy");
  return (holds && answers.join() === "Held and let go.,Hello from Martlet.") || { places, refused, answers };
});

await test("a person is waited for", async () => {
  const log = [];
  const job = app.submit("/caller", ["careful"]);
  const reading = (async () => {
    let value;
    for await (const event of job) {
      if (event.type === "log") log.push(event.log);
      if (event.type === "data") value = event.data[0];
    }
    return value;
  })();
  await until(() => log.length > 0);
  const id = /appr_\w+/.exec(log[0])[0];
  const body = JSON.stringify({ decision: "deny", reason: "not today" });
  await fetch(`${url}/api/v1/approvals/${id}`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const value = await reading;
  return value.includes("not today") || value;
});

await test("a file comes along", async () => {
  const file = new Blob(["a,b\n1,2\n"], { type: "text/csv" });
  const { data } = await app.predict("/predict", [{ text: "hello", files: [file] }]);
  const kept = await (await fetch(`${url}/api/v1/files`)).json();
  return (data[0] === "Hello from Martlet." && kept.files[0].media_type === "text/csv") || { data, kept };
});

await test("a key is shown as a header", async () => {
  const mine = await connect(keysUrl, { headers: { authorization: `Bearer ${key}` } });
  const answer = (await mine.predict("/predict", ["hello"])).data[0];
  const held = gate();
  const job = mine.submit("/predict", [`hold ${held.word}`]);
  await held.reached();
  await job.cancel();
  await held.left();
  const refused = await connect(keysUrl).then(() => "let in", (error) => error.message);
  return (answer === "Hello from Martlet." && refused !== "let in") || { answer, refused };
});

check("it stayed up", (await fetch(`${url}/livez`)).ok);
finish();
