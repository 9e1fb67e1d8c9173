// Starting a workflow: what it is, what it begins with, and how it went before.

import { h, setText } from './dom.js';
import { icon } from './icons.js';
import { get, query, startRun } from './api.js';
import { GraphView } from './graph.js';
import { clock, duration } from './format.js';
import { problemBox } from './problem-view.js';
import { app } from './state.js';

export class WorkflowPage {
  constructor(workflow) {
    this.workflow = workflow;
    this.graph = new GraphView(workflow);
    this.input = h('textarea', { id: 'workflow-input', rows: '6', spellcheck: 'false', 'aria-describedby': 'workflow-note' });
    this.input.value = workflow.input ? JSON.stringify(workflow.input, null, 2) : '{}';
    this.note = h('p.note', { id: 'workflow-note', role: 'status' }, 'A JSON object: the values with which its state begins. What you leave out has the value of the configuration.');
    this.problem = h('div');
    this.start = h('button.primary', { type: 'submit', disabled: !app.may('run') }, icon('play'), 'Start workflow');
    const form = h('form.workflow-form', null, h('label', { for: 'workflow-input' }, 'Input'), this.input, this.note, this.problem, h('div.row', null, this.start));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.begin();
    });
    this.input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.begin();
    });
    this.before = h('div.runs-before');
    this.element = h('section.page', { 'aria-label': `Workflow ${workflow.name}`, tabindex: '0' }, h('div.page-inner', null,
      h('h2.page-title', null, workflow.name), workflow.description ? h('p.lead', null, workflow.description) : null,
      this.graph.element, form, this.before));
    this.showBefore();
  }

  async begin() {
    let input;
    try {
      input = JSON.parse(this.input.value || '{}');
    } catch (error) {
      setText(this.note, `This is not JSON yet: ${error.message}.`);
      this.input.focus();
      return;
    }
    this.start.disabled = true;
    try {
      const row = await startRun({ workflow: this.workflow.name, input, lane: 'interactive' });
      location.hash = `#/r/${row.id}`;
    } catch (problem) {
      this.problem.replaceChildren(problemBox(problem));
    }
    this.start.disabled = false;
  }

  async showBefore() {
    try {
      const { runs } = await get(`runs${query({ limit: 200 })}`);
      const own = runs.filter((run) => run.kind === 'workflow' && run.name === this.workflow.name).slice(0, 12);
      if (!own.length) return;
      this.before.replaceChildren(h('h3', null, 'Runs'), h('ul', null, own.map((run) => h('li', null,
        h('a', { href: `#/r/${run.id}` }, clock(run.created_ms)),
        h('span.node-state', { 'data-state': run.outcome ?? run.state }, (run.outcome ?? run.state).replaceAll('_', ' ')),
        h('span.figures', null, run.ended_ms ? duration(run.ended_ms - (run.started_ms ?? run.created_ms)) : '')))));
    } catch {
      // The workflow can be started all the same.
    }
  }

  leave() {
    this.graph.leave();
  }
}
