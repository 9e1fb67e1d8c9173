// A conversation: its runs from the oldest to the newest, the one that goes on, and the messages behind it.

import { h, setAttribute } from './dom.js';
import { get, post, query, remove, serverNow, startRun, startStream } from './api.js';
import { beforeLoading } from './state.js';
import { approvals } from './approvals.js';
import { RunView } from './run-view.js';
import { Scroller } from './scroller.js';
import { WaitingMessages } from './waiting-messages.js';
import { problemBox, toast } from './problem-view.js';
import { announce } from './announce.js';
import { at } from './prices.js';
import { cost, duration, money, sum, tokens } from './format.js';

/** Runs of a conversation that are read at once. */
const PAGE = 30;
/** Histories that are read at the same time: browsers have few connections to a server. */
const AT_ONCE = 2;
const LOOK_MS = 5000;
/** Titles of this length may be cut. */
const CUT = 100;

export class Conversation {
  /** `host` has `composer`, `title(text)`, `totals(text)`, `moved()` when lists are to be read anew. */
  constructor(host) {
    this.host = host;
    this.views = [];
    this.behind = [];
    this.session = null;
    this.reading = 0;
    this.toRead = [];
    this.section = h('section.conversation', { 'aria-label': 'Conversation', 'aria-busy': 'false', tabindex: '-1' });
    this.earlier = h('button.quiet.words.earlier', { type: 'button', hidden: true, onclick: () => this.loadEarlier() }, 'Earlier messages');
    this.note = h('p.branch-note', { hidden: true });
    this.runs = h('div.runs');
    this.section.append(this.earlier, this.note, this.runs);
    this.waiting = new WaitingMessages({ takenBack: (row, text, files) => this.takenBack(row, text, files) });
    this.scroller = new Scroller(this.section);
    this.near = new IntersectionObserver((entries) => this.seen(entries), { root: this.section, rootMargin: '600px' });
    this.onApprovals = () => this.showApprovals();
    approvals.addEventListener('change', this.onApprovals);
    this.onHide = () => this.active && beforeLoading.keep(this.active.run.id, this.active.run.unsettled());
    addEventListener('pagehide', this.onHide);
    this.clock = setInterval(() => this.tick(), 1000);
    this.look = setInterval(() => (this.active || this.behind.length) && this.refreshBehind(), LOOK_MS);
  }

  leave() {
    this.onHide();
    this.hasLeft = true;
    approvals.removeEventListener('change', this.onApprovals);
    removeEventListener('pagehide', this.onHide);
    clearInterval(this.clock);
    clearInterval(this.look);
    this.near.disconnect();
    this.scroller.leave();
    for (const view of this.views) view.dispose();
  }

  /** Shows a conversation of the server. */
  async open(id) {
    const [session, page] = await Promise.all([get(`sessions/${id}`), get(`sessions/${id}/runs${query({ limit: PAGE })}`)]);
    if (this.hasLeft) return;
    this.session = session;
    this.showSession();
    this.before = page.next;
    this.earlier.hidden = !page.next;
    this.take(page.runs);
    this.scroller.toEnd();
    if (this.views.length) setTimeout(() => this.scroller.toEnd(), 120);
  }

  showSession() {
    const { session } = this;
    this.host.title(session.title || this.views[0]?.run.title || 'New conversation', session);
    const from = session.branched_from;
    this.note.hidden = !from;
    if (from) this.note.replaceChildren('A branch of ', h('a', { href: `#/c/${from.session}` }, 'an earlier conversation'), '.');
  }

  /** Shows one run that belongs to no conversation. */
  async openRun(id) {
    const row = await get(`runs/${id}`);
    if (this.hasLeft) return null;
    if (row.session) return row.session;
    this.host.title(row.title || row.name, null, row);
    this.take([row]);
    this.views[0].isFolded = false;
    this.views[0].follow();
    return null;
  }

  async loadEarlier() {
    this.earlier.disabled = true;
    try {
      const page = await get(`sessions/${this.session.id}/runs${query({ limit: PAGE, before: this.before })}`);
      this.before = page.next;
      this.earlier.hidden = !page.next;
      this.scroller.keep(() => {
        const fresh = page.runs.reverse().map((row) => this.view(row));
        this.views.unshift(...fresh);
        this.runs.prepend(...fresh.map((view) => view.element));
      });
    } catch (problem) {
      toast(problem);
    }
    this.earlier.disabled = false;
    this.totals();
  }

  /** Takes runs in, the newest first, as lists give them. */
  take(rows) {
    for (const row of [...rows].reverse()) this.place(row);
    this.settle();
  }

