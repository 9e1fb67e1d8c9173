// What a call would change in a text: lines that go, and lines that come.

import { h } from './dom.js';
import { visible } from './visible.js';

/** More lines than this are not compared. */
const MOST = 1500;
const AROUND = 3;
const PAIRS = [['old_string', 'new_string'], ['old_text', 'new_text'], ['old_str', 'new_str'], ['old', 'new'], ['before', 'after'], ['search', 'replace']];
const CONTENTS = ['content', 'contents', 'text', 'file_text', 'body'];
const PATHS = ['path', 'file', 'file_path', 'filename', 'name'];

/** The change that arguments stand for, as an element; nothing if they stand for none. `earlier` gives what a file held. */
export function changeOf(args, earlier = () => undefined) {
  for (const [from, to] of PAIRS) {
    if (typeof args[from] === 'string' && typeof args[to] === 'string') return shown('Change', compare(args[from], args[to]));
  }
  for (const value of Object.values(args)) {
    if (typeof value === 'string' && /^(---|diff --git|@@ )/m.test(value) && /^[+-]/m.test(value)) return shown('Change', unified(value));
  }
  const path = PATHS.map((name) => args[name]).find((value) => typeof value === 'string');
  const content = CONTENTS.map((name) => args[name]).find((value) => typeof value === 'string');
  if (path === undefined || content === undefined) return null;
  const old = earlier(path);
  return old === undefined ? null : shown('Change, compared with what this run saw of the file', compare(old, content));
}

function shown(label, lines) {
  const rows = lines.map(([sign, text]) => h('span', { class: CLASSES[sign] ?? 'same' }, `${sign === '@' ? '' : `${sign} `}${visible(text)}\n`));
  return h('div.labelled', null, h('span.label', null, label), h('pre.diff', { tabindex: '0' }, h('code', null, rows)));
}

const CLASSES = { '+': 'added', '-': 'removed', '@': 'skipped' };

function unified(text) {
  return text.split('\n').map((line) => {
    if (line.startsWith('@@')) return ['@', line];
    if (/^(\+\+\+|---|diff |index )/.test(line)) return ['@', line];
    return line[0] === '+' || line[0] === '-' ? [line[0], line.slice(1)] : [' ', line.replace(/^ /, '')];
  });
}

/** The lines of both texts with `-`, `+` or a space, long stretches that are the same left out. */
function compare(old, fresh) {
  const [a, b] = [old.split('\n'), fresh.split('\n')];
  if (a.length > MOST || b.length > MOST) return [...a.map((line) => ['-', line]), ...b.map((line) => ['+', line])];
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push([' ', a[i]]);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      lines.push(['-', a[i]]);
      i += 1;
    } else {
      lines.push(['+', b[j]]);
      j += 1;
    }
  }
  return shortened(lines);
}

function shortened(lines) {
  const near = new Set();
  lines.forEach(([sign], index) => {
    if (sign !== ' ') for (let around = index - AROUND; around <= index + AROUND; around += 1) near.add(around);
  });
  const kept = [];
  let left = 0;
  lines.forEach((line, index) => {
    if (near.has(index)) {
      if (left) kept.push(['@', `⋯ ${left} lines as they are`]);
      left = 0;
      kept.push(line);
    } else {
      left += 1;
    }
  });
  if (left) kept.push(['@', `⋯ ${left} lines as they are`]);
  return kept;
}
