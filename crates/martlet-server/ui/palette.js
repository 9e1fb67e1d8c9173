// The command palette: everything by its name.

import { h, setAttribute } from './dom.js';
import { icon } from './icons.js';
import { get, query } from './api.js';
import { openDialog } from './dialogs.js';
import { titleOf } from './sidebar.js';

const PAUSE_MS = 150;
const MOST = 40;

/** Opens it. `commands` are `{name, kind, picture, act}`; conversations are asked for as one types. */
export function openPalette(commands) {
  if (document.querySelector('dialog.palette')) return;
  const box = h('input', { type: 'text', role: 'combobox', 'aria-label': 'Command or conversation', 'aria-expanded': 'true', 'aria-controls': 'palette-list', 'aria-autocomplete': 'list', placeholder: 'What do you look for?' });
  const list = h('ul', { id: 'palette-list', role: 'listbox', 'aria-label': 'Commands and conversations' });
  const dialog = openDialog('Command palette', [h('div.find', null, icon('search'), box), list], { style: 'palette' });
  let [entries, chosen, sessions, timer, asked] = [[], 0, [], 0, 0];

  function run(entry) {
    dialog.close();
    entry?.act();
  }

  function mark(index) {
    chosen = Math.max(0, Math.min(index, entries.length - 1));
    [...list.children].forEach((item, place) => setAttribute(item, 'aria-selected', String(place === chosen)));
    const item = list.children[chosen];
    item?.scrollIntoView({ block: 'nearest' });
    setAttribute(box, 'aria-activedescendant', item?.id);
  }

  function show() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...commands, ...sessions].filter(({ name, kind }) => words.every((word) => `${kind} ${name}`.toLowerCase().includes(word)));
    entries = found.slice(0, MOST);
    list.replaceChildren(...entries.map((entry, index) => h('li', { role: 'option', id: `palette-${index}`, onclick: () => run(entry), onpointermove: () => chosen !== index && mark(index) },
      icon(entry.picture), h('span.palette-name', { dir: 'auto' }, entry.name), h('span.note', null, entry.kind))));
    if (!entries.length) list.append(h('li.note', { role: 'option', 'aria-disabled': 'true', 'aria-selected': 'false' }, 'Nothing is called that.'));
    mark(0);
  }

  async function ask() {
    asked += 1;
    const mine = asked;
    try {
      const page = await get(`sessions${query({ search: box.value.trim(), limit: 20 })}`);
      if (mine !== asked) return;
      sessions = page.sessions.map((session) => ({ name: titleOf(session), kind: 'Conversation', picture: 'thought', act: () => { location.hash = `#/c/${session.id}`; } }));
      show();
    } catch {
      // Commands are found without the server.
    }
  }

  box.addEventListener('input', () => {
    show();
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
  box.addEventListener('keydown', (event) => {
    const keys = { ArrowDown: () => mark(chosen + 1), ArrowUp: () => mark(chosen - 1), Enter: () => run(entries[chosen]) };
    if (!keys[event.key] || event.isComposing) return;
    event.preventDefault();
    keys[event.key]();
  });
  show();
  ask();
  box.focus();
}
