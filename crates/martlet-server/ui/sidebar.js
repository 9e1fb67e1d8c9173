// The list of conversations: found, named anew, saved, deleted.

import { h, setText, setAttribute } from './dom.js';
import { icon } from './icons.js';
import { exportAddress, get, patch, query, remove } from './api.js';
import { app } from './state.js';
import { age } from './format.js';
import { approvals } from './approvals.js';
import { openMenu } from './menu.js';
import { confirmed } from './dialogs.js';
import { toast } from './problem-view.js';
import { announce } from './announce.js';

const PAGE = 50;
const PAUSE_MS = 200;
const LOOK_MS = 5000;

export class Sidebar {
  /** `host` has `go(address)`, `renamed(session)` and `running(sessions)`. */
  constructor(element, host) {
    Object.assign(this, { element, host, sessions: [], next: null, current: null, search: '', asked: 0, running: new Set() });
    this.find = h('input', { type: 'search', 'aria-label': 'Search conversations', placeholder: 'Search' });
    this.find.addEventListener('input', () => {
      clearTimeout(this.pause);
      this.pause = setTimeout(() => {
        this.search = this.find.value.trim();
        this.refresh();
      }, PAUSE_MS);
    });
    this.list = h('div.sessions');
    this.more = h('button.quiet.words', { type: 'button', hidden: true, onclick: () => this.loadMore() }, 'Older conversations');
    this.workflows = h('div.workflows');
    this.foot = h('div.sidebar-foot');
    element.append(
      h('button.new', { type: 'button', onclick: () => host.go('#/') }, icon('plus'), 'New conversation'),
      h('div.find', null, icon('search'), this.find),
      h('div.sidebar-scroll', null, this.list, this.more), this.workflows, this.foot);
    approvals.addEventListener('change', () => this.markStates());
    setInterval(() => this.lookForRunning(), LOOK_MS);
    document.addEventListener('visibilitychange', () => !document.hidden && this.refresh());
  }

  fill(signOut) {
    const links = app.workflows.map((workflow) => h('li', null, h('a', { href: `#/w/${encodeURIComponent(workflow.name)}`, title: workflow.description || null }, icon('graph'), workflow.name)));
    this.workflows.replaceChildren(...(links.length ? [h('h2', null, 'Workflows'), h('ul', null, links)] : []));
    const { user, tenant, key } = app.me;
    const who = tenant === user ? user : `${user} · ${tenant}`;
    this.foot.replaceChildren(h('span.who', { title: who }, who),
      ...(key ? [h('button.quiet', { type: 'button', 'aria-label': 'Sign out', title: 'Sign out', onclick: signOut }, icon('out'))] : []));
    this.mark(this.address);
  }

  async refresh() {
    this.asked += 1;
    const asked = this.asked;
    try {
      const page = await get(`sessions${query({ search: this.search, limit: PAGE })}`);
      // A later search may have been answered first.
      if (asked !== this.asked) return;
      this.sessions = page.sessions;
      this.next = page.next;
      this.draw();
    } catch (problem) {
      if (!this.sessions.length) toast(problem);
    }
  }

  async loadMore() {
    try {
      const page = await get(`sessions${query({ search: this.search, limit: PAGE, before: this.next })}`);
      this.sessions = [...this.sessions, ...page.sessions.filter((session) => !this.sessions.some((one) => one.id === session.id))];
      this.next = page.next;
      this.draw();
    } catch (problem) {
      toast(problem);
    }
  }

  draw() {
    // What somebody writes stays.
    if (this.isRenaming) return;
    const hadFocus = this.list.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    const groups = new Map();
    for (const session of this.sessions) {
      const name = age(session.updated_ms);
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(session);
    }
    const parts = [];
    for (const [name, sessions] of groups) parts.push(h('h2', null, name), h('ul', null, sessions.map((session) => this.entry(session))));
    if (!parts.length) parts.push(h('p.note', null, this.search ? 'No conversation is called that.' : 'Conversations will be listed here.'));
    this.list.replaceChildren(...parts);
    this.more.hidden = !this.next;
    this.mark(this.address);
    this.markStates();
    if (hadFocus) this.list.querySelector(`[data-focus="${CSS.escape(hadFocus)}"]`)?.focus();
  }

