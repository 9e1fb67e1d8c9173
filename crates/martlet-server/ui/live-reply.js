// A model's reply while it is being written. What it is taken apart into is provisional: the event that follows says it for good.

import { unlabelled } from './format.js';

const OPENING = /(?:^|\n)```(?:python3?|py|tool_code|ipython)?[ \t]*\n|<code>\n?|<python>\n?/i;
const CLOSING = /\n```|<\/code>|<\/python>/i;

export class LiveReply {
  constructor(strategy) {
    this.strategy = strategy;
    this.text = '';
    this.reasoning = '';
    this.isFresh = false;
  }

  add(delta) {
    if (delta.type === 'text') this.text += delta.text;
    else if (delta.type === 'reasoning') this.reasoning += delta.text;
    this.isFresh = true;
  }

  /** What was seen of the reply before the page was loaded anew. */
  restore({ text, reasoning }) {
    Object.assign(this, { text, reasoning, isFresh: true });
  }

  /** Something was written that nobody here has seen. */
  gap() {
    if (!this.text.endsWith('… ')) this.text += '… ';
  }

  /** The text for people and the program, as far as they go. */
  parts() {
    this.isFresh = false;
    const { reasoning } = this;
    const text = unlabelled(this.text);
    // Plans and judgements are written as JSON, which is shown as what it says once it is complete.
    if (this.strategy === 'reasoning' && /^\s*(```json|\{)/.test(text)) {
      return { thought: 'Thinking…', reasoning, code: '' };
    }
    if (this.strategy !== 'code') return { thought: text, reasoning, code: '' };
    const opening = OPENING.exec(text);
    if (!opening) return { thought: text.replace(/\n?`{1,3}\w*$/, ''), reasoning, code: '' };
    const rest = text.slice(opening.index + opening[0].length);
    const closing = CLOSING.exec(rest);
    return { thought: text.slice(0, opening.index).trim(), reasoning, code: closing ? rest.slice(0, closing.index) : rest };
  }
}
