// Text that somebody is to decide on: characters that cannot be seen, or that move others, are shown by their number.

// The same characters as the server shows by their number in the arguments of a call (display.rs).
const DECEPTIVE = new RegExp('[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f'
  + '\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffb\\u{e0000}-\\u{e0fff}]', 'gu');

/** JSON of a value in which such characters are written as JSON has them, so that they are seen and stay what they are. */
export function visibleJson(value) {
  const units = (char) => [...Array(char.length).keys()].map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
  return JSON.stringify(value, null, 2).replace(DECEPTIVE, units);
}

/** The text with such characters as numbers. */
export function visible(text) {
  return text.replace(DECEPTIVE, (char) => `\\u{${char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}}`);
}
