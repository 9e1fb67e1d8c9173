// Cards: what a step thought, ran, printed, called and got. A closed card is one line; its body is made when it is opened.

import { h, setText, setAttribute } from './dom.js';
import { icon } from './icons.js';
import { asText, duration, lines, plural, preview } from './format.js';
import { showGrowing, showMarkdown } from './markdown.js';
import { paint } from './python.js';
import { copyButton } from './copy.js';

const LABELS = { thought: 'Thought', code: 'Code', logs: 'Logs', tool: 'Tool', result: 'Result', plan: 'Plan', check: 'Check', error: 'Error' };
const STATES = { waiting: 'waits for you', failed: 'failed', denied: 'denied', cancelled: 'stopped' };

/** What a closed card says of itself. */
const PREVIEWS = {
  thought: (card) => preview(card.text || card.reasoning),
  code: (card) => plural(lines(card.text), 'line'),
  logs: (card) => plural(lines(card.text), 'line'),
  tool: (card) => preview(`${card.name}(${argumentsLine(card.args)})`, 60),
  result: (card) => preview(card.text, 60),
  plan: (card) => plural(card.tasks.length, 'task'),
  check: (card) => (card.isComplete ? 'complete' : 'not complete yet'),
  error: (card) => preview(card.text.split('\n').findLast((line) => line.trim()) ?? '', 70),
};

function argumentsLine(args) {
  const entries = Object.entries(args ?? {});
  if (entries.length === 1) return asLine(entries[0][1]);
  return entries.map(([name, value]) => `${name}: ${asLine(value)}`).join(', ');
}

function asLine(value) {
  return typeof value === 'string' ? value.slice(0, 200) : JSON.stringify(value)?.slice(0, 200);
}

/** The view of one card. `nested` makes the view of a run in it. */
export class CardView {
  constructor(card, nested) {
    Object.assign(this, { card, nested, rev: -1, byHand: false, drawn: null, inner: null });
    this.preview = h('span.card-preview');
    this.mark = h('span.card-mark');
    const summary = h('summary', null, icon(card.kind === 'check' ? 'check' : card.kind),
      h('span.card-label', null, LABELS[card.kind] ?? card.kind), this.preview, this.mark);
    this.body = h('div.card-body');
    this.element = h('details.card', { 'data-kind': card.kind }, summary, this.body);
    summary.addEventListener('click', () => { this.byHand = true; });
    this.element.addEventListener('toggle', () => this.draw());
  }

  /** Opens and closes it by itself, unless somebody did so by hand. */
  open(isOpen) {
    // What waits for a person is shown where it is decided.
    const opens = isOpen && this.card.state !== 'waiting';
    if (!this.byHand && this.element.open !== opens) this.element.open = opens;
  }

  update() {
    if (this.inner && this.element.open) this.inner.update();
    if (this.rev === this.card.rev) return;
    this.rev = this.card.rev;
    const { card } = this;
    setAttribute(this.element, 'data-state', card.state);
    setText(this.preview, PREVIEWS[card.kind]?.(card) ?? '');
    const state = STATES[card.state] ?? '';
    const time = card.elapsedMs >= 100 && card.kind !== 'thought' ? duration(card.elapsedMs) : '';
    setText(this.mark, state || (card.state === 'running' ? '' : time));
    this.draw();
  }

  draw() {
    if (!this.element.open) {
      // What nobody sees is not kept.
      if (this.drawn !== null && !this.inner) {
        this.body.replaceChildren();
        this.drawn = null;
      }
      return;
    }
    if (this.drawn === this.card.rev) return;
    const isFirst = this.drawn === null;
    this.drawn = this.card.rev;
    BODIES[this.card.kind]?.(this.body, this.card, isFirst, this);
  }
}

