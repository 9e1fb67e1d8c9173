// Where messages are written: the text, its files, who is to answer, and the one button that sends or stops.

import { h, setText, setAttribute } from './dom.js';
import { icon } from './icons.js';
import { app, remembered, WEB_TOOLS } from './state.js';
import { Uploads } from './uploads.js';

export class Composer {
  /** `host` has `send({task, files, agent, without})`, which gives whether it was taken, `stop()`, `editLast()` and `turn(pages)`. */
  constructor(host) {
    this.host = host;
    this.isActive = false;
    this.isSending = false;
    this.drafts = new Map();
    this.place = '';
    this.build();
    this.fillAgents();
    this.refresh();
  }

  build() {
    this.box = h('textarea', { id: 'message', 'aria-label': 'Message', rows: '1', placeholder: 'Ask for something', dir: 'auto' });
    this.box.addEventListener('input', () => this.refresh());
    this.box.addEventListener('keydown', (event) => this.onKey(event));
    this.box.addEventListener('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      this.uploads.add(files);
    });
    this.uploads = new Uploads(() => this.refresh());
    this.input = h('input', { type: 'file', multiple: true, hidden: true, 'data-testid': 'file-input' });
    this.input.addEventListener('change', () => {
      this.uploads.add(this.input.files);
      this.input.value = '';
      this.box.focus();
    });
    this.attach = h('button.quiet', { type: 'button', 'aria-label': 'Attach files', title: 'Attach files', onclick: () => this.input.click() }, icon('attach'));
    this.agents = h('select', { 'aria-label': 'Agent', title: 'Who answers' });
    this.agents.addEventListener('change', () => {
      remembered.set('agent', this.agents.value);
      this.refresh();
    });
    this.web = h('button.switch', { type: 'button', role: 'switch', 'aria-checked': 'true', hidden: true, onclick: () => this.toggleWeb() }, icon('globe'), 'Web search');
    this.act = h('button.act', { type: 'button', onclick: () => this.press() });
    this.hint = h('span.hint');
    this.banner = h('p.banner', { hidden: true });
    this.element = h('form.composer', null, this.banner, this.uploads.element, this.box, this.input,
      h('div.composer-bar', null, this.attach, this.agents, this.web, this.hint, this.act));
    if (!app.may('run') || !app.agents.length) {
      this.box.disabled = this.attach.disabled = true;
      this.box.placeholder = app.agents.length ? 'Your key lets you read, and not ask' : 'This server has workflows alone';
    }
    this.element.addEventListener('submit', (event) => event.preventDefault());
  }

  fillAgents() {
    this.agents.replaceChildren(...app.agents.map((agent) => h('option', { value: agent.name }, agent.name)));
    const last = remembered.get('agent');
    this.agents.value = app.agent(last) ? last : app.defaultAgent;
    setAttribute(this.web, 'aria-checked', remembered.get('web', 'true'));
  }

  /** Another place to write from: each keeps its own draft. */
  moveTo(place, agent) {
    this.drafts.set(this.place, this.box.value);
    this.place = place;
    this.endEditing();
    this.box.value = this.drafts.get(place) ?? '';
    if (agent && app.agent(agent)) this.agents.value = agent;
    this.refresh();
  }

  choose(agent) {
    this.agents.value = agent;
    remembered.set('agent', agent);
    this.refresh();
    this.box.focus();
  }

  /**
   * Puts a text into the box, and the files that came with it. With `editing`, the next message is a branch in the place of an
   * earlier one.
   */
  put(text, editing = null, files = []) {
    this.box.value = text;
    this.uploads.clear();
    this.uploads.keep(files ?? []);
    this.editing = editing;
    this.banner.hidden = !editing;
    if (editing) {
      this.banner.replaceChildren(icon('branch'), h('span', null, 'Editing an earlier message. It becomes a branch; this conversation stays as it is.'),
        h('button.quiet.words', { type: 'button', onclick: () => { this.put(''); } }, 'Cancel'));
    }
    this.refresh();
    this.box.focus();
    this.box.setSelectionRange(text.length, text.length);
  }

  endEditing() {
    this.editing = null;
    this.banner.hidden = true;
  }

  toggleWeb() {
    const isOn = this.web.getAttribute('aria-checked') !== 'true';
    setAttribute(this.web, 'aria-checked', String(isOn));
    remembered.set('web', isOn);
  }

  get isEmpty() {
    return !this.box.value.trim() && this.uploads.isEmpty;
  }

  /** Whether a run goes on that can be stopped. */
  setActive(isActive) {
    if (this.isActive === isActive) return;
    this.isActive = isActive;
    this.refresh();
  }

  refresh() {
    const stops = this.isActive && this.isEmpty;
    const name = stops ? 'Stop' : 'Send message';
    if (this.act.getAttribute('aria-label') !== name) {
      setAttribute(this.act, 'aria-label', name);
      this.act.title = stops ? 'Stop (Esc)' : 'Send (Enter)';
      this.act.classList.toggle('stop', stops);
      this.act.replaceChildren(icon(stops ? 'stop' : 'send'));
    }
    this.act.disabled = !stops && (this.isSending || !this.box.value.trim() || !this.uploads.areDone);
    this.web.hidden = !app.searches(this.agents.value);
    setText(this.hint, this.uploads.areDone ? (this.isActive && !this.isEmpty ? 'Waits until the run has ended' : '') : 'Uploading');
    this.fit();
  }

  fit() {
    this.box.style.height = 'auto';
    this.box.style.height = `${Math.min(this.box.scrollHeight, Math.max(120, innerHeight * 0.36))}px`;
  }

  onKey(event) {
    if (event.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      if (!this.isEmpty && !this.act.disabled) this.press();
    } else if (event.key === 'PageUp' || event.key === 'PageDown') {
      event.preventDefault();
      this.host.turn(event.key === 'PageUp' ? -1 : 1);
    } else if (event.key === 'ArrowUp' && this.isEmpty) {
      if (this.host.editLast()) event.preventDefault();
    }
  }

  async press() {
    if (this.isActive && this.isEmpty) {
      this.host.stop();
      return;
    }
    const task = this.box.value.trim();
    if (!task || this.isSending || !this.uploads.areDone) return;
    const agent = this.agents.value;
    const isWithout = app.searches(agent) && this.web.getAttribute('aria-checked') !== 'true';
    const has = (name) => app.agent(agent).tools.some((tool) => tool.name === name);
    this.isSending = true;
    this.refresh();
    const message = { task, agent, files: this.uploads.files, without: isWithout ? WEB_TOOLS.filter(has) : null, editing: this.editing };
    const wasTaken = await this.host.send(message);
    this.isSending = false;
    if (wasTaken) {
      // What was typed meanwhile stays.
      if (this.box.value.trim() === task) this.box.value = '';
      this.uploads.clear();
      this.endEditing();
    }
    this.refresh();
  }
}
