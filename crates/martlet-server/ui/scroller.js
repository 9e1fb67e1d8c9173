// Staying at the end while something is written there, unless somebody has scrolled away.

import { h } from './dom.js';
import { icon } from './icons.js';

const NEAR = 90;

export class Scroller {
  constructor(element) {
    this.element = element;
    this.isFollowing = true;
    this.button = h('button.jump', { type: 'button', hidden: true, 'aria-label': 'To the latest', title: 'To the latest', onclick: () => this.follow() }, icon('down'));
    this.onScroll = () => {
      // What grows or shrinks never moves away from the end upwards: whoever does has let go of it.
      const { scrollTop } = element;
      const isAtEnd = this.isAtEnd();
      if (isAtEnd) this.isFollowing = true;
      else if (scrollTop < this.last - 2) this.isFollowing = false;
      this.last = scrollTop;
      this.button.hidden = this.isFollowing;
    };
    this.last = 0;
    element.addEventListener('scroll', this.onScroll, { passive: true });
    this.sizes = new ResizeObserver(() => this.settle());
    this.sizes.observe(element);
  }

  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  /** After something has changed. */
  settle() {
    if (this.isFollowing) this.toEnd();
    else this.button.hidden = this.isAtEnd();
  }

  follow() {
    this.isFollowing = true;
    this.toEnd();
    this.button.hidden = true;
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** Turns pages while one writes. */
  turn(pages) {
    this.element.scrollBy({ top: pages * this.element.clientHeight * 0.85 });
  }

  /** Changes what is above without moving what is seen. */
  keep(change) {
    const { scrollHeight, scrollTop } = this.element;
    change();
    this.element.scrollTop = scrollTop + this.element.scrollHeight - scrollHeight;
  }

  leave() {
    this.sizes.disconnect();
  }
}
