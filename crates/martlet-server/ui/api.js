// Asking the server. Addresses are relative, so that the page also works where the server is nested below a path.

const BASE = 'api/v1/';

/** What went wrong, and what to do about it. */
class Problem extends Error {
  constructor({ code, status = 0, title, detail, todo, retryAfter = null }) {
    super(detail);
    Object.assign(this, { code, status, title, detail, retryAfter, todo: todo ?? advice(code, retryAfter) });
  }
}

function advice(code, retryAfter) {
  const later = retryAfter ? `Try again in ${retryAfter} s.` : 'Try again in a moment.';
  const known = {
    unauthorized: 'Sign in again.',
    forbidden: 'Ask whoever runs the server for a key that may do this.',
    not_found: 'It may have been deleted. Choose another conversation.',
    queue_full: `The server is busy. ${later}`,
    user_limit: `Wait until one of your runs has ended, or stop one. ${later}`,
    payload_too_large: 'Send less: files may have 25 MB each.',
    unsupported_media_type: 'Save the file in another format and attach it again.',
    conflict: 'Reload the conversation to see how things stand.',
    already_decided: 'Nothing is left to do: the conversation shows what was decided.',
    draining: `The server is being restarted. ${later}`,
    storage_full: 'Tell whoever runs the server: its disk is full.',
    storage_unavailable: later,
    internal: 'Tell whoever runs the server, with the number above.',
    unreachable: 'Check the connection. The page keeps trying.',
    bad_request: 'Change what is named above and send it again.',
  };
  return known[code] ?? later;
}

/** The problem that an answer tells of. */
async function problemOf(response) {
  const retryAfter = Number(response.headers.get('retry-after')) || null;
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Something on the way answered, and not the server.
  }
  return new Problem({
    code: body?.error?.code ?? `http_${response.status}`,
    status: response.status,
    title: body?.title ?? `The server answered ${response.status}`,
    detail: body?.detail ?? 'It did not say why.',
    retryAfter,
  });
}

let skewMs = 0;

/** What time it is at the server, whose times are shown: clocks of computers differ. */
export function serverNow() {
  return Date.now() - skewMs;
}

function noteTime(response) {
  const difference = Date.now() - Date.parse(response.headers.get('date') ?? '');
  // The header knows seconds alone, and answers take their time.
  if (difference) skewMs = Math.abs(difference) > 5000 ? difference : 0;
}

function unreachable(error) {
  return new Problem({
    code: 'unreachable',
    title: 'The server cannot be reached',
    detail: `Nothing answers at ${location.host}.`,
    cause: error,
  });
}

/** Called when the server no longer knows who asks. */
export const whenStrange = { tell: () => {} };

async function ask(method, path, options) {
  const response = await answer(method, path, options);
  return response.status === 204 ? null : response.json();
}

async function answer(method, path, { body, headers = {}, signal, cache } = {}) {
  let response;
  try {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    response = await fetch(BASE + path, {
      method, signal, cache, credentials: 'same-origin',
      headers: { accept: 'application/json', ...type, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw unreachable(error);
  }
  noteTime(response);
  if (!response.ok) {
    const problem = await problemOf(response);
    if (response.status === 401 && path !== 'sign-in') whenStrange.tell();
    throw problem;
  }
  return response;
}

export const get = (path, options) => ask('GET', path, options);
export const post = (path, body, options) => ask('POST', path, { ...options, body });
export const patch = (path, body) => ask('PATCH', path, { body });
export const remove = (path) => ask('DELETE', path);

/** A query of those members that have a value. */
export function query(members) {
  const search = new URLSearchParams(Object.entries(members).filter(([, value]) => value !== null && value !== undefined && value !== ''));
  return search.size ? `?${search}` : '';
}

/** Opens a stream of server-sent events; the caller reads its body. */
export async function openStream(path, headers, signal) {
  return (await answer('GET', path, { headers: { ...headers, accept: 'text/event-stream' }, signal, cache: 'no-store' })).body;
}

/** Starts a run. */
export function startRun(body) {
  return once((headers) => post('runs', body, { headers }));
}

/** Starts a run whose events come with the answer, so that nothing of its beginning is missed. */
export async function startStream(body) {
  const response = await once((headers) => answer('POST', 'runs', { body, headers: { ...headers, accept: 'text/event-stream' } }));
  return { id: response.headers.get('location').split('/').at(-1), events: response.body };
}

/** The key makes a repetition after a lost answer the same run. */
async function once(send) {
  const headers = { 'idempotency-key': crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` };
  try {
    return await send(headers);
  } catch (problem) {
    if (problem.code !== 'unreachable') throw problem;
    await new Promise((wake) => setTimeout(wake, 800));
    return send(headers);
  }
}

/** Uploads a file. `progress` is told shares from 0 to 1. */
export function upload(file, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `${BASE}files`);
    request.responseType = 'text';
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException('taken away', 'AbortError'));
    request.onload = async () => {
      const headers = { 'retry-after': request.getResponseHeader('retry-after') ?? '' };
      if (request.status !== 201 && request.status !== 200) {
        reject(await problemOf(new Response(request.responseText, { status: Math.max(request.status, 200), headers })));
        return;
      }
      resolve(JSON.parse(request.responseText).files[0]);
    };
    signal.addEventListener('abort', () => request.abort());
    const form = new FormData();
    form.append('file', file, file.name || 'pasted');
    request.send(form);
  });
}

/** Where a conversation or a run can be saved from. */
export function exportAddress(kind, id, format) {
  return `${BASE}${kind}/${encodeURIComponent(id)}/export${query({ format })}`;
}
