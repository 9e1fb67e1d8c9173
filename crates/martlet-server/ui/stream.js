// Following a run: every stored event once and in order, whatever happens to the connection.

import { openStream } from './api.js';

/** The server says something every 15 seconds. */
const SILENCE_MS = 45_000;
const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 15_000;
/** Reasons for which a stream ends that come again would not mend. */
const FINAL = new Set(['gone', 'unauthorized']);

/**
 * Follows the run until it has ended. `on` has `event(event)` for what is stored, `passing(name, data)` for what is not,
 * `connection(state)` with `live` or `lost`, `end(data)`, and `failed(problem)` if it cannot be followed.
 * `first` is a stream of its events that was opened already. Gives a function that ends it.
 */
export function follow(run, on, first = null) {
  const leave = new AbortController();
  let last = 0;
  let pause = FIRST_PAUSE_MS;

  async function read() {
    const connection = new AbortController();
    const cut = () => connection.abort();
    leave.signal.addEventListener('abort', cut);
    let silence = 0;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(cut, SILENCE_MS);
    };
    try {
      heard();
      const headers = last ? { 'last-event-id': String(last) } : {};
      const body = first ?? await openStream(`runs/${encodeURIComponent(run)}/events`, headers, connection.signal);
      first = null;
      on.connection?.('live');
      for await (const frame of frames(body, heard, connection.signal)) {
        pause = FIRST_PAUSE_MS;
        const data = JSON.parse(frame.data);
        if (frame.name === 'end') {
          if (data.state === 'ended' || FINAL.has(data.reason)) return data;
          break;
        }
        if (frame.name) on.passing?.(frame.name, data);
        else if (data.id > last) {
          last = data.id;
          on.event(data);
        }
      }
    } finally {
      clearTimeout(silence);
      leave.signal.removeEventListener('abort', cut);
      connection.abort();
    }
    return null;
  }

  async function keepOn() {
    while (!leave.signal.aborted) {
      try {
        const end = await read();
        if (end) {
          on.end?.(end);
          return;
        }
      } catch (problem) {
        if (leave.signal.aborted) return;
        // What the request itself is told will not be told otherwise the next time.
        if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
          on.failed?.(problem);
          return;
        }
      }
      if (leave.signal.aborted) return;
      on.connection?.('lost');
      await rest(pause * (0.75 + Math.random() / 2), leave.signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  keepOn();
  return () => leave.abort();
}

/** Waits, but no longer than until the network is back or nobody follows any more. */
function rest(ms, signal) {
  return new Promise((wake) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      wake();
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}

/** The frames of a stream of server-sent events. */
async function* frames(body, heard, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  // A stream that was opened by somebody else does not end with our signal.
  signal.addEventListener('abort', () => reader.cancel().catch(() => {}));
  let buffer = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      buffer += value;
      let from = 0;
      for (let to; (to = buffer.indexOf('\n\n', from)) >= 0; from = to + 2) {
        const frame = parse(buffer.slice(from, to));
        if (frame.data) yield frame;
      }
      buffer = buffer.slice(from);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(text) {
  const frame = { name: '', data: '' };
  for (const line of text.split('\n')) {
    if (line.startsWith('data:')) frame.data += line.slice(line[5] === ' ' ? 6 : 5);
    else if (line.startsWith('event:')) frame.name = line.slice(6).trim();
  }
  return frame;
}
