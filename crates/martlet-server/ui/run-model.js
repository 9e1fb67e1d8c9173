// A run as its events tell of it. Nothing here knows of the page: views look at what has changed since they last looked.

import { LiveReply } from './live-reply.js';
import { sum, cost } from './format.js';
import { at } from './prices.js';

/** A card of a step or of a node. Each change raises `rev`. */
class Card {
  constructor(kind, members) {
    Object.assign(this, { kind, state: 'running', rev: 0, startedMs: Date.now(), child: null }, members);
  }

  set(members) {
    Object.assign(this, members);
    this.rev += 1;
    return this;
  }
}

/** A step: a reply of the model, what it asked for, and what came of it. */
class Step {
  constructor(run, number, atMs) {
    Object.assign(this, { run, number, startedMs: atMs, state: 'running', cards: [], usage: null, elapsedMs: null, cost: null });
    this.live = null;
    this.childUsage = { input_tokens: 0, output_tokens: 0 };
    this.childCost = null;
    this.rev = 0;
  }

  card(kind, members) {
    const card = new Card(kind, members);
    this.cards.push(card);
    this.rev += 1;
    return card;
  }

  find(kind, test = () => true) {
    return this.cards.findLast((card) => card.kind === kind && test(card));
  }

  drop(card) {
    this.cards = this.cards.filter((other) => other !== card);
    this.rev += 1;
  }
}

/** A node of a workflow's run. */
class GraphNode {
  constructor(name) {
    Object.assign(this, { name, state: 'queued', cards: [], runs: [], attempt: 0, done: null, of: null, elapsedMs: null });
    Object.assign(this, { startedMs: null, usage: null, cause: null, rev: 0 });
  }

  card(kind, members) {
    const card = new Card(kind, members);
    this.cards.push(card);
    this.rev += 1;
    return card;
  }
}

/** A run, with the runs in it. */
export class RunModel {
  /** `row` is a run as the server lists it; of a run in a run there are an id and a name. */
  constructor(row, root = null) {
    this.root = root ?? this;
    this.runs = root ? root.runs : new Map();
    this.runs.set(row.id, this);
    this.steps = [];
    this.nodes = new Map();
    this.strategy = null;
    this.rev = 0;
    this.startedMs = null;
    this.elapsedMs = null;
    this.cost = null;
    this.lastEvent = 0;
    this.take(row);
  }

  /** What the server says of the run as a whole. */
  take(row) {
    const { id, kind, name, title, state, outcome, error, usage, session } = row;
    Object.assign(this, { id, kind, name, title, session });
    Object.assign(this, { state: state ?? 'running', outcome: outcome ?? null, error: error ?? null, answer: row.answer ?? null });
    this.task = row.task ?? this.task ?? null;
    this.files = row.files ?? this.files ?? [];
    this.input = row.input ?? this.input ?? null;
    this.usage = usage ?? null;
    this.queue = row.queue ?? null;
    this.createdMs = row.created_ms ?? Date.now();
    if (row.ended_ms) this.elapsedMs ??= row.ended_ms - (row.started_ms ?? row.created_ms);
    this.cancelRequested = Boolean(row.cancel_requested);
    this.eventCount = row.last_event ?? 0;
    this.touch();
  }

  touch() {
    this.rev += 1;
    if (this.root !== this) this.root.rev += 1;
  }

  get isOver() {
    return this.state === 'ended';
  }

  step(number, atMs = Date.now()) {
    // The last one nearly always.
    let step = this.steps.findLast((one) => one.number === number);
    if (!step) {
      step = new Step(this, number, atMs);
      this.steps.push(step);
    }
    return step;
  }

  node(name) {
    const known = this.nodes.get(name) ?? this.nodes.get(name.replace(/(\[\d+\]|#\d+)+$/, ''));
    if (known) return known;
    const node = new GraphNode(name);
    this.nodes.set(name, node);
    return node;
  }

  /** What a model writes and a program prints, before it is stored. */
  stream(update) {
    if (update.kind === 'child') {
      this.runs.get(update.child)?.stream(update.update);
      return;
    }
    const step = this.step(update.step);
    if (update.kind === 'delta') {
      step.live ??= new LiveReply(this.strategy);
      step.live.add(update.delta);
    } else if (update.kind === 'printed') {
      const logs = step.find('logs') ?? step.card('logs', { text: '' });
      logs.set({ text: logs.text + update.text });
    }
    step.rev += 1;
    this.touch();
  }

  /** Somebody who came in the middle of a reply has not seen its beginning, or has seen it before: `seen` has that. */
  joined(seen = {}) {
    for (const run of this.runs.values()) {
      const step = run.steps.at(-1);
      if (!step || step.state !== 'running' || step.usage) continue;
      const before = seen[`${run.id}/${step.number}`];
      if (!step.live && before) {
        step.live = new LiveReply(run.strategy);
        step.live.restore(before);
      }
      step.live ??= new LiveReply(run.strategy);
      step.live.gap();
    }
  }

  /** What was written of replies that are not complete, for who loads the page anew. */
  unsettled() {
    const live = [...this.runs.values()].map((run) => run.steps.at(-1)).filter((step) => step?.live);
    return Object.fromEntries(live.map(({ run, number, live: { text, reasoning } }) => [`${run.id}/${number}`, { text, reasoning }]));
  }

  /** Brings the cards of replies that are being written up to what was written. */
  settleLive() {
    for (const run of this.runs.values()) {
      const step = run.steps.at(-1);
      if (!step?.live?.isFresh) continue;
      const { thought, reasoning, code } = step.live.parts();
      const isLive = (card) => card.isLive;
      // Tasks that are done at the same time write into each other: each is shown when it is complete.
      const isMixed = step.find('plan')?.tasks.filter((task) => task.state === 'running').length > 1;
      if ((thought || reasoning) && !isMixed) {
        (step.find('thought', isLive) ?? step.card('thought')).set({ text: thought, reasoning, isLive: true });
      }
      if (code) (step.find('code', isLive) ?? step.card('code')).set({ text: code, isLive: true });
      step.rev += 1;
    }
  }

  end({ state = 'ended', outcome, answer = null, error = null, usage, elapsedMs }) {
    Object.assign(this, { state, outcome, error, usage, elapsedMs });
    this.answer = answer;
    this.queue = null;
    const own = this.steps.reduce((total, step) => sum(total, step.cost), null);
    const inner = [...this.runs.values()].filter((run) => run.parentNode && run.parentNode.of === this);
    this.cost = inner.reduce((total, run) => sum(total, run.cost), own) ?? cost(usage, at(this.name));
    for (const step of this.steps) {
      if (step.state !== 'running') continue;
      step.state = 'done';
      step.rev += 1;
      step.cards.forEach((card) => (card.state === 'running' || card.state === 'waiting') && card.set({ state: outcome === 'succeeded' ? 'done' : 'cancelled' }));
    }
    this.touch();
  }
}
