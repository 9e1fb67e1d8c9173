// The steps of a run, along a line: each one a row of cards with its time, tokens and cost.

import { h, setText, setAttribute } from './dom.js';
import { serverNow } from './api.js';
import { CardView } from './cards.js';
import { duration, money, tokens } from './format.js';

/** So many new steps are drawn per frame, so that a long run does not hold up the page. */
const PER_FRAME = 60;
/** Steps of one part: what is out of sight is left out of the layout part by part. */
const PART = 20;

class StepView {
  constructor(step, nested) {
    Object.assign(this, { step, nested, rev: -1, cards: new Map(), isRunning: null });
    this.number = h('span.step-number', null, String(step.number));
    this.figures = h('span.step-figures');
    this.empty = h('span.step-empty', { hidden: true });
    this.row = h('div.cards', null, this.empty, this.figures);
    this.element = h('div.step', { role: 'listitem', 'data-step': step.number, tabindex: '-1', 'aria-label': `Step ${step.number}` }, this.number, this.row);
  }

  update() {
    const { step } = this;
    const isRunning = step.state === 'running' && !step.run.isOver;
    if (this.rev !== step.rev || this.isRunning !== isRunning) {
      this.rev = step.rev;
      this.isRunning = isRunning;
      setAttribute(this.element, 'data-state', isRunning ? 'running' : 'done');
      this.arrange();
      this.empty.hidden = isRunning || step.cards.length > 0;
      setText(this.empty, step.usage?.output_tokens ? 'Answered' : step.run.outcome === 'cancelled' ? 'Stopped' : 'No reply');
      this.tick();
    }
    for (const view of this.cards.values()) {
      view.open(isRunning);
      view.update();
    }
  }

  /** Cards in their order; those that are gone go. */
  arrange() {
    const cards = this.step.cards;
    for (const [card, view] of this.cards) {
      if (cards.includes(card)) continue;
      view.element.remove();
      this.cards.delete(card);
    }
    cards.forEach((card, index) => {
      let view = this.cards.get(card);
      if (!view) this.cards.set(card, view = new CardView(card, this.nested));
      if (this.row.children[index] !== view.element) this.row.insertBefore(view.element, this.row.children[index]);
    });
  }

  /** Time goes on without events. */
  tick() {
    const { step } = this;
    const ms = this.isRunning ? serverNow() - step.startedMs : step.elapsedMs;
    const parts = [duration(ms ?? NaN), tokens(step.usage), money(step.cost)];
    setText(this.figures, parts.filter(Boolean).join(' · '));
  }
}

/** The steps of one run. */
export class StepsView {
  constructor(run, nested) {
    Object.assign(this, { run, nested, views: [] });
    this.element = h('div.steps', { role: 'list', 'aria-label': 'Steps' });
  }

  /** Gives whether something is left to be drawn. */
  update() {
    const { steps } = this.run;
    const most = Math.min(steps.length, this.views.length + PER_FRAME);
    for (let index = this.views.length; index < most; index += 1) {
      const view = new StepView(steps[index], this.nested);
      this.views.push(view);
      if (index % PART === 0) this.element.append(h('div.part'));
      this.element.lastChild.append(view.element);
    }
    // All but the last ones have not changed since they ended; calls of runs in them may have.
    for (const view of this.views) {
      if (view.isRunning !== false || view.rev !== view.step.rev) view.update();
    }
    return this.views.length < steps.length;
  }

  tick() {
    const last = this.views.at(-1);
    if (last?.isRunning) {
      last.tick();
      for (const view of last.cards.values()) view.inner?.tick();
    }
  }
}
