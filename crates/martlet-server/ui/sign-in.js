// The door, where the server asks who comes.

import { h } from './dom.js';
import { bird } from './icons.js';
import { post, get } from './api.js';
import { problemBox } from './problem-view.js';

/** Shows the form, and resolves when the server knows who asks. */
export function signIn() {
  const place = document.getElementById('entrance');
  return new Promise((enter) => {
    // No field of passwords: browsers would offer to keep the key, and the cookie that follows is enough.
    const key = h('input.masked', { type: 'text', id: 'api-key', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', required: true, placeholder: 'mrt_…' });
    const button = h('button.primary', { type: 'submit' }, 'Sign in');
    const problem = h('div', { role: 'alert' });
    const form = h('form.sign-in', { 'aria-label': 'Sign in' }, bird(), h('h1', null, 'Martlet'),
      h('p', null, 'This server asks for a key. Whoever runs it can make one for you.'),
      h('label', { for: 'api-key' }, 'API key'), key, problem, button);
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        await post('sign-in', { key: key.value.trim() });
        await get('me');
        place.replaceChildren();
        enter();
      } catch (error) {
        const todo = error.status === 401 ? 'Check that all of the key was copied, or ask for a new one.' : error.todo;
        const title = error.status === 401 ? 'The key is not valid' : error.title;
        problem.replaceChildren(problemBox({ title, detail: error.status === 401 ? 'It may be mistyped, expired or revoked.' : error.detail, todo }));
        key.focus();
      }
      button.disabled = false;
    });
    place.replaceChildren(h('main.entrance', null, form));
    key.focus();
  });
}
