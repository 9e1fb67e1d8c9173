// Building elements. Text becomes text nodes and nothing else: markup has one way in, and that is markdown.js.

const SVG = 'http://www.w3.org/2000/svg';

/** An element: `h('p.note', {title: 'x', onclick}, 'text', child)`. Attributes that are null or false are left out. */
export function h(name, attributes, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag || 'div');
  if (classes.length) element.className = classes.join(' ');
  return dress(element, attributes, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets the text of an element if it is another one, so that nothing is laid out anew for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or takes away an attribute. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * Calls `draw` once before the next picture, however often it is asked for. What takes long is done less often: at least half
 * of the time is left for what people do.
 */
export function perFrame(draw) {
  let asked = false;
  let free = 0;
  function go() {
    asked = false;
    const begun = performance.now();
    draw();
    free = 2 * performance.now() - begun;
  }
  return () => {
    if (asked) return;
    asked = true;
    const wait = free - performance.now();
    // A page in the background gets no frames; it is to be up to date all the same when somebody looks.
    if (document.hidden) setTimeout(go, 250);
    else if (wait > 8) setTimeout(() => requestAnimationFrame(go), wait);
    else requestAnimationFrame(go);
  };
}

/** Whether the event comes from where people type. */
export function isTyping(event) {
  const target = event.target;
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
