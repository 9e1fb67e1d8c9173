// What the page knows of the server and of who asks.

import { get } from './api.js';
import { learn } from './prices.js';

/** Tools that the switch "Web search" withholds. */
export const WEB_TOOLS = ['web_search', 'visit_webpage', 'download_images'];

export const app = {
  me: null,
  agents: [],
  workflows: [],

  async load() {
    this.me = await get('me');
    const [{ agents }, { workflows }] = await Promise.all([get('agents'), get('workflows')]);
    this.agents = agents;
    this.workflows = workflows;
    learn(agents);
  },

  agent(name) {
    return this.agents.find((agent) => agent.name === name);
  },

  workflow(name) {
    return this.workflows.find((workflow) => workflow.name === name);
  },

  get defaultAgent() {
    return (this.agents.find((agent) => agent.is_default) ?? this.agents[0])?.name ?? '';
  },

  may(scope) {
    return this.me?.scopes.includes(scope) || this.me?.scopes.includes('admin');
  },

  /** Whether the agent can search the web. */
  searches(name) {
    return this.agent(name)?.tools.some((tool) => WEB_TOOLS.includes(tool.name)) ?? false;
  },
};

/** What was seen of an unfinished reply when its conversation was left or the page loaded anew, for this window alone. */
export const beforeLoading = {
  of(run) {
    try {
      return JSON.parse(sessionStorage.getItem('martlet.unsettled') ?? '{}')[run];
    } catch {
      return undefined;
    }
  },

  keep(run, unsettled) {
    try {
      sessionStorage.setItem('martlet.unsettled', JSON.stringify({ [run]: unsettled }));
    } catch {
      // It comes again with the whole reply.
    }
  },
};

/** Small things that are remembered in this browser. */
export const remembered = {
  get(name, fallback = null) {
    try {
      return localStorage.getItem(`martlet.${name}`) ?? fallback;
    } catch {
      return fallback;
    }
  },

  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(`martlet.${name}`);
      else localStorage.setItem(`martlet.${name}`, value);
    } catch {
      // Storage is off: it holds until the page is left.
    }
  },
};
