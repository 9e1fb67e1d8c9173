// The page: puts its parts together, and goes where the address says.

import { h, setText, setAttribute, isTyping } from './dom.js';
import { icon } from './icons.js';
import { exportAddress, post, whenStrange } from './api.js';
import { app } from './state.js';
import { approvals } from './approvals.js';
import { announce } from './announce.js';
import { closeMenu } from './menu.js';
import { Composer } from './composer.js';
import { Conversation } from './conversation.js';
import { Sidebar } from './sidebar.js';
import { WorkflowPage } from './workflow-page.js';
import { home } from './home.js';
import { openPalette } from './palette.js';
import { showApprovals, showHelp } from './dialogs.js';
import { signIn } from './sign-in.js';
import { nextTheme, setTheme, theme, themeWords, PICTURES } from './appearance.js';
import { problemBox, toast } from './problem-view.js';

const place = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.build();
    this.composer = new Composer({
      send: (message) => this.send(message),
      stop: () => this.conversation?.stop(),
      turn: (pages) => this.conversation?.scroller.turn(pages),
      editLast: () => this.conversation?.editLast() ?? false,
    });
    this.fault = h('div.send-problem');
    this.sidebar = new Sidebar(place('sidebar'), {
      go: (address) => this.go(address),
      running: (sessions) => this.conversation?.mayRun(sessions),
      renamed: (session) => session.id === this.conversation?.session?.id && this.title(session.title, session),
    });
    this.sidebar.fill(() => this.signOut());
    this.sidebar.refresh();
    addEventListener('hashchange', () => this.route());
    addEventListener('keydown', (event) => this.onKey(event));
    approvals.addEventListener('change', () => this.showBadge());
    this.acceptFiles();
    document.querySelector('.skip').addEventListener('click', (event) => {
      // The address says what is shown: it stays.
      event.preventDefault();
      (place('message') ?? place('main').firstElementChild).focus();
    });
    place('app').hidden = false;
    this.route();
    approvals.start();
  }

  build() {
    const button = (name, picture, onclick) => h('button.quiet', { type: 'button', 'aria-label': name, title: name, onclick }, icon(picture));
    this.drawer = button('Show conversations', 'menu', () => this.openSidebar(true));
    this.drawer.classList.add('drawer-button');
    this.heading = h('h1', { dir: 'auto' });
    this.figures = h('span.totals', { 'data-testid': 'totals' });
    this.badge = h('button.badge', { type: 'button', 'data-testid': 'approvals-badge', hidden: true, onclick: () => showApprovals() });
    this.themeButton = button('Theme', PICTURES[theme()], () => this.changeTheme());
    this.themeButton.title = themeWords(theme());
    place('bar').append(this.drawer, this.heading, this.figures, this.badge, button('Commands', 'command', () => this.palette()), this.themeButton);
    place('scrim').addEventListener('click', () => this.openSidebar(false));
  }

  changeTheme(chosen) {
    if (chosen) setTheme(chosen);
    const now = chosen ?? nextTheme();
    this.themeButton.replaceChildren(icon(PICTURES[now]));
    this.themeButton.title = themeWords(now);
    announce(`${themeWords(now)}.`);
  }

  openSidebar(isOpen) {
    place('app').classList.toggle('drawer-open', isOpen);
    place('scrim').hidden = !isOpen;
    document.querySelector('.stage').inert = isOpen;
    if (isOpen) place('sidebar').querySelector('.new').focus();
    else if (place('sidebar').contains(document.activeElement)) this.drawer.focus();
  }

  get isDrawerOpen() {
    return place('app').classList.contains('drawer-open');
  }

  go(address) {
    if (location.hash === address || (address === '#/' && !location.hash)) this.route();
    else location.hash = address;
  }

  /** Shows what the address names. */
  async route() {
    const [, kind, name] = /^#\/(?:([crw])\/)?(.*)$/.exec(location.hash) ?? [];
    const id = decodeURIComponent(name ?? '');
    closeMenu();
    if (this.isDrawerOpen) this.openSidebar(false);
    this.sidebar.mark(location.hash || '#/');
    // A conversation that got its address just now is shown already.
    if (kind === 'c' && id === this.conversation?.session?.id) return;
    this.leave();
    this.fault.replaceChildren();
    if (kind === 'w') {
      this.showWorkflow(id);
      return;
    }
    const conversation = this.conversation = new Conversation(this.hostOf(() => conversation));
    this.show(conversation.section, conversation.waiting.element, conversation.scroller.button);
    this.totals('');
    try {
      if (kind === 'c') {
        this.composer.moveTo(id);
        await conversation.open(id);
        if (conversation.session) this.composer.moveTo(id, conversation.views.at(-1)?.run.name ?? conversation.session.agent);
      } else if (kind === 'r') {
        const session = await conversation.openRun(id);
        if (session) {
          location.replace(`#/c/${session}`);
          return;
        }
        this.composer.element.classList.add('only-stop');
      } else {
        this.title('New conversation');
        this.composer.moveTo('');
        conversation.scroller.isFollowing = false;
        conversation.runs.append(home((agent) => this.composer.choose(agent)));
        if (matchMedia('(hover: hover)').matches) this.composer.box.focus({ preventScroll: true });
      }
      conversation.showApprovals();
    } catch (problem) {
      if (problem.code !== 'unauthorized') conversation.showProblem(problem);
      this.title('');
    }
  }

  hostOf(conversation) {
    const isHere = () => this.conversation === conversation();
    return {
      composer: this.composer,
      title: (text, session, run) => isHere() && this.title(text, session, run),
      totals: (text) => isHere() && this.totals(text),
      moved: () => this.sidebar.refresh(),
      problem: (problem) => this.fault.replaceChildren(problemBox(problem)),
      begun: (session) => {
        this.composer.drafts.delete('');
        this.composer.place = session.id;
        history.replaceState(null, '', `#/c/${session.id}`);
        this.sidebar.mark(location.hash);
      },
    };
  }

  leave() {
    this.conversation?.leave();
    this.workflow?.leave();
    this.conversation = this.workflow = null;
    this.composer.element.classList.remove('only-stop');
    this.composer.setActive(false);
  }

  show(section, ...above) {
    const jump = above.pop();
    place('main').replaceChildren(section, h('div.dock', null, jump ?? '', ...above, this.fault, this.composer.element));
  }

  showWorkflow(name) {
    const workflow = app.workflow(name);
    this.title(name);
    this.totals('');
    if (!workflow) {
      place('main').replaceChildren(h('section.page', null, problemBox({ title: 'There is no such workflow', detail: name, todo: 'Choose another one from the list.' })));
      return;
    }
    this.workflow = new WorkflowPage(workflow);
    place('main').replaceChildren(this.workflow.element);
  }

  async send(message) {
    this.fault.replaceChildren();
    this.conversation.runs.querySelector('.home')?.remove();
    const wasTaken = await this.conversation.send(message);
    return wasTaken;
  }

  title(text, session = null, run = null) {
    setText(this.heading, text);
    this.name = text;
    this.showName();
    this.exports = session ? ['sessions', session.id] : run ? ['runs', run.id] : null;
  }

  /** The tab says how much waits for whoever looks at other tabs. */
  showName() {
    const { length } = approvals.pending;
    document.title = `${length ? `(${length}) ` : ''}${this.name ? `${this.name} · ` : ''}Martlet`;
  }

  totals(text) {
    setText(this.figures, text);
  }

  showBadge() {
    const { length } = approvals.pending;
    this.badge.hidden = length === 0;
    this.badge.replaceChildren(icon('bell'), String(length));
    setAttribute(this.badge, 'aria-label', `${length === 1 ? '1 question waits' : `${length} questions wait`} for you`);
    this.badge.title = this.badge.getAttribute('aria-label');
    this.showName();
  }

  palette() {
    const go = (address) => () => this.go(address);
    const save = (format) => () => h('a', { href: exportAddress(...this.exports, format), download: '' }).click();
    openPalette([
      { name: 'New conversation', kind: 'Command', picture: 'plus', act: go('#/') },
      ...(approvals.pending.length ? [{ name: 'What waits for you', kind: 'Command', picture: 'bell', act: showApprovals }] : []),
      ...(this.exports ? [
        { name: 'Export as Markdown', kind: 'Command', picture: 'download', act: save('markdown') },
        { name: 'Export as JSON', kind: 'Command', picture: 'download', act: save('json') },
      ] : []),
      ...app.agents.map(({ name }) => ({ name, kind: 'Agent', picture: 'hand', act: () => this.composer.choose(name) })),
      ...app.workflows.map(({ name }) => ({ name, kind: 'Workflow', picture: 'graph', act: go(`#/w/${encodeURIComponent(name)}`) })),
      ...Object.entries(PICTURES).map(([name, picture]) => ({ name: `Theme: ${name}`, kind: 'Command', picture, act: () => this.changeTheme(name) })),
      { name: 'Keyboard shortcuts', kind: 'Command', picture: 'help', act: showHelp },
      ...(app.me.key ? [{ name: 'Sign out', kind: 'Command', picture: 'out', act: () => this.signOut() }] : []),
    ]);
  }

  onKey(event) {
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      this.palette();
    } else if (isCommand && event.key === '/') {
      event.preventDefault();
      showHelp();
    } else if (event.key === 'Escape' && !event.isComposing && !document.querySelector('dialog[open]')) {
      if (this.isDrawerOpen) this.openSidebar(false);
      else if (this.composer.editing) this.composer.put('');
      else if (this.conversation?.active) this.conversation.stop();
    } else if (!isTyping(event) && !isCommand && !event.altKey && !document.querySelector('dialog[open]')) {
      this.onLetter(event);
    }
  }

  onLetter(event) {
    const step = event.target.closest?.('.step');
    if (event.key === 'j' || event.key === 'k') this.conversation?.walk(event.key === 'j' ? 1 : -1);
    else if ((event.key === 'Enter' || event.key === ' ') && step === event.target) {
      const cards = [...step.querySelectorAll(':scope > .cards > .card')];
      const isOpen = cards.some((card) => card.open);
      for (const card of cards) card.open = !isOpen;
    } else return;
    event.preventDefault();
  }

  acceptFiles() {
    const stage = document.querySelector('.stage');
    const has = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
    stage.addEventListener('dragover', (event) => {
      if (!has(event) || !this.conversation) return;
      event.preventDefault();
      stage.classList.add('dropping');
    });
    stage.addEventListener('dragleave', (event) => event.relatedTarget && stage.contains(event.relatedTarget) || stage.classList.remove('dropping'));
    stage.addEventListener('drop', (event) => {
      stage.classList.remove('dropping');
      if (!has(event) || !this.conversation) return;
      event.preventDefault();
      this.composer.uploads.add(event.dataTransfer.files);
    });
  }

  async signOut() {
    try {
      await post('sign-out');
    } catch (problem) {
      toast(problem);
    }
    location.reload();
  }
}

async function begin() {
  try {
    await app.load();
  } catch (problem) {
    place('app').hidden = true;
    if (problem.status !== 401) {
      const again = h('button', { type: 'button', onclick: () => location.reload() }, 'Try again');
      place('entrance').replaceChildren(h('main.entrance', null, problemBox(problem, again)));
      return;
    }
    await signIn();
    await app.load();
  }
  // A key can expire while the page is open: the door again, and then everything anew.
  whenStrange.tell = () => {
    whenStrange.tell = () => {};
    place('app').hidden = true;
    signIn().then(() => location.reload());
  };
  new Page();
}

begin();
