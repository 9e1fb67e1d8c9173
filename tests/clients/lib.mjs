// What the programs of this folder share.

let failures = 0;

/** Prints one line for a check, and remembers a failure. */
export function check(name, holds, detail) {
  console.log(`${holds ? "ok  " : "FAIL"} ${name}`);
  if (!holds) {
    failures += 1;
    console.log(`     ${typeof detail === "string" ? detail : JSON.stringify(detail)}`);
  }
}

/** Runs a check that may throw. What it returns is the detail of a failure; nothing or true is a success. */
export async function test(name, body) {
  try {
    const seen = await body();
    check(name, seen === undefined || seen === true, seen);
  } catch (error) {
    check(name, false, error?.stack ?? String(error));
  }
}

/** Ends the program: what clients leave open must not keep it. */
export function finish() {
  process.exit(failures === 0 ? 0 : 1);
}

export const url = process.env.MARTLET_URL;
export const tinyUrl = process.env.MARTLET_TINY_URL;
export const keysUrl = process.env.MARTLET_KEYS_URL;
export const modelUrl = process.env.MARTLET_MODEL_URL;
export const key = process.env.MARTLET_KEY;

let gates = 0;

/** A gate of the model: put `gate.word` into a question that the script holds. */
export function gate() {
  gates += 1;
  const name = `g${process.pid}x${gates}`;
  const call = async (method, rest) => {
    const answer = await fetch(`${modelUrl}/gates/${name}${rest}`, { method });
    if (!answer.ok) throw new Error(`the gate ${name}${rest}: ${answer.status}`);
  };
  return {
    word: `gate:${name}`,
    /** Lets the answer of a turn go on. */
    open: (turn = 0) => call("POST", turn ? `-${turn}` : ""),
    /** Waits until the model was asked and holds its answer. */
    reached: (turn = 0) => call("GET", turn ? `-${turn}` : ""),
    /** Waits until the model sees that its answer is no longer wanted. */
    left: (turn = 0) => call("GET", `${turn ? `-${turn}` : ""}/left`),
  };
}

/** Asks again and again until the answer is one that is wanted; the time limit is for faults. */
export async function until(ask, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await ask();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error(`still not so after ${seconds} s: ${ask}`);
    await new Promise((go) => setTimeout(go, 20));
  }
}
