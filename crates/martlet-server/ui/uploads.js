// Files that come with a message: uploaded at once, so that they are there when the message is sent.

import { upload } from './api.js';
import { h, setText, setAttribute } from './dom.js';
import { icon } from './icons.js';
import { bytes } from './format.js';
import { toast } from './problem-view.js';
import { announce } from './announce.js';

const MOST = 10;
const LARGEST = 25 * 1024 * 1024;

export class Uploads {
  constructor(changed) {
    this.changed = changed;
    this.items = [];
    this.element = h('ul.attachments', { 'aria-label': 'Attached files', hidden: true });
  }

  get isEmpty() {
    return this.items.length === 0;
  }

  get areDone() {
    return this.items.every((item) => item.file);
  }

  get files() {
    return this.items.map((item) => item.file);
  }

  add(list) {
    for (const file of list) {
      if (this.items.length >= MOST) {
        toast({ title: 'Too many files', detail: `A message takes ${MOST} files`, todo: 'Send the others with the next one.' });
        break;
      }
      if (file.size > LARGEST) {
        toast({ title: 'The file is too large', detail: `${file.name} has ${bytes(file.size)}; files may have ${bytes(LARGEST)}`, todo: 'Attach a part of it.' });
        continue;
      }
      this.start(file);
    }
    this.show();
  }

  /** Files that are on the server already. */
  keep(files) {
    for (const file of files) this.list(file, 'done', file, h('span.note', null, bytes(file.size)));
    this.show();
  }

  list({ name }, state, file, ...notes) {
    const remove = h('button.quiet', { type: 'button', 'aria-label': `Remove ${name}`, onclick: () => this.remove(item) }, icon('close'));
    const element = h('li.attachment', { 'data-state': state }, icon('file'), h('span.attachment-name', { title: name }, name), ...notes, remove);
    const item = { element, leave: new AbortController(), file, name };
    this.items.push(item);
    this.element.append(element);
    return item;
  }

  async start(file) {
    const bar = h('progress', { max: '1', value: '0', 'aria-label': `Upload of ${file.name}` });
    const note = h('span.note', null, '0 %');
    const item = this.list(file, 'uploading', null, note, bar);
    const { element, leave } = item;
    try {
      item.file = await upload(file, (share) => {
        bar.value = share;
        setText(note, `${Math.round(100 * share)} %`);
      }, leave.signal);
      setText(note, bytes(item.file.size));
      bar.remove();
      setAttribute(element, 'data-state', 'done');
      announce(`${file.name} is attached.`);
    } catch (problem) {
      if (problem.name !== 'AbortError') {
        toast({ title: `${file.name} was not attached`, detail: problem.detail, todo: problem.todo });
        this.remove(item);
      }
    }
    this.show();
  }

  remove(item) {
    item.leave.abort();
    item.element.remove();
    this.items = this.items.filter((other) => other !== item);
    this.show();
  }

  clear() {
    for (const item of this.items) item.element.remove();
    this.items = [];
    this.show();
  }

  show() {
    this.element.hidden = this.isEmpty;
    this.changed();
  }
}
