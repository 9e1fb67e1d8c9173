// One run in a conversation: the question, the work, what waits for a person, the answer.

import { h, setText, setAttribute, perFrame } from './dom.js';
import { icon, bird } from './icons.js';
import { get, serverNow } from './api.js';
import { app, beforeLoading } from './state.js';
import { follow } from './stream.js';
import { fold } from './fold.js';
import { RunModel } from './run-model.js';
import { StepsView } from './steps.js';
import { nestedRun } from './nested.js';
import { GraphView } from './graph.js';
import { approvals } from './approvals.js';
import { approvalCard } from './approval-card.js';
import { problemBox, problemOfRun } from './problem-view.js';
import { showMarkdown } from './markdown.js';
import { copyButton } from './copy.js';
import { labelled } from './cards.js';
import { announce } from './announce.js';
import { asText, clock, duration, money, place, plural, preview, tokens } from './format.js';

/** Runs with more events than this show their steps when somebody asks for them. */
const MANY_EVENTS = 160;

export class RunView {
  /** `row` is the run as the server lists it; `host` is told `changed`, `ended`, `edit` and `retry`, with this. */
  constructor(row, host) {
    this.run = new RunModel(row);
    this.host = host;
    this.leave = null;
    this.isWhole = false;
    this.isFolded = this.run.isOver && this.run.eventCount > MANY_EVENTS;
    this.rev = -1;
    this.connection = 'live';
    this.asks = new Map();
    this.isCaughtUp = false;
    this.answered = undefined;
    this.build();
    this.draw = perFrame(() => this.update());
    this.update();
  }

  build() {
    const { run } = this;
    this.question = h('div.question', { dir: 'auto' });
    this.more = h('button.quiet.words', { type: 'button', hidden: true, onclick: () => this.unclamp() }, 'Show all of it');
    this.about = h('p.about');
    this.begun = h('div');
    this.edit = h('button.quiet', { type: 'button', 'aria-label': 'Edit', title: 'Edit, as a branch', onclick: () => this.host.edit(this) }, icon('edit'));
    this.queue = h('p.queue', { 'data-testid': 'queue', hidden: true });
    this.foldButton = h('button.fold', { type: 'button', hidden: true, onclick: () => this.toggle() });
    this.steps = new StepsView(run, nestedRun);
    this.graphPlace = h('div');
    this.askPlace = h('div.asks');
    this.working = h('p.working', { hidden: true }, bird(), h('span'));
    this.answer = h('div.answer.prose', { 'data-testid': 'answer', dir: 'auto', hidden: true });
    this.fault = h('div');
    this.figures = h('span.figures');
    this.footer = h('footer.answer-bar', { hidden: true });
    this.element = h('article.run', { 'data-run': run.id },
      h('header.ask', null, h('div', null, this.about, this.question, this.more, this.begun), this.edit),
      this.queue, this.graphPlace, this.foldButton, this.steps.element, this.askPlace, this.working, this.answer, this.fault, this.footer);
  }

  /** Reads what happened, and what happens until the run has ended. */
  follow(events = null) {
    if (this.leave || this.isWhole) return;
    const { run } = this;
    // What had ended before it was read is no news; the last event and the end of the stream come one after the other.
    const wasOver = run.isOver;
    this.leave = follow(run.id, {
      event: (event) => {
        fold(run, event);
        if (event.type === 'tool.approval' || event.name === 'ask_user') approvals.soon();
        this.draw();
      },
      passing: (name, data) => this.passing(name, data),
      connection: (state) => {
        this.connection = state;
        // Whoever has the stream from its beginning has missed nothing.
        this.hasJoined = state === 'live' && events !== null;
        events = null;
        this.draw();
      },
      end: (data) => this.ended(data, wasOver),
      failed: (problem) => {
        this.leave = null;
        this.fault.replaceChildren(problemBox(problem));
        this.host.ended(this);
      },
    }, events);
  }

  passing(name, data) {
    const { run } = this;
    if (name === 'stream') {
      run.stream(data);
    } else if (name === 'queue') {
      run.queue = data;
      run.state = 'queued';
      run.touch();
      this.caughtUp();
    } else if (name === 'state') {
      if (!this.hasJoined) run.joined(beforeLoading.of(run.id));
      this.hasJoined = true;
      if (data.state && data.state !== 'ended') {
        if (data.state !== 'queued') run.queue = null;
        run.state = data.state;
      }
      if (data.state === 'waiting') approvals.soon();
      run.touch();
      this.caughtUp();
    } else if (name === 'approval') {
      if (data.state !== 'pending') approvals.forget(data.approval);
    }
    this.draw();
  }

