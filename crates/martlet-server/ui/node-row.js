// The nodes of a workflow's run, one a line.

import { h, setText, setAttribute } from './dom.js';
import { icon } from './icons.js';
import { serverNow } from './api.js';
import { CardView } from './cards.js';
import { duration, money, tokens } from './format.js';

export const WORDS = { queued: 'queued', running: 'running', waiting: 'waits for you', done: 'done', failed: 'failed', skipped: 'skipped', cancelled: 'stopped' };
export const KINDS = { agent: 'agent', graph: 'workflow', function: 'function', tool: 'tool' };

/** How far a node is. */
export function figures(node, run) {
  if (!node) return '';
  const ms = node.elapsedMs ?? (node.startedMs && !run.isOver ? serverNow() - node.startedMs : NaN);
  const parts = [];
  if (node.of && node.state === 'running') parts.push(`${node.done}/${node.of}`);
  if (node.state !== 'skipped') parts.push(duration(ms));
  if (node.attempt > 1) parts.push(`attempt ${node.attempt}`);
  return parts.filter(Boolean).join(' · ');
}

/** A node in a list: its state, and when it is opened, what it did. `nested` makes the view of a run in it. */
export class NodeRow {
  constructor(node, nested) {
    Object.assign(this, { node, nested, cards: new Map(), runs: new Map(), rev: -1, isKnown: false });
    this.state = h('span.node-state');
    this.figure = h('span.step-figures');
    this.summary = h('summary', null, icon('chevron'), h('span.node-title', null, node.name),
      h('span.node-about', null, node.description || KINDS[node.kind] || ''), this.figure, this.state);
    this.body = h('div.node-body');
    this.element = h('details.node-row', { 'data-node-row': node.name }, this.summary, this.body);
    this.item = h('li', null, this.element);
    this.element.addEventListener('toggle', () => this.draw());
  }

  update(known, state, figure) {
    this.known = known;
    setAttribute(this.element, 'data-state', state);
    setText(this.state, state ? WORDS[state] : '');
    const parts = [figure, known ? tokens(known.usage) : '', known ? money(known.runs.reduce((total, run) => (run.cost === null ? total : (total ?? 0) + run.cost), null)) : ''];
    setText(this.figure, parts.filter(Boolean).join(' · '));
    this.draw();
  }

  draw() {
    if (!this.element.open) return;
    const { known } = this;
    if (!known || (!known.cards.length && !known.runs.length)) {
      setText(this.body, known?.cause ? causeOf(known.cause) : this.node.description || 'Nothing has happened here yet.');
      this.isKnown = false;
      return;
    }
    if (!this.isKnown) this.body.replaceChildren();
    this.isKnown = true;
    for (const run of known.runs) {
      let view = this.runs.get(run);
      if (!view) {
        this.runs.set(run, view = this.nested(run));
        this.body.append(view.element);
      }
      view.update();
    }
    for (const card of known.cards) {
      let view = this.cards.get(card);
      if (!view) {
        this.cards.set(card, view = new CardView(card, this.nested));
        this.body.append(view.element);
        // Who opens a node wants to see what it gave.
        view.open(card.kind === 'result' || card.kind === 'error' || card.state === 'running');
      }
      view.update();
    }
  }

  tick() {
    if (this.element.open) for (const view of this.runs.values()) view.tick();
  }
}

function causeOf(cause) {
  const reasons = {
    not_chosen: `The conditions behind ${cause.origin} did not choose it.`,
    failed: `It needs ${cause.origin}, which failed.`,
    error: `${cause.origin} failed, and is skipped on errors.`,
    lost: `${cause.origin} had the result of another node already.`,
    ended: 'The workflow ended before.',
  };
  return reasons[cause.kind] ?? `Because of ${cause.origin}.`;
}
