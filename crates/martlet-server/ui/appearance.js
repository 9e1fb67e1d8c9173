// Light, dark, or as the system has it.

import { remembered } from './state.js';

const THEMES = ['system', 'light', 'dark'];
export const PICTURES = { system: 'system', light: 'sun', dark: 'moon' };
const WORDS = { system: 'as the system has it', light: 'light', dark: 'dark' };

export function theme() {
  const stored = remembered.get('theme');
  return THEMES.includes(stored) ? stored : 'system';
}

export function setTheme(chosen) {
  remembered.set('theme', chosen === 'system' ? null : chosen);
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  setTheme(next);
  return next;
}

export function themeWords(name) {
  return `Theme: ${WORDS[name]}`;
}