  async ended(data, wasOver) {
    this.leave = null;
    const { run } = this;
    this.isWhole = data.state === 'ended';
    if (data.state === 'ended') {
      try {
        const { usage, elapsedMs, cost } = run;
        run.take(await get(`runs/${run.id}`));
        Object.assign(run, { usage: usage ?? run.usage, elapsedMs: elapsedMs ?? run.elapsedMs, cost: cost ?? run.cost });
      } catch {
        Object.assign(run, { state: 'ended', outcome: data.outcome });
        run.touch();
      }
      if (!wasOver) announce(this.report());
    }
    this.update();
    this.host.ended(this);
  }

  report() {
    const { run } = this;
    const problem = problemOfRun(run);
    if (problem) return `${problem.title}. ${problem.detail}`;
    if (run.outcome === 'cancelled') return 'Stopped.';
    return `Answer: ${this.answer.textContent || asText(run.answer ?? '')}`;
  }

  /** Stops reading; what is shown stays. */
  unfollow() {
    this.leave?.();
    this.leave = null;
  }

  dispose() {
    this.unfollow();
    this.graph?.leave();
  }

  toggle() {
    this.isFolded = !this.isFolded;
    if (!this.isFolded) this.follow();
    this.update(true);
  }

  unclamp() {
    this.question.classList.remove('clamped');
    this.more.hidden = true;
  }

  /** Brings the page up to what happened. */
  update(isForced = false) {
    const { run } = this;
    run.settleLive();
    if (!isForced && this.rev === run.rev && this.drawnConnection === this.connection) return;
    this.rev = run.rev;
    this.drawnConnection = this.connection;
    setAttribute(this.element, 'data-state', run.state);
    setAttribute(this.element, 'data-outcome', run.outcome);
    this.drawQuestion();
    this.drawGraph();
    setText(this.queue, run.state === 'queued' ? (run.queue ? place(run.queue) : 'Waiting for its turn') : '');
    this.queue.hidden = run.state !== 'queued';
    this.steps.element.hidden = this.isFolded || run.steps.length === 0;
    this.drawFold();
    if (!this.isFolded && this.steps.update()) {
      this.rev = -1;
      this.draw();
    }
    this.graph?.update();
    this.drawWorking();
    this.drawAnswer();
    this.drawFigures();
    this.host.changed(this);
  }

  drawQuestion() {
    const { run } = this;
    const isWorkflow = run.kind === 'workflow';
    const text = isWorkflow ? run.name : run.task ?? run.title;
    setText(this.about, `${isWorkflow ? 'Workflow' : run.name} · ${clock(run.createdMs)}`);
    this.edit.hidden = isWorkflow || !run.session;
    if (this.question.textContent === text) return;
    const begins = isWorkflow && run.input && Object.keys(run.input).length;
    this.begun.replaceChildren(...(begins ? [labelled('Input', run.input)] : []),
      ...run.files.map((file) => h('span.file', null, icon('file'), file.name)));
    this.question.textContent = text;
    this.question.classList.toggle('long', text.length > 240 || text.includes('\n'));
    const isClamped = text.length > 1200 || text.split('\n').length > 14;
    this.question.classList.toggle('clamped', isClamped);
    this.more.hidden = !isClamped;
    setAttribute(this.element, 'aria-label', isWorkflow ? `Workflow ${run.name}` : `Question: ${preview(text, 60)}`);
  }

  drawGraph() {
    if (this.graph || this.run.kind !== 'workflow') return;
    const workflow = app.workflow(this.run.name) ?? { name: this.run.name, nodes: [], edges: [] };
    for (const node of workflow.nodes) this.run.node(node.name);
    this.graph = new GraphView(workflow, this.run);
    this.graphPlace.replaceChildren(this.graph.element);
  }

  drawFold() {
    const { run } = this;
    const isLong = run.isOver && (run.eventCount > MANY_EVENTS || run.steps.length > 12) && run.kind !== 'workflow';
    this.foldButton.hidden = !isLong;
    if (!isLong) return;
    setAttribute(this.foldButton, 'aria-expanded', String(!this.isFolded));
    const size = run.steps.length ? plural(run.steps.length, 'step') : plural(run.eventCount, 'event');
    this.foldButton.replaceChildren(icon('chevron'), `${this.isFolded ? 'Show' : 'Hide'} the work`, h('span', null, size));
  }

  drawWorking() {
    const { run } = this;
    const isBusy = !run.isOver && run.state !== 'queued';
    this.working.hidden = !isBusy;
    if (!isBusy) return;
    setAttribute(this.working, 'data-state', this.connection === 'lost' ? 'lost' : run.state);
    this.tickWorking();
  }

