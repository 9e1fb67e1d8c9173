// The questions that wait for a person, in all conversations. They are asked for every few seconds while somebody looks.

import { get, post } from './api.js';
import { app } from './state.js';

const EVERY_MS = 5000;

class Approvals extends EventTarget {
  #pending = new Map();
  #sessions = new Map();
  #timer = 0;
  #isAsking = false;
  #asked = 0;

  start() {
    document.addEventListener('visibilitychange', () => this.#go());
    this.#go();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  #go() {
    this.stop();
    if (document.hidden) return;
    this.refresh();
    this.#timer = setInterval(() => this.refresh(), EVERY_MS);
  }

  get pending() {
    return [...this.#pending.values()];
  }

  ofRun(run) {
    return this.pending.filter((approval) => approval.run === run).reverse();
  }

  /** Looks now, and again shortly after: a question is stored a moment after the run tells of it. */
  soon() {
    this.refresh();
    setTimeout(() => this.refresh(), 250);
    setTimeout(() => this.refresh(), 1500);
  }

  async refresh() {
    // An answer that is under way may be older than what asks for this.
    this.#asked += 1;
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      for (let asked = 0; asked !== this.#asked;) {
        asked = this.#asked;
        this.#take((await get('approvals?limit=200')).approvals);
      }
    } catch {
      // The next round may be luckier; streams tell of a lost connection.
    }
    this.#isAsking = false;
  }

  #take(approvals) {
    const before = [...this.#pending.keys()].join();
    this.#pending = new Map(approvals.map((approval) => [approval.id, approval]));
    if ([...this.#pending.keys()].join() !== before) this.dispatchEvent(new Event('change'));
  }

  /** Decides it. The digest sees to it that it is what was shown. */
  async decide(approval, decision) {
    const decided = await post(`approvals/${approval.id}`, { digest: approval.digest, ...decision });
    this.#pending.delete(approval.id);
    this.dispatchEvent(new Event('change'));
    return decided;
  }

  /** Somebody else decided it. */
  forget(id) {
    if (this.#pending.delete(id)) this.dispatchEvent(new Event('change'));
  }

  /** Where the run of a question is shown; nothing if it is somebody else's, which can be decided and not seen. */
  async whereIs({ run, user }) {
    if (user !== app.me.user) return null;
    if (!this.#sessions.has(run)) {
      try {
        const row = await get(`runs/${run}`);
        this.#sessions.set(run, { address: row.session ? `#/c/${row.session}` : `#/r/${run}`, session: row.session, title: row.title });
      } catch {
        return null;
      }
    }
    return this.#sessions.get(run);
  }
}

export const approvals = new Approvals();
