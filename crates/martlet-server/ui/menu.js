// A menu that opens at a button.

import { h } from './dom.js';
import { icon } from './icons.js';

let current = null;

/** Opens a menu at the button. Entries have a `name`, a picture, and `act`; or `href` and `download`. */
export function openMenu(button, entries) {
  const wasOpen = current?.button === button;
  closeMenu();
  if (wasOpen) return;
  const items = entries.map(({ name, picture, act, href, isDanger }) => {
    const attributes = { role: 'menuitem', tabindex: '-1', class: isDanger ? 'danger' : null };
    if (href) return h('a', { ...attributes, href, download: '', onclick: () => closeMenu(true) }, icon(picture), name);
    return h('button', { ...attributes, type: 'button', onclick: () => { closeMenu(true); act(); } }, icon(picture), name);
  });
  const menu = h('div.menu', { role: 'menu', 'aria-label': button.getAttribute('aria-label') }, items);
  const move = (by) => items[(items.indexOf(document.activeElement) + by + items.length) % items.length].focus();
  menu.addEventListener('keydown', (event) => {
    const keys = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Home: () => items[0].focus(), End: () => items.at(-1).focus(), Escape: () => closeMenu(true), Tab: () => closeMenu() };
    if (!keys[event.key]) return;
    if (event.key !== 'Tab') event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  (button.closest('nav') ?? document.body).append(menu);
  const { left, right, bottom, top } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  menu.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8, Math.max(8, right - width)))}px`;
  menu.style.top = `${bottom + height + 8 > innerHeight ? Math.max(8, top - height - 4) : bottom + 4}px`;
  button.setAttribute('aria-expanded', 'true');
  current = { button, menu };
  setTimeout(() => document.addEventListener('pointerdown', outside));
  items[0].focus();
}

function outside(event) {
  if (!current || current.menu.contains(event.target) || current.button.contains(event.target)) return;
  closeMenu();
}

export function closeMenu(isBack = false) {
  if (!current) return;
  const { button, menu } = current;
  current = null;
  document.removeEventListener('pointerdown', outside);
  menu.remove();
  button.setAttribute('aria-expanded', 'false');
  if (isBack) button.focus();
}