  tickWorking() {
    const { run } = this;
    const since = run.startedMs ? ` · ${duration(serverNow() - run.startedMs)}` : '';
    const words = { waiting: 'Waits for you', running: 'Working' }[run.state] ?? '';
    const text = this.connection === 'lost' ? 'The connection is lost: trying again' : `${run.cancelRequested ? 'Stopping' : words}${since}`;
    setText(this.working.lastChild, text);
  }

  drawAnswer() {
    const { run } = this;
    const key = run.isOver ? `${run.outcome}${run.error}${asText(run.answer)}` : null;
    if (this.answered === key) return;
    this.answered = key;
    if (key === null) return;
    const hasAnswer = run.answer !== null && run.answer !== undefined;
    this.answer.hidden = !hasAnswer;
    if (hasAnswer) this.putAnswer();
    const problem = problemOfRun(run);
    if (problem) this.fault.replaceChildren(problemBox(problem));
    else if (run.outcome === 'cancelled') this.fault.replaceChildren(h('p.stopped', null, icon('stop'), 'Stopped.'));
    else this.fault.replaceChildren();
    this.drawFooter(hasAnswer);
  }

  putAnswer() {
    const { run } = this;
    if (typeof run.answer === 'string') {
      showMarkdown(this.answer, run.answer, { then: () => this.host.changed(this) });
    } else {
      this.answer.replaceChildren(h('pre.json', { tabindex: '0' }, h('code', null, asText(run.answer))));
    }
  }

  drawFooter(hasAnswer) {
    const { run } = this;
    const retry = h('button.quiet', { type: 'button', 'aria-label': 'Retry', title: 'Retry, as a branch', onclick: () => this.host.retry(this) }, icon('retry'));
    this.footer.hidden = false;
    this.footer.replaceChildren(...[
      hasAnswer ? copyButton(() => asText(run.answer)) : '',
      run.kind === 'workflow' || run.session ? retry : '',
      this.figures,
    ].filter(Boolean));
  }

  drawFigures() {
    const { run } = this;
    if (!run.isOver) return;
    const steps = run.steps.length ? plural(run.steps.length, 'step') : '';
    setText(this.figures, [steps, duration(run.elapsedMs ?? NaN), tokens(run.usage), money(run.cost)].filter(Boolean).join(' · '));
  }

  tick() {
    if (this.run.isOver) return;
    this.steps.tick();
    this.graph?.tick();
    if (!this.working.hidden) this.tickWorking();
  }

  /** What happened before is known: questions can be shown with what they are about. */
  caughtUp() {
    if (this.isCaughtUp) return;
    this.isCaughtUp = true;
    this.showApprovals(approvals.ofRun(this.run.id));
  }

  /** Shows the questions of this run that wait for a person. */
  showApprovals(pending) {
    if (!this.isCaughtUp) {
      // Somebody who cannot follow the run can decide all the same.
      setTimeout(() => this.caughtUp(), 1500);
      return;
    }
    for (const [id, card] of this.asks) {
      if (pending.some((approval) => approval.id === id)) continue;
      const hadFocus = card.contains(document.activeElement);
      card.remove();
      this.asks.delete(id);
      if (hadFocus) this.focusBox();
    }
    for (const approval of pending) {
      if (this.asks.has(approval.id)) continue;
      const card = approvalCard(approval, { earlier: (path) => this.seen(path), reason: this.reasonOf(approval) });
      this.asks.set(approval.id, card);
      this.askPlace.append(card);
      this.host.changed(this);
    }
  }

  /** Back to where one was, if there is a box. */
  focusBox() {
    const box = document.getElementById('message');
    (box?.offsetParent ? box : this.element.parentElement.parentElement).focus();
  }

  /** Why the policy asks for this call. */
  reasonOf(approval) {
    return this.callsSoFar().findLast((card) => card.name === approval.tool && card.state === 'waiting')?.reason;
  }

  /** What the run saw a file hold, or wrote into it. */
  seen(path) {
    const names = (args) => Object.values(args ?? {}).includes(path);
    const card = this.callsSoFar().findLast((one) => one.state === 'done' && names(one.args));
    if (!card) return undefined;
    return card.args.content ?? card.args.contents ?? card.args.file_text ?? card.output;
  }

  callsSoFar() {
    const places = [...this.run.runs.values()].flatMap((run) => [...run.steps, ...run.nodes.values()]);
    return places.flatMap((one) => one.cards).filter((card) => card.kind === 'tool');
  }
}
