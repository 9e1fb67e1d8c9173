// A question to a person, with everything that it takes to answer it, in the place where it arose.

import { h, setText, isTyping } from './dom.js';
import { icon } from './icons.js';
import { serverNow } from './api.js';
import { approvals } from './approvals.js';
import { duration } from './format.js';
import { changeOf } from './diff.js';
import { visible, visibleJson } from './visible.js';
import { paint } from './python.js';
import { problemBox } from './problem-view.js';
import { announce } from './announce.js';

/** Arguments of more characters have to be read to their end before they can be allowed. */
const LONG = 4000;

/** The element for a question. `earlier` gives what the run saw of a file; `reason` says why the policy asks; `done` is called when it is decided. */
export function approvalCard(approval, { earlier, reason, where, done } = {}) {
  const title = TITLES[approval.kind]?.(approval) ?? approval.tool;
  const element = h('section.approval', {
    role: 'alert', tabindex: '-1', 'data-approval': approval.id, 'data-kind': approval.kind, 'aria-label': `Approval: ${approval.tool}`,
  });
  const expiry = h('span.approval-expiry', null, expires(approval));
  const problem = h('div');
  element.append(
    h('div.approval-bar', null, icon(approval.kind === 'question' ? 'help' : 'hand'), h('h2', null, title), expiry),
    where ?? '',
    reason ? h('p.approval-reason', null, `Why you are asked: ${reason}.`) : '');

  let isBusy = false;
  async function decide(decision) {
    if (isBusy) return;
    isBusy = true;
    element.setAttribute('aria-busy', 'true');
    try {
      await approvals.decide(approval, decision);
      announce(SAID[decision.decision] ?? 'Answered.');
      done?.();
    } catch (error) {
      problem.replaceChildren(problemBox(error));
      if (error.code === 'already_decided' || error.status === 409 || error.status === 404) approvals.refresh();
    }
    isBusy = false;
    element.removeAttribute('aria-busy');
  }
  FORMS[approval.kind]?.(element, approval, decide, earlier);
  element.append(problem);
  return element;
}

const SAID = { approve: 'Allowed.', edit: 'Allowed with other arguments.', deny: 'Denied.', reply: 'Answered.', repeat: 'It is done again.', done: 'Noted as done.' };

const TITLES = {
  call: (approval) => `May ${visible(approval.tool)} be called?`,
  question: () => 'A question for you',
  doubt: (approval) => `Was ${visible(approval.tool)} called?`,
};

function expires(approval) {
  const left = approval.expires_ms - serverNow();
  return left > 0 ? `counts as denied in ${duration(left).replace(/ \d+ s$/, '')}` : 'its time is over';
}

const FORMS = {
  call(element, approval, decide, earlier) {
    const exact = exactArguments(approval);
    const allow = button('Allow once', 'primary', () => allowOnce());
    const forRun = button('Allow for this run', '', () => decide({ decision: 'approve', for_run: true }));
    const edit = button('Edit arguments', '', () => (editor.hidden ? startEditing() : stopEditing()));
    const { reason, deny } = denial(decide);
    const editor = h('div.approval-editor', { hidden: true });
    const wakes = whenRead(element, exact, [allow, forRun]);

    function startEditing() {
      const area = h('textarea', { 'aria-label': 'Arguments', spellcheck: 'false', rows: '6' });
      area.value = visibleJson(approval.arguments);
      const note = h('p.note', { role: 'status' });
      area.addEventListener('input', () => setText(note, problemOfJson(area.value)));
      editor.replaceChildren(h('span.label', null, 'Arguments to call it with, as JSON'), area, note);
      editor.hidden = false;
      edit.setAttribute('aria-expanded', 'true');
      setText(allow, 'Allow once as edited');
      forRun.disabled = true;
      area.style.height = `${Math.min(area.scrollHeight + 4, 360)}px`;
      area.focus();
      element.scrollIntoView({ block: 'end' });
    }
    function stopEditing() {
      editor.hidden = true;
      edit.setAttribute('aria-expanded', 'false');
      setText(allow, 'Allow once');
      forRun.disabled = false;
      wakes();
    }
    function allowOnce() {
      if (editor.hidden) return decide({ decision: 'approve' });
      const area = editor.querySelector('textarea');
      const fault = problemOfJson(area.value);
      if (fault) {
        setText(editor.querySelector('.note'), fault);
        return area.focus();
      }
      return decide({ decision: 'edit', arguments: JSON.parse(area.value) });
    }
    edit.setAttribute('aria-expanded', 'false');
    element.append(warnings(approval), ...readable(approval, earlier), exact, editor,
      h('div.approval-actions', null, allow, forRun, edit), h('div.approval-actions', null, reason, deny));
    keys(element, () => !allow.disabled && allowOnce(), () => deny.click());
  },

  question(element, approval, decide) {
    const answer = h('textarea', { 'aria-label': 'Your answer', rows: '2', placeholder: 'Your answer' });
    const send = button('Answer', 'primary', () => {
      if (answer.value.trim()) decide({ decision: 'reply', text: answer.value.trim() });
      else answer.focus();
    });
    answer.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      send.click();
    });
    const deny = button('Deny', 'danger', () => decide({ decision: 'deny' }));
    deny.title = 'The agent is told that you do not answer';
    const text = typeof approval.arguments.question === 'string' ? approval.arguments.question : approval.display;
    element.append(warnings(approval), h('p.approval-question', null, visible(text)), answer, h('div.approval-actions', null, send, deny));
  },

  doubt(element, approval, decide, earlier) {
    const output = h('input', { type: 'text', 'aria-label': 'What it gave', placeholder: 'What it gave, if you know' });
    const again = button('Do it again', '', () => decide({ decision: 'repeat' }));
    const was = button('It was done', 'primary', () => decide({ decision: 'done', ...(output.value.trim() ? { output: output.value.trim() } : {}) }));
    const { reason, deny } = denial(decide);
    const exact = exactArguments(approval);
    element.append(
      h('p', null, 'The server ended in the middle of this call. Nobody knows whether it was made: look where it would have left a trace.'),
      warnings(approval), ...readable(approval, earlier), exact,
      h('div.approval-actions', null, again), h('div.approval-actions', null, output, was), h('div.approval-actions', null, reason, deny));
    keys(element, null, () => deny.click());
  },
};