  entry(session) {
    const title = titleOf(session);
    const link = h('a', { href: `#/c/${session.id}`, dir: 'auto', title, 'data-focus': `a${session.id}` }, title);
    const actions = h('button.quiet', { type: 'button', 'aria-label': `Actions for ${title}`, 'aria-haspopup': 'menu', 'aria-expanded': 'false', 'data-focus': `b${session.id}` }, icon('more'));
    const item = h('li', { 'data-session': session.id }, link, h('span.dot', { hidden: true }), actions);
    actions.addEventListener('click', () => openMenu(actions, [
      { name: 'Rename', picture: 'edit', act: () => this.rename(session, item) },
      { name: 'Export as Markdown', picture: 'download', href: exportAddress('sessions', session.id, 'markdown') },
      { name: 'Export as JSON', picture: 'download', href: exportAddress('sessions', session.id, 'json') },
      { name: 'Delete', picture: 'trash', act: () => this.delete(session), isDanger: true },
    ]));
    return item;
  }

  rename(session, item) {
    const box = h('input', { type: 'text', 'aria-label': 'Title', maxlength: '200', dir: 'auto' });
    box.value = titleOf(session);
    const form = h('form.rename', null, box);
    let isDone = false;
    const finish = async (isKept) => {
      if (isDone) return;
      isDone = true;
      this.isRenaming = false;
      const title = box.value.trim();
      if (isKept && title && title !== session.title) {
        try {
          Object.assign(session, await patch(`sessions/${session.id}`, { title }));
          this.host.renamed(session);
          announce('Renamed.');
        } catch (problem) {
          toast(problem);
        }
      }
      this.draw();
      this.list.querySelector(`[data-focus="b${CSS.escape(session.id)}"]`)?.focus();
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      finish(true);
    });
    box.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      finish(false);
    });
    box.addEventListener('blur', () => finish(true));
    this.isRenaming = true;
    item.replaceChildren(form);
    box.focus();
    box.select();
  }

  async delete(session) {
    const title = titleOf(session);
    if (!await confirmed('Delete the conversation?', `“${title}” and all that was done in it will be gone for good.`, 'Delete')) return;
    try {
      await remove(`sessions/${session.id}`);
      this.sessions = this.sessions.filter((one) => one.id !== session.id);
      this.draw();
      announce('Deleted.');
      if (this.address === `#/c/${session.id}`) this.host.go('#/');
    } catch (problem) {
      toast(problem.status === 409 ? { ...problem, title: 'It still works', detail: problem.detail, todo: 'Stop its runs, then delete it.' } : problem);
    }
  }

  /** Shows where one is. */
  mark(address) {
    this.address = address;
    for (const link of this.element.querySelectorAll('li > a')) {
      setAttribute(link, 'aria-current', link.getAttribute('href') === address ? 'page' : null);
    }
  }

  /** Runs go on while one looks at other conversations, and in other windows. */
  async lookForRunning() {
    if (document.hidden) return;
    try {
      const { runs } = await get(`runs${query({ state: 'running', limit: 100 })}`);
      const before = this.running;
      this.running = new Set(runs.map((run) => run.session).filter(Boolean));
      const hasChanged = before.size !== this.running.size || [...before].some((session) => !this.running.has(session));
      if (hasChanged) this.refresh();
      this.host.running(this.running);
    } catch {
      // The next round may be luckier.
    }
  }

  /** A dot at conversations in which something works or waits. */
  async markStates() {
    const places = await Promise.all(approvals.pending.map((approval) => approvals.whereIs(approval)));
    const waiting = new Set(places.filter(Boolean).map((place) => place.session));
    for (const item of this.list.querySelectorAll('li[data-session]')) {
      const dot = item.querySelector('.dot');
      if (!dot) continue;
      const { session } = item.dataset;
      const words = waiting.has(session) ? 'waits for you' : this.running.has(session) ? 'works' : '';
      dot.hidden = !words;
      dot.classList.toggle('works', words === 'works');
      dot.title = words;
      setText(dot, words);
    }
  }
}

export function titleOf(session) {
  return session.title || 'Untitled';
}
