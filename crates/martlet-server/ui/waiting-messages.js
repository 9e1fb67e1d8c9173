// Messages that were sent while a run goes on. They are on the server already; until their turn comes they can be taken back.

import { h } from './dom.js';
import { get, post, remove } from './api.js';
import { icon } from './icons.js';
import { place, preview } from './format.js';
import { toast } from './problem-view.js';

export class WaitingMessages {
  /** `host` has `takenBack(row, text)`, with a text if it is to be written anew. */
  constructor(host) {
    this.host = host;
    this.list = h('ol');
    this.element = h('section.waiting-messages', { 'aria-label': 'Messages that wait', hidden: true }, h('h2', null, 'Next'), this.list);
    this.items = new Map();
  }

  show(rows) {
    const ids = new Set(rows.map((row) => row.id));
    for (const [id, item] of this.items) {
      if (ids.has(id)) continue;
      item.remove();
      this.items.delete(id);
    }
    for (const row of rows) {
      let item = this.items.get(row.id);
      if (!item) {
        item = this.item(row);
        this.items.set(row.id, item);
        this.list.append(item);
      }
      item.querySelector('.note').textContent = row.queue ? place(row.queue) : '';
    }
    this.element.hidden = rows.length === 0;
  }

  item(row) {
    const text = row.task ?? row.title;
    const act = (isEdit) => async (event) => {
      event.currentTarget.disabled = true;
      await this.takeBack(row, isEdit);
      event.currentTarget && (event.currentTarget.disabled = false);
    };
    return h('li', { 'data-run': row.id, 'data-state': 'queued' },
      h('span.waiting-text', { dir: 'auto' }, preview(text, 160)), h('span.note'),
      h('button.quiet', { type: 'button', 'aria-label': 'Edit', title: 'Edit', onclick: act(true) }, icon('edit')),
      h('button.quiet', { type: 'button', 'aria-label': 'Remove', title: 'Remove', onclick: act(false) }, icon('close')));
  }

  async takeBack(row, isEdit) {
    try {
      const whole = row.task && row.files ? row : await get(`runs/${row.id}`);
      const after = await post(`runs/${row.id}/cancel`, {});
      if (after.started_ms && after.outcome !== 'cancelled') {
        toast({ title: 'It has begun already', detail: 'The message can no longer be taken back.', todo: 'Stop the run instead.' });
        return;
      }
      this.host.takenBack(row, isEdit ? whole.task : null, whole.files);
      await forget(row.id);
    } catch (problem) {
      toast(problem);
    }
  }
}

/** A message that nobody answered leaves no trace in the conversation. It may take a moment to end. */
async function forget(run) {
  for (const pause of [0, 300, 1500]) {
    await new Promise((wake) => setTimeout(wake, pause));
    try {
      await remove(`runs/${run}`);
      return;
    } catch (problem) {
      if (problem.status !== 409) return;
    }
  }
}