function button(name, style, onclick) {
  return h('button', { type: 'button', class: style || null, onclick }, name);
}

function denial(decide) {
  const reason = h('input', { type: 'text', 'aria-label': 'Reason', placeholder: 'Reason, for the agent' });
  const deny = button('Deny', 'danger', () => {
    const text = reason.value.trim();
    decide({ decision: 'deny', ...(text ? { reason: text } : {}) });
  });
  reason.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.isComposing) deny.click();
  });
  return { reason, deny };
}

/** A and D count only while the card itself, or a button in it, has the focus. */
function keys(element, allow, deny) {
  element.addEventListener('keydown', (event) => {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === 'a' && allow) allow();
    else if (key === 'd') deny();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

function warnings(approval) {
  if (!approval.warnings.length) return '';
  return h('ul.warnings', null, approval.warnings.map((text) => h('li', null, icon('error'), `${text[0].toUpperCase()}${text.slice(1)}.`)));
}

/** What the server would call the tool with, to the letter. */
function exactArguments(approval) {
  return h('div.labelled', null,
    h('span.label', null, 'Exactly this is called'),
    h('pre.exact', { tabindex: '0', role: 'group', 'aria-label': 'Exact arguments' }, h('code', null, approval.display)));
}

/** The same for reading: changes as changes, programs as programs. */
function readable(approval, earlier) {
  const change = changeOf(approval.arguments, earlier);
  if (change) return [change];
  return Object.entries(approval.arguments)
    .filter(([, value]) => typeof value === 'string' && value.includes('\n'))
    .map(([name, value]) => {
      const code = h('code');
      if (name === 'code' || name === 'program') paint(code, visible(value));
      else code.textContent = visible(value);
      return h('div.labelled', null, h('span.label', null, visible(name)), h('pre.exact', { tabindex: '0' }, code));
    });
}

/** Keeps buttons asleep until very long arguments were scrolled to their end. Gives what puts them back into their state. */
function whenRead(element, exact, buttons) {
  const text = exact.querySelector('pre');
  let isRead = text.textContent.length <= LONG;
  const hint = h('p.note', null, 'Scroll to the end of what is called: then it can be allowed.');
  const show = () => {
    for (const one of buttons) one.disabled = !isRead;
    hint.hidden = isRead;
  };
  show();
  if (!isRead) {
    exact.append(hint);
    text.addEventListener('scroll', () => {
      if (text.scrollTop + text.clientHeight < text.scrollHeight - 8) return;
      isRead = true;
      show();
    });
  }
  return show;
}

function problemOfJson(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? '' : 'Arguments are an object: { "name": value }.';
  } catch (error) {
    return `This is not JSON yet: ${error.message}.`;
  }
}
