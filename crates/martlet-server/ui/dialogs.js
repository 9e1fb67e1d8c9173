// Dialogs: help, questions before something is lost, and what waits for a person elsewhere.

import { h } from './dom.js';
import { icon } from './icons.js';
import { approvals } from './approvals.js';
import { approvalCard } from './approval-card.js';

/** A dialog with that name. It is gone when it is closed, and the focus is where it was. */
export function openDialog(name, content, { style = '' } = {}) {
  const dialog = h(`dialog${style ? `.${style}` : ''}`, { 'aria-label': name }, content);
  const before = document.activeElement;
  dialog.addEventListener('close', () => {
    dialog.remove();
    (before?.isConnected ? before : document.getElementById('message'))?.focus();
  });
  // A click beside it closes it.
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function titled(title, dialog) {
  return h('div.dialog-bar', null, h('h2', null, title),
    h('button.quiet', { type: 'button', 'aria-label': 'Close', onclick: () => dialog().close() }, icon('close')));
}

const KEYS = [
  ['Enter', 'Send the message'], ['Shift+Enter', 'A new line'], ['Esc', 'Stop the run'], ['↑', 'Edit the last message, in an empty box'],
  ['Page ↑', 'Scroll back; Page ↓ forth'], ['Ctrl+K', 'Commands and conversations'], ['Ctrl+/', 'This list'], ['J', 'The next step'], ['K', 'The step before'],
  ['Enter', 'Open or close the cards of a step'], ['A', 'Allow, while a question has the focus'], ['D', 'Deny, while a question has the focus'],
];

export function showHelp() {
  if (document.querySelector('dialog[open].help')) return;
  const dialog = openDialog('Keyboard shortcuts', [
    titled('Keyboard shortcuts', () => dialog),
    h('dl.keys', null, KEYS.map(([key, what]) => h('div', null, h('dt', null, key.split('+').map((one) => h('kbd', null, one))), h('dd', null, what)))),
  ], { style: 'help' });
}

/** Asks before something is done that nothing brings back. */
export function confirmed(title, text, action) {
  return new Promise((answer) => {
    let isSure = false;
    const dialog = openDialog(title, [
      h('h2', null, title), h('p', null, text),
      h('div.row.end', null,
        h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
        h('button.danger.filled', { type: 'button', onclick: () => { isSure = true; dialog.close(); } }, action)),
    ], { style: 'small' });
    dialog.addEventListener('close', () => answer(isSure));
  });
}

/** All questions that wait for a person, wherever they arose. */
export function showApprovals() {
  const list = h('div.approval-list');
  const cards = new Map();
  const dialog = openDialog('Waiting for you', [titled('Waiting for you', () => dialog), list], { style: 'wide-dialog' });
  function show() {
    const { pending } = approvals;
    for (const [id, card] of cards) {
      if (pending.some((approval) => approval.id === id)) continue;
      card.remove();
      cards.delete(id);
    }
    for (const approval of pending) {
      if (cards.has(approval.id)) continue;
      const card = approvalCard(approval, { where: whereOf(approval, () => dialog.close()) });
      // It was asked for: it need not be called out.
      card.setAttribute('role', 'group');
      cards.set(approval.id, card);
      list.append(card);
    }
    if (!pending.length) dialog.close();
  }
  approvals.addEventListener('change', show);
  dialog.addEventListener('close', () => approvals.removeEventListener('change', show));
  show();
}

function whereOf(approval, close) {
  const place = h('p.note', null, `Of ${approval.user}.`);
  approvals.whereIs(approval).then((found) => {
    if (found) place.replaceChildren('In ', h('a', { href: found.address, onclick: close }, found.title || 'a conversation'));
  });
  return place;
}
