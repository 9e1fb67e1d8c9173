// A workflow as a picture and as a list, with the state of each node. A click on a node shows what it did.

import { h, s, setText, setAttribute } from './dom.js';
import { layOut } from './graph-layout.js';
import { nestedRun } from './nested.js';
import { NodeRow, figures, KINDS, WORDS } from './node-row.js';

const SIGNS = { queued: '', running: '◐', waiting: '?', done: '✓', failed: '✕', skipped: '–', cancelled: '■' };
/** A larger graph is a list alone: nobody reads such a picture. */
const MOST_DRAWN = 120;
const NARROW = 620;
let pictures = 0;

export class GraphView {
  /** `workflow` is what the server tells of it; without a `run` it is shown as it is. */
  constructor(workflow, run = null) {
    Object.assign(this, { workflow, run, drawn: new Map(), rows: new Map(), isTall: null });
    this.picture = h('div.graph', { 'data-testid': 'graph' });
    this.list = h('ol.graph-list', { 'data-testid': 'graph-list', 'aria-label': 'Nodes' });
    this.element = h('div.workflow-run', null, this.picture, this.list);
    for (const node of workflow.nodes) this.addRow(node);
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.element);
    this.update();
  }

  addRow(node) {
    const row = new NodeRow(node, nestedRun);
    this.rows.set(node.name, row);
    this.list.append(row.item);
  }

  /** Draws the picture, if the width asks for another one. */
  draw() {
    const { nodes, edges, name } = this.workflow;
    const available = this.element.clientWidth;
    if (!available || nodes.length > MOST_DRAWN || nodes.length === 0) return;
    const isTall = available < NARROW;
    if (this.isTall === isTall) return;
    this.isTall = isTall;
    const margin = 4;
    const box = isTall ? { width: 138, height: 46, gap: 34, apart: 12 } : { width: 148, height: 48, gap: 52, apart: 18 };
    let laid = layOut(nodes, edges, { ...box, isTall });
    if (isTall && laid.size.width + 2 * margin > available) {
      // Narrower, as far as the names can be read; what is still too wide scrolls.
      const inRow = Math.round((laid.size.width + box.apart) / (box.width + box.apart));
      box.width = Math.max(92, Math.floor((available - 2 * margin + box.apart) / inRow) - box.apart);
      laid = layOut(nodes, edges, { ...box, isTall });
    }
    const { places, lines, size } = laid;
    pictures += 1;
    const arrow = `arrow-${pictures}`;
    const svg = s('svg', {
      role: 'group', 'aria-label': `Graph of ${name}`, width: size.width + 2 * margin, height: size.height + 2 * margin,
      viewBox: `${-margin} ${-margin} ${size.width + 2 * margin} ${size.height + 2 * margin}`,
    },
    s('defs', null, s('marker', { id: arrow, viewBox: '0 0 8 8', refX: '7', refY: '4', markerWidth: '7', markerHeight: '7', orient: 'auto' },
      s('path', { d: 'M0 .5 7 4 0 7.500z', class: 'arrow' }))),
    lines.map((line) => s('path', { class: `edge${line.conditional ? ' conditional' : ''}`, d: line.path, 'marker-end': `url(#${arrow})` })));
    for (const node of nodes) svg.append(this.drawNode(node, places.get(node.name), box));
    this.picture.replaceChildren(svg);
    this.update();
  }

  drawNode(node, { x, y }, { width, height }) {
    const name = s('text', { class: 'node-name', x: 12, y: height / 2 - 3 });
    const room = Math.floor((width - 34) / 7.2);
    // The space keeps the words apart for those who are read to.
    name.textContent = `${node.name.length > room ? `${node.name.slice(0, room - 1)}…` : node.name} `;
    const note = s('text', { class: 'node-note', x: 12, y: height / 2 + 13 });
    const sign = s('text', { class: 'node-sign', x: width - 11, y: height / 2 + 5, 'text-anchor': 'end', 'aria-hidden': 'true' });
    const group = s('g', { class: 'node', 'data-node': node.name, 'data-state': 'queued', transform: `translate(${x} ${y})`, tabindex: '0', role: 'button' },
      s('rect', { width, height, rx: 9 }), name, note, sign);
    const show = () => this.show(node.name);
    group.addEventListener('click', show);
    group.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      show();
    });
    this.drawn.set(node.name, { group, name, note, sign, kind: KINDS[node.kind] ?? node.kind });
    return group;
  }

  /** Shows what the node did. */
  show(name) {
    const row = this.rows.get(name);
    if (!row) return;
    row.element.open = true;
    row.element.scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
    row.summary.focus({ preventScroll: true });
  }

  update() {
    const names = new Set([...this.workflow.nodes.map((node) => node.name), ...(this.run?.nodes.keys() ?? [])]);
    for (const name of names) {
      if (!this.rows.has(name)) this.addRow({ name, kind: '', description: '' });
      const node = this.run?.nodes.get(name);
      const state = node?.state ?? 'queued';
      const figure = figures(node, this.run);
      this.rows.get(name).update(node, this.run ? state : null, figure);
      const drawn = this.drawn.get(name);
      if (!drawn) continue;
      setAttribute(drawn.group, 'data-state', state);
      setText(drawn.note, this.run && state !== 'queued' ? figure || WORDS[state] : drawn.kind);
      setText(drawn.sign, this.run ? SIGNS[state] : '');
      const seen = `${drawn.name.textContent}${drawn.note.textContent}`;
      setAttribute(drawn.group, 'aria-label', this.run && seen.endsWith(WORDS[state]) === false ? `${seen} ${WORDS[state]}` : seen);
    }
  }

  tick() {
    if (this.run && !this.run.isOver) this.update();
    for (const row of this.rows.values()) row.tick();
  }

  leave() {
    this.watch.disconnect();
  }
}
