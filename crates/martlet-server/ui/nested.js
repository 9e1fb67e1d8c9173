// A run in a run: a step's call of another agent or of a workflow, or the work of a node.

import { h, setText } from './dom.js';
import { StepsView } from './steps.js';
import { NodeRow, figures } from './node-row.js';

/** The view of such a run. */
export function nestedRun(run) {
  const steps = new StepsView(run, nestedRun);
  const rows = new Map();
  const title = h('p.nested-title');
  const list = h('ol.graph-list', { 'aria-label': 'Nodes', hidden: true });
  const element = h('section.nested', { 'aria-label': `Work of ${run.name}` }, title, steps.element, list);
  return {
    element,
    update() {
      setText(title, run.name);
      steps.update();
      steps.element.hidden = run.steps.length === 0;
      list.hidden = run.nodes.size === 0;
      for (const [name, node] of run.nodes) {
        let row = rows.get(name);
        if (!row) {
          rows.set(name, row = new NodeRow({ name, kind: '', description: '' }, nestedRun));
          list.append(row.item);
        }
        row.update(node, node.state, figures(node, run));
      }
    },
    tick() {
      steps.tick();
      for (const row of rows.values()) row.tick();
    },
  };
}
