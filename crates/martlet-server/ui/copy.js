// Buttons that copy a text.

import { h } from './dom.js';
import { icon } from './icons.js';
import { announce } from './announce.js';

/** A button that copies what `text` gives when it is pressed. */
export function copyButton(text, name = 'Copy', { words = false } = {}) {
  const button = h('button.quiet', { type: 'button', 'aria-label': words ? null : name, title: name }, icon('copy'), words ? name : null);
  button.addEventListener('click', async () => {
    const done = await copy(text());
    const sign = icon(done ? 'check' : 'error');
    button.replaceChild(sign, button.firstChild);
    announce(done ? 'Copied.' : 'The browser did not let it be copied.');
    setTimeout(() => button.replaceChild(icon('copy'), button.firstChild), 1600);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** Pages that came over plain HTTP have no clipboard but this one. */
function copyBySelection(text) {
  const area = h('textarea.unseen', { readonly: true, 'aria-hidden': 'true', tabindex: '-1' });
  area.value = text;
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  focused?.focus?.({ preventScroll: true });
  return done;
}
