// What went wrong, and what to do about it.

import { h } from './dom.js';
import { icon } from './icons.js';
import { announce } from './announce.js';

/** A box with what happened, what to do, and buttons for that. */
export function problemBox(problem, ...actions) {
  const { title, detail, todo } = told(problem);
  return h('div.problem', { 'data-testid': 'problem' }, icon('error'),
    h('div', null,
      h('p.problem-title', null, title),
      detail ? h('p.problem-detail', null, sentence(detail)) : null,
      todo ? h('p.problem-todo', null, todo) : null,
      actions.length ? h('div.row', null, actions) : null));
}

/** Shows a problem at the edge of the page for a while. */
export function toast(problem) {
  if (problem.name === 'AbortError' || problem.code === 'unauthorized') return;
  const { title, detail, todo } = told(problem);
  const box = problemBox(problem);
  box.append(h('button.quiet', { type: 'button', 'aria-label': 'Dismiss', onclick: () => box.remove() }, icon('close')));
  document.getElementById('toasts').append(box);
  announce(`${title}. ${sentence(detail)} ${todo ?? ''}`);
  setTimeout(() => box.remove(), 12_000);
}

/** A fault of the page itself is told like any other, and to those who look for it. */
function told(problem) {
  if (problem.title) return problem;
  console.error(problem);
  return { title: 'The page failed', detail: problem.message, todo: 'Reload it. What was sent is on the server.' };
}

export function sentence(text) {
  const trimmed = String(text ?? '').trim();
  if (!trimmed) return '';
  const begun = /^[a-z]/.test(trimmed) ? trimmed[0].toUpperCase() + trimmed.slice(1) : trimmed;
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

/** How runs end that gave no answer, or not all of one. */
const OUTCOMES = {
  failed: ['The run failed', 'Retry it. If it fails again, try another agent, or tell whoever runs the server what stands here.'],
  timed_out: ['Its time was up', 'Ask for less at once, or let whoever runs the server raise the limit.'],
  step_limit: ['It used up its steps', 'Ask it to go on, or for less at once.'],
  token_limit: ['It used up its tokens', 'Ask for less at once, or let whoever runs the server raise the limit.'],
  partial: ['Some nodes failed', 'The list of nodes says which ones, and why.'],
};

/** The problem of a run that has ended, if it has one. */
export function problemOfRun(run) {
  if (run.outcome === null || run.outcome === 'succeeded' || run.outcome === 'success' || run.outcome === 'cancelled') return null;
  const [title, todo] = OUTCOMES[run.outcome] ?? [`The run ended: ${run.outcome.replaceAll('_', ' ')}`, 'Retry it.'];
  return { title, detail: run.error ?? '', todo };
}