  /** Each run has one place: in the conversation, or behind the one that goes on. */
  place(row, events = null) {
    const known = this.views.find((view) => view.run.id === row.id);
    if (known) return;
    const isBehind = this.behind.findIndex((other) => other.id === row.id);
    const isFree = !this.active && (isBehind === 0 || this.behind.length === 0);
    if (row.state !== 'ended' && !isFree) {
      if (isBehind >= 0) this.behind[isBehind] = { ...this.behind[isBehind], ...row, task: row.task ?? this.behind[isBehind].task };
      else this.behind.push(row);
      return;
    }
    if (isBehind >= 0) [row] = [{ ...this.behind.splice(isBehind, 1)[0], ...row }];
    const view = this.view(row);
    this.views.push(view);
    this.runs.append(view.element);
    if (row.state !== 'ended') {
      this.active = view;
      view.follow(events);
      this.scroller.follow();
    }
  }

  view(row) {
    const view = new RunView(row, this);
    if (row.state === 'ended') this.near.observe(view.element);
    return view;
  }

  /** Runs that come into sight are read. */
  seen(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.near.unobserve(target);
      const view = this.views.find((one) => one.element === target);
      if (view?.isFolded) this.complete(view);
      else if (view) this.toRead.push(view);
    }
    this.readNext();
  }

  /** Lists have the beginning of a question alone. */
  async complete({ run, draw }) {
    if (run.task !== null || run.title.length < CUT) return run.task ?? run.title;
    run.task = (await get(`runs/${run.id}`).catch(() => run)).task ?? run.title;
    run.touch();
    draw();
    return run.task;
  }

  readNext() {
    while (this.reading < AT_ONCE && this.toRead.length) {
      const view = this.toRead.pop();
      if (view.leave || view.isWhole) continue;
      this.reading += 1;
      view.isBeingRead = true;
      view.follow();
    }
  }

  changed() {
    this.scroller.settle();
    this.settle();
  }

  ended(view) {
    if (view.isBeingRead) {
      view.isBeingRead = false;
      this.reading -= 1;
      this.readNext();
    }
    if (view === this.active) {
      this.active = null;
      this.host.moved();
      if (this.session) this.refreshSession();
      const next = this.behind[0];
      if (next) this.place(next);
    }
    this.settle();
  }

  /** Brings all that depends on where the runs stand up to date. */
  settle() {
    // The page is another conversation's by now.
    if (this.hasLeft) return;
    const state = this.active?.run.state;
    setAttribute(this.section, 'aria-busy', String(state === 'running'));
    this.host.composer.setActive(Boolean(this.active));
    this.waiting.show(this.behind);
    this.totals();
  }

  totals() {
    const usage = { input_tokens: 0, output_tokens: 0 };
    let [time, price] = [0, null];
    for (const { run } of this.views) {
      // What a run has used is known when it has ended; until then it is that of its steps.
      for (const used of run.isOver ? [run.usage] : run.steps.map((step) => step.usage)) {
        usage.input_tokens += used?.input_tokens ?? 0;
        usage.output_tokens += used?.output_tokens ?? 0;
      }
      const costs = run.isOver ? [run.cost ?? cost(run.usage, at(run.name))] : run.steps.map((step) => step.cost);
      price = costs.reduce(sum, price);
      time += run.elapsedMs ?? (run.startedMs && !run.isOver ? serverNow() - run.startedMs : 0);
    }
    const parts = this.views.length ? [tokens(usage), duration(time || NaN), money(price)] : [];
    this.host.totals(parts.filter(Boolean).join(' · '));
  }

  showApprovals() {
    for (const view of this.views) {
      const pending = approvals.ofRun(view.run.id);
      if (pending.length || view.asks.size) view.showApprovals(pending);
    }
    this.scroller.settle();
  }

  tick() {
    if (document.hidden || !this.active) return;
    this.active.tick();
    this.totals();
  }

  /** Another window may have asked something in this conversation. */
  mayRun(sessions) {
    if (this.session && !this.active && sessions.has(this.session.id)) this.refreshBehind();
  }

  /** Messages behind the run that goes on move up, and may come from another window. */
  async refreshBehind() {
    if (document.hidden || !this.session) return;
    try {
      const { runs } = await get(`sessions/${this.session.id}/runs${query({ limit: 20 })}`);
      if (this.hasLeft) return;
      this.behind = this.behind.filter((row) => runs.some((one) => one.id === row.id && one.state !== 'ended'));
      this.take(runs.filter((row) => row.state !== 'ended' || this.behind.some((one) => one.id === row.id)));
    } catch {
      // The next round may be luckier.
    }
  }

  async refreshSession() {
    try {
      this.session = await get(`sessions/${this.session.id}`);
      if (!this.hasLeft) this.showSession();
    } catch {
      // The title stays as it is.
    }
  }

  /** Sends a message; gives whether the server has it. */
  async send({ task, agent, files, without, editing }) {
    const isFirst = !this.session;
    try {
      if (editing) return await this.branch(editing, { task, agent, files, without });
      this.session ??= await post('sessions', { agent });
      await this.begin({ task, agent, session: this.session.id, ...extras(files, without) }, files);
      if (this.hasLeft) return true;
      this.showSession();
      this.scroller.follow();
      this.settle();
      announce(this.behind.length ? 'Sent. It waits until the run has ended.' : 'Sent.');
      if (isFirst) this.host.begun(this.session);
      this.host.moved();
      return true;
    } catch (problem) {
      this.host.problem(problem);
      if (isFirst && this.session) {
        // Nothing was said in it.
        remove(`sessions/${this.session.id}`).catch(() => {});
        this.session = null;
      }
      this.settle();
      return false;
    }
  }

  /** Shows what happens at once; behind another run there is nothing to see yet. */
  async begin(body, files) {
    if (this.active || this.behind.length) {
      this.place({ ...await startRun(body), task: body.task, files });
      return;
    }
    const { id, events } = await startStream(body);
    this.place({ id, kind: 'agent', name: body.agent, title: body.task, task: body.task, session: body.session, files, state: 'queued', created_ms: serverNow() }, events);
  }

  /** What was said up to a run, and another message in its place. */
  async branch(run, { task, agent, files, without }) {
    const session = await post(`sessions/${this.session.id}/branch`, { run: run.id });
    try {
      await startRun({ task, agent, session: session.id, ...extras(files, without) });
    } catch (problem) {
      // A branch in which nothing is asked is of no use.
      remove(`sessions/${session.id}`).catch(() => {});
      throw problem;
    }
    this.host.moved();
    location.hash = `#/c/${session.id}`;
    return true;
  }

  async edit(view) {
    const { composer } = this.host;
    composer.put(await this.complete(view), view.run);
    const { files } = await this.asked(view);
    // Meanwhile something else may be in the box.
    if (composer.editing === view.run) composer.uploads.keep(files ?? []);
  }

  async retry(view) {
    const { run } = view;
    try {
      if (run.kind === 'workflow') {
        const row = await startRun({ workflow: run.name, input: run.input ?? {} });
        location.hash = `#/r/${row.id}`;
        return;
      }
      await this.branch(run, { ...await this.asked(view), agent: run.name });
    } catch (problem) {
      toast(problem);
    }
  }

  /** What was asked, with the files that came with it. */
  async asked(view) {
    const task = await this.complete(view);
    const { files } = await get(`runs/${view.run.id}`).catch(() => view.run);
    return { task, files };
  }

  /** The last question, back into the box. */
  editLast() {
    const last = this.behind.at(-1);
    if (last) {
      this.waiting.takeBack(last, true);
      return true;
    }
    const view = this.views.findLast((one) => one.run.session);
    if (view) this.edit(view);
    return Boolean(view);
  }

  takenBack(row, text, files) {
    this.behind = this.behind.filter((other) => other.id !== row.id);
    this.settle();
    if (text !== null) this.host.composer.put(text, null, files);
    announce(text === null ? 'Removed.' : 'Taken back for editing.');
  }

  async stop() {
    const { active } = this;
    if (!active) return;
    try {
      active.run.cancelRequested = true;
      active.run.touch();
      active.draw();
      await post(`runs/${active.run.id}/cancel`);
    } catch (problem) {
      active.run.cancelRequested = false;
      toast(problem);
    }
  }

  /** Moves from step to step. */
  walk(by) {
    const steps = [...this.section.querySelectorAll('.steps:not([hidden]) > .part > .step')];
    if (!steps.length) return;
    const here = steps.findLastIndex((step) => step === document.activeElement || step.contains(document.activeElement));
    const top = this.section.getBoundingClientRect().top;
    const first = Math.max(0, steps.findIndex((step) => step.getBoundingClientRect().bottom > top + 8));
    const there = here < 0 ? first : Math.min(Math.max(here + by, 0), steps.length - 1);
    steps[there].focus({ preventScroll: true });
    steps[there].scrollIntoView({ block: 'nearest' });
  }

  showProblem(problem) {
    this.section.replaceChildren(problemBox(problem));
  }
}

function extras(files, without) {
  return { ...(files?.length ? { files: files.map((file) => file.id) } : {}), ...(without?.length ? { without_tools: without } : {}) };
}
