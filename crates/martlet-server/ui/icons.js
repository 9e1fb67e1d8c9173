// Pictures, drawn with lines in the colour of the text around them.

import { s } from './dom.js';

const PATHS = {
  plus: 'M12 5v14M5 12h14',
  send: 'M12 19V5M5.5 11.5 12 5l6.5 6.5',
  stop: 'M7.5 7.5h9v9h-9z',
  attach: 'm20 11-8.6 8.6a5.4 5.4 0 0 1-7.6-7.6L12.5 3.4a3.6 3.6 0 0 1 5.1 5.1l-8.6 8.6a1.8 1.8 0 0 1-2.6-2.6L14.2 7',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5 20 20',
  menu: 'M4 7h16M4 12h16M4 17h10',
  more: 'M5.5 12h.01M12 12h.01M18.5 12h.01',
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  retry: 'M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.2M20 4v5.2h-5.2',
  edit: 'M4 20l1-4.5L16 4.5l3.5 3.5-11 11zM13.5 7 17 10.5',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z',
  system: 'M12 20.5a8.5 8.5 0 0 0 0-17zM12 3.5a8.5 8.5 0 0 0 0 17',
  command: 'M5 8l4 4-4 4M12 17h7',
  thought: 'M8.5 18.5h7M10 21h4M12 3a6 6 0 0 0-3.6 10.8c.7.6 1.1 1.3 1.1 2.2h5c0-.9.4-1.6 1.1-2.2A6 6 0 0 0 12 3z',
  code: 'm8.5 7-5 5 5 5M15.5 7l5 5-5 5',
  logs: 'M5 6h14M5 10.5h10M5 15h14M5 19.5h7',
  tool: 'M14.5 6.5a4.5 4.5 0 0 0-5.8 5.8L3.5 17.5l3 3 5.2-5.2a4.5 4.5 0 0 0 5.8-5.8l-2.7 2.7-2.6-.4-.4-2.6z',
  result: 'M5 12h12M12.5 6.5 18 12l-5.5 5.5',
  plan: 'M4.5 6.5 6 8l2.5-3M4.5 12.5 6 14l2.5-3M4.5 18.5 6 20l2.5-3M12 6.5h8M12 12.5h8M12 18.5h8',
  error: 'M12 4 2.8 19.5h18.4zM12 10v4.5M12 17h.01',
  bell: 'M6 16.5V11a6 6 0 1 1 12 0v5.5l1.5 1.5h-15zM10 20.5h4',
  hand: 'M8 12V5.5a1.5 1.5 0 0 1 3 0V11M11 10V4.5a1.5 1.5 0 0 1 3 0V11M14 10.5V6a1.5 1.5 0 0 1 3 0v8a6.5 6.5 0 0 1-6.5 6.5c-2.5 0-4-1.2-5.2-3.4L3.5 13a1.6 1.6 0 0 1 2.7-1.6L8 14',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  graph: 'M4 9.5h5v5H4zM15 4h5v5h-5zM15 15h5v5h-5zM9 12h3M12 12V6.5h3M12 12v5.5h3',
  branch: 'M7 4v16M7 15c0-4 10-2.5 10-8M17 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4z',
  globe: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM3.5 12h17M12 3.5c5 5 5 12 0 17M12 3.5c-5 5-5 12 0 17',
  download: 'M12 4v11M7 10.5l5 5 5-5M5 20h14',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l.8 13h8.4L17 7',
  out: 'M14 5H6v14h8M10.5 12H20M16.5 8.5 20 12l-3.5 3.5',
  down: 'M12 5v14M5.5 12.5 12 19l6.5-6.5',
  chevron: 'm9 6 6 6-6 6',
  help: 'M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z',
  play: 'M8 5.5v13l10.5-6.5z',
};

/** A picture of that name; it says nothing to those who are read to. */
export function icon(name) {
  return s('svg', { class: `icon icon-${name}`, viewBox: '0 0 24 24', 'aria-hidden': 'true' }, s('path', { d: PATHS[name] }));
}

// A swallow in flight, seen from the side: the bird that never lands.
const WING_FAR = 'M27 27C33 17 43 9 58 5 53 16 46 25 36 31z';
const BODY = 'M3 33c3-3.5 8-4.5 12-3.5 5-4 12-5 18-1.5 6 3.4 13 6.5 26 6-5 2.5-9 3.4-13 3.5 4 2.3 8 5.5 11 9.5-8-2.2-15-5.5-21-9.5-8 1.5-17 .5-24-2z';
const WING_NEAR = 'M20 32c6 1.5 12 3.2 17 6-3 8-9 15-19 20 2.5-9 3.2-17 2-26z';

/** The mark of the house. */
export function bird() {
  return s('svg', { class: 'bird', viewBox: '0 0 64 64', 'aria-hidden': 'true' },
    s('path', { class: 'bird-far', d: WING_FAR }),
    s('path', { class: 'bird-body', d: BODY }),
    s('path', { class: 'bird-near', d: WING_NEAR }),
    s('path', { class: 'bird-throat', d: 'M3 33c3-3.5 8-4.5 12-3.5-1 2.5-3 5-5.5 6.5C7 35.3 5 34.4 3 33z' }));
}
