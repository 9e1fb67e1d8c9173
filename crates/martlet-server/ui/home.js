// What one sees before the first message: who is there to ask.

import { h } from './dom.js';
import { bird, icon } from './icons.js';
import { app } from './state.js';

const WAYS = { code: 'writes Python', tool_calling: 'calls tools', reasoning: 'plans first' };

/** `choose` is called with the name of an agent. */
export function home(choose) {
  const agents = app.agents.map((agent) => h('button.offer', { type: 'button', onclick: () => choose(agent.name) },
    h('strong', null, agent.name), h('span', null, agent.description || WAYS[agent.strategy] || ''),
    h('small', null, [WAYS[agent.strategy], modelName(agent.model), agent.tools.length ? `${agent.tools.length} tools`.replace(/^1 tools/, '1 tool') : ''].filter(Boolean).join(' · '))));
  const workflows = app.workflows.map((workflow) => h('a.offer', { href: `#/w/${encodeURIComponent(workflow.name)}` },
    h('strong', null, icon('graph'), workflow.name), h('span', null, workflow.description), h('small', null, `workflow · ${workflow.nodes.length} nodes`)));
  const hour = new Date().getHours();
  const greeting = hour < 5 ? 'Still up?' : hour < 11 ? 'Good morning.' : hour < 18 ? 'Good afternoon.' : 'Good evening.';
  return h('div.home', null, bird(), h('h2', null, greeting), h('p', null, 'What shall be found out?'),
    agents.length + workflows.length > 1 ? h('div.offers', null, agents, workflows) : null);
}

function modelName(model) {
  return model.split('/').at(-1);
}