const BODIES = {
  thought(body, card, isFirst) {
    if (isFirst) body.replaceChildren(h('p.reasoning', { hidden: true }), h('div.prose.thought'));
    const [reasoning, text] = body.children;
    reasoning.hidden = !card.reasoning;
    setText(reasoning, card.reasoning ?? '');
    if (card.isLive) {
      showGrowing(text, card.text);
    } else if (text.wanted !== card.text) {
      showMarkdown(text, card.text, { delayMs: 300 });
    }
  },

  code(body, card, isFirst) {
    const code = isFirst ? framed(body, () => card.text, 'Copy code') : body.querySelector('code');
    if (card.isLive) setText(code, card.text);
    else paint(code, card.text);
  },

  logs(body, card, isFirst) {
    const code = isFirst ? framed(body, () => card.text, 'Copy logs') : body.querySelector('code');
    const frame = code.parentElement;
    const isAtEnd = !isFirst && card.state === 'running' && frame.scrollHeight - frame.scrollTop - frame.clientHeight < 40;
    setText(code, card.text);
    if (isAtEnd) frame.scrollTop = frame.scrollHeight;
  },

  result(body, card) {
    framed(body, () => card.text, 'Copy result').textContent = card.text;
  },

  error(body, card) {
    framed(body, () => card.text, 'Copy error').textContent = card.text;
  },

  tool(body, card, isFirst, view) {
    const parts = [];
    if (card.reason) parts.push(h('p.note', null, `A person ${card.decision ? 'was' : 'is'} asked: ${card.reason}.`));
    if (card.decision) parts.push(h('p.note', null, decided(card)));
    parts.push(...argumentBlocks(card.args));
    if (card.child) {
      view.inner ??= view.nested(card.child);
      view.inner.update();
      parts.push(view.inner.element);
    }
    if (card.output !== undefined) parts.push(labelled('Gave', card.output));
    if (card.error !== undefined) parts.push(labelled('Failed', card.error, 'bad'));
    body.replaceChildren(...parts);
  },

  plan(body, card) {
    body.replaceChildren(
      card.reasoning ? h('p.note', null, card.reasoning) : '',
      card.isSufficient === false ? h('p.note', null, 'Something is still missing that only you can say.') : '',
      h('ol.tasks', null, card.tasks.map(taskItem)));
  },

  check(body, card) {
    body.replaceChildren(
      h('p', null, card.reasoning),
      card.missing.length ? h('ul', null, card.missing.map((one) => h('li', null, one))) : '',
      card.next ? h('p.note', null, `Next: ${card.next}`) : '');
  },
};

function decided(card) {
  if (card.decision === 'edited') return 'Allowed by a person, with other arguments.';
  if (card.decision === 'denied') return `Denied by a person${card.decisionReason ? `: ${card.decisionReason}` : '.'}`;
  return 'Allowed by a person.';
}

function taskItem(task) {
  const children = [h('span.task-text', null, task.description)];
  if (task.tool_name) children.push(h('code', null, task.tool_name));
  if (task.elapsedMs) children.push(h('span.card-mark', null, duration(task.elapsedMs)));
  if (task.error) children.push(h('p.bad', null, task.error));
  else if (task.result) children.push(h('p.note', null, preview(task.result, 300)));
  return h('li', { 'data-state': task.state }, children);
}

/** A block of fixed type with a button to copy it; gives the element for the text. */
function framed(body, text, name) {
  const code = h('code');
  body.replaceChildren(h('div.block', null, copyButton(text, name), h('pre', { tabindex: '0' }, code)));
  return code;
}

export function labelled(label, text, style = '') {
  const shown = asText(text);
  return h(`div.labelled${style ? `.${style}` : ''}`, null,
    h('span.label', null, label),
    h('div.block', null, copyButton(() => shown, `Copy ${label.toLowerCase()}`), h('pre', { tabindex: '0' }, h('code', null, shown))));
}

/** The arguments of a call: programs as programs, the rest as JSON. */
function argumentBlocks(args) {
  const rest = { ...args };
  const blocks = [];
  for (const [name, value] of Object.entries(rest)) {
    if (typeof value !== 'string' || !value.includes('\n')) continue;
    const block = labelled(name, value);
    if (name === 'code' || name === 'program') paint(block.querySelector('code'), value);
    blocks.push(block);
    delete rest[name];
  }
  if (Object.keys(rest).length) blocks.unshift(labelled('Arguments', rest));
  return blocks;
}
