// Markdown is rendered by the server, which lets nothing through that could load or run. This is the only place where
// markup becomes part of the page, and only markup that the server gave for a text.

import { post } from './api.js';
import { h } from './dom.js';
import { paint } from './python.js';
import { copyButton } from './copy.js';

const KEPT = 400;
const MOST_TEXTS = 16;
const MOST_CHARACTERS = 200_000;

const given = new Set();
const policy = globalThis.trustedTypes?.createPolicy('martlet', { createHTML: checked });
const known = new Map();
const waiting = [];
let isAsking = false;

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
  element.classList.add('plain');
  element.textContent = text;
  if (!text.trim()) return;
  const wait = () => {
    waiting.push({ element, text, then });
    ask();
  };
  if (delayMs) setTimeout(() => element.isConnected && element.wanted === text && wait(), delayMs);
  else wait();
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
      html.forEach((one, index) => remember(texts[index], one));
      for (const { element, text, then } of batch) {
        // Meanwhile it may be meant to show something else.
        if (element.wanted !== text || !known.has(text)) continue;
        put(element, known.get(text));
        then?.();
      }
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
  if (typeof html !== 'string') return;
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
