// Numbers and times as people read them.

const TOKENS = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** `40 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`. */
export function duration(ms) {
  if (!(ms >= 0)) return '';
  if (ms < 100) return `${Math.max(1, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const [size, large, small] = seconds < 3600 ? [60, 'min', 's'] : [3600, 'h', 'min'];
  const rest = Math.floor((seconds % size) / (size / 60));
  return `${Math.floor(seconds / size)} ${large}${rest ? ` ${rest} ${small}` : ''}`;
}

export function count(number) {
  return number < 1000 ? String(number) : TOKENS.format(number).toLowerCase();
}

/** `1 step`, `2 steps`. */
export function plural(number, word) {
  return `${number.toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`;
}

/** Tokens read and written. */
export function tokens(usage) {
  if (!usage || !(usage.input_tokens || usage.output_tokens)) return '';
  return `${count(usage.input_tokens)} in · ${count(usage.output_tokens)} out`;
}

/** What it cost, in the units of the configured price; nothing where there is no price. */
export function money(amount) {
  if (!amount) return '';
  return `cost ${amount < 0.01 ? amount.toPrecision(2) : amount.toFixed(amount < 1 ? 3 : 2)}`;
}

/** The cost of tokens at a price per million. */
export function cost(usage, price) {
  if (!price || !usage) return null;
  return (usage.input_tokens * (price.input ?? 0) + usage.output_tokens * (price.output ?? 0)) / 1e6;
}

export function sum(one, other) {
  return one === null ? other : other === null ? one : one + other;
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${Math.round(size / 1024)} KB`;
  return `${(size / 1024 / 1024).toFixed(1)} MB`;
}

export function clock(ms) {
  const isToday = new Date(ms).toDateString() === new Date().toDateString();
  return (isToday ? CLOCK : DAY).format(ms);
}

/** In which part of a list by time something belongs. */
export function age(ms) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (ms >= midnight) return 'Today';
  if (ms >= midnight - 86_400_000) return 'Yesterday';
  if (ms >= midnight - 6 * 86_400_000) return 'Last 7 days';
  if (ms >= midnight - 29 * 86_400_000) return 'Last 30 days';
  return 'Older';
}

/** A place in line, in words. */
export function place(queue) {
  const wait = queue.eta_s > 0 ? ` · about ${queue.eta_s < 60 ? `${queue.eta_s} s` : duration(queue.eta_s * 1000)}` : '';
  return `Position ${queue.position} of ${queue.of}${wait}`;
}

/** A value as text: texts as they are, everything else as JSON. */
export function asText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

/** The first line that says something, cut. */
export function preview(text, length = 90) {
  const line = (text ?? '').slice(0, 4 * length).replace(/\s+/g, ' ').trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

export function lines(text) {
  return text ? text.replace(/\n$/, '').split('\n').length : 0;
}

/** What a model wrote, without the word with which prompts ask it to begin: the card says it already. */
export function unlabelled(text) {
  return text.replace(/^\s*thoughts?:\s*/i, '');
}
