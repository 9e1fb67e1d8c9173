// Markdown is rendered by the server, which lets nothing through that could load or run. This is the only place where
// markup becomes part of the page, and only markup that the server gave for a text.

import { post } from './api.js';
import { h, setText } from './dom.js';
import { paint } from './python.js';
import { copyButton } from './copy.js';

const KEPT = 400;
const MOST_TEXTS = 16;
const MOST_CHARACTERS = 200_000;
/** A text that grows is rendered no more often. */
const PAUSE_MS = 200;

const given = new Set();
const policy = globalThis.trustedTypes?.createPolicy('martlet', { createHTML: checked });
const known = new Map();
const waiting = [];
let isAsking = false;
/** The beginning of a growing text that was rendered last, and its markup: what it grows into begins with it. */
let grown = { text: '', html: '' };

/** Nothing passes that the server did not render. */
function checked(html) {
  if (!given.has(html)) throw new TypeError('this markup is not from the server');
  return html;
}

/**
 * Shows the text at once as it is, and as Markdown as soon as the server has rendered it; then `then` is called. With a
 * delay nothing is asked for what is gone by then.
 */
export function showMarkdown(element, text, { then, delayMs = 0 } = {}) {
  element.wanted = text;
  const html = known.get(text);
  if (html !== undefined) {
    put(element, html);
    then?.();
    return;
  }
  begin(element, text);
  if (!text.trim()) return;
  const wait = () => {
    waiting.push({ element, text, then });
    ask();
  };
  if (delayMs) setTimeout(() => element.isConnected && element.wanted === text && wait(), delayMs);
  else wait();
}

/** What can be shown at once: the text, or as much Markdown of it as is known. */
function begin(element, text) {
  const isKnown = grown.text !== '' && text.startsWith(grown.text);
  element.classList.toggle('plain', !isKnown);
  element.growing = null;
  if (!isKnown) {
    element.textContent = text;
    return;
  }
  const head = h('div.prose');
  put(head, grown.html);
  element.replaceChildren(head, h('div.plain', null, rest(text, grown.text.length)));
}

/** Shows a text that grows: its complete paragraphs as Markdown as soon as they are rendered, the rest as it is. */
export function showGrowing(element, text) {
  let { growing } = element;
  if (!growing) {
    growing = element.growing = { head: h('div.prose'), tail: h('div.plain'), shown: 0, asked: 0, askedAt: 0 };
    element.classList.remove('plain');
    element.replaceChildren(growing.head, growing.tail);
  }
  growing.text = text;
  setText(growing.tail, rest(text, growing.shown));
  const end = settledEnd(text);
  const now = performance.now();
  if (isAsking || end <= growing.asked || now - growing.askedAt < PAUSE_MS) return;
  Object.assign(growing, { asked: end, askedAt: now });
  const part = growing.head.wanted = text.slice(0, end);
  waiting.push({
    element: growing.head,
    text: part,
    isGrowing: true,
    then() {
      growing.shown = end;
      setText(growing.tail, rest(growing.text, end));
    },
  });
  ask();
}

const rest = (text, from) => text.slice(from).replace(/^\n+/, '');

/** Where the last complete paragraph ends that is not in a block of code. */
function settledEnd(text) {
  const end = text.lastIndexOf('\n\n');
  if (end < 0) return 0;
  const fences = [...text.slice(0, end).matchAll(/^(?:```|~~~)/gm)];
  return fences.length % 2 ? Math.max(0, text.lastIndexOf('\n\n', fences.at(-1).index)) : end;
}

/** At most one request is under way; what comes meanwhile goes with the next one. */
async function ask() {
  if (isAsking) return;
  isAsking = true;
  while (waiting.length) {
    const batch = take();
    try {
      const texts = batch.map(({ text }) => text);
      const { html } = await post('render', { texts });
      batch.forEach(({ element, text, then, isGrowing }, index) => {
        const one = html[index];
        if (typeof one !== 'string') return;
        if (isGrowing) grown = { text, html: one };
        else remember(text, one);
        // Meanwhile it may be meant to show something else.
        if (element.wanted !== text) return;
        put(element, one);
        then?.();
      });
    } catch {
      // The text itself is shown already; the next one may be luckier.
    }
  }
  isAsking = false;
}

function take() {
  const batch = [];
  let characters = 0;
  while (waiting.length && batch.length < MOST_TEXTS) {
    const next = waiting[0];
    characters += next.text.length;
    if (batch.length && characters > MOST_CHARACTERS) break;
    batch.push(waiting.shift());
  }
  return batch;
}

function remember(text, html) {
  known.set(text, html);
  if (known.size > KEPT) known.delete(known.keys().next().value);
}

function put(element, html) {
  given.add(html);
  element.classList.remove('plain');
  element.innerHTML = policy ? policy.createHTML(html) : html;
  given.delete(html);
  furnish(element);
}

/** What the server leaves to the page: scrolling of what is wide, colours, buttons to copy. */
function furnish(element) {
  for (const box of element.querySelectorAll('input')) box.setAttribute('aria-label', box.checked ? 'Done' : 'To do');
  for (const table of element.querySelectorAll('table')) {
    const frame = h('div.wide', { tabindex: '0', role: 'region', 'aria-label': 'Table' });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const code of element.querySelectorAll('pre > code')) {
    const language = /language-([\w+#-]+)/.exec(code.className)?.[1] ?? '';
    const text = code.textContent;
    if (/^(python3?|py)$/.test(language)) paint(code, text);
    const block = h('div.block', null, h('div.block-bar', null, h('span', null, language || 'text'), copyButton(() => text, 'Copy code')));
    code.parentElement.tabIndex = 0;
    code.parentElement.replaceWith(block);
    block.append(code.parentElement);
  }
}
