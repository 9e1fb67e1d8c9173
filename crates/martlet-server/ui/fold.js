// Folding stored events into the model of a run. The same events in the same order always give the same model.

import { RunModel } from './run-model.js';
import { asText, cost, sum, unlabelled } from './format.js';
import { at } from './prices.js';

const ms = (timing) => (timing ? timing.elapsed_us / 1000 : null);

/** Takes one event in. */
export function fold(root, event) {
  root.lastEvent = event.id;
  const run = root.runs.get(event.run);
  // A run that nothing began here cannot be placed.
  if (!run) return;
  FOLDS[event.type]?.(run, event);
  run.touch();
}

const FOLDS = {
  'run.started'(run, event) {
    Object.assign(run, { strategy: event.strategy, name: event.agent, task: event.task, startedMs: event.at_ms, kind: 'agent' });
    if (run.state === 'queued') run.state = 'running';
  },

  'step.started'(run, event) {
    run.step(event.step, event.at_ms).startedMs = event.at_ms;
  },

  'model.replied'(run, event) {
    const step = run.step(event.step, event.at_ms);
    step.live = null;
    const { thought, reasoning } = event;
    const card = step.find('thought', (one) => one.isLive);
    if (!thought.trim() && !reasoning) {
      if (card) step.drop(card);
    } else {
      const timing = { elapsedMs: ms(event.timing), startedMs: event.timing.started_ms };
      (card ?? step.card('thought')).set({ text: unlabelled(thought).trim(), reasoning, isLive: false, state: 'done', ...timing });
    }
    step.usage = add(step.usage, event.usage);
    step.rev += 1;
  },

  'plan.made'(run, event) {
    const tasks = event.tasks.map((planned, index) => ({ number: index + 1, state: 'pending', ...planned }));
    const plan = { reasoning: event.reasoning, isSufficient: event.has_sufficient_info, tasks, state: 'running' };
    const step = run.step(event.step, event.at_ms);
    replaced(step, event.reasoning);
    step.card('plan', plan);
  },

  'task.started'(run, event) {
    task(run, event, { state: 'running' });
  },

  'task.ended'(run, event) {
    task(run, event, { state: event.status, result: event.result, error: event.error, elapsedMs: ms(event.timing) });
  },

  'completion.checked'(run, event) {
    const { is_complete: isComplete, reasoning, missing_steps: missing, next_action: next } = event;
    const step = run.step(event.step, event.at_ms);
    replaced(step, reasoning);
    step.card('check', { isComplete, reasoning, missing: missing ?? [], next, state: 'done' });
  },

  'code.started'(run, event) {
    const step = run.step(event.step, event.at_ms);
    const card = step.find('code', (one) => one.isLive) ?? step.card('code');
    card.set({ text: event.code, isLive: false, startedMs: event.at_ms });
    step.rev += 1;
  },

  'code.ended'(run, event) {
    const step = run.step(event.step, event.at_ms);
    const code = step.find('code');
    code?.set({ state: event.error ? 'failed' : 'done', elapsedMs: event.at_ms - code.startedMs });
    const logs = step.find('logs');
    if (event.stdout) (logs ?? step.card('logs')).set({ text: event.stdout, state: 'done' });
    else if (logs) step.drop(logs);
    if (event.value !== undefined) step.card('result', { text: event.value, state: 'done' });
    if (event.error) step.card('error', { text: event.error, state: 'failed' });
    step.rev += 1;
  },

  'tool.approval'(run, event) {
    const card = toolCard(run, event);
    card.set({ name: event.name, args: event.arguments, state: 'waiting', reason: event.reason });
    waiting(run, event, true);
  },

  'tool.decided'(run, event) {
    const card = toolCard(run, event);
    const state = event.decision === 'denied' ? 'denied' : 'running';
    card.set({ decision: event.decision, decisionReason: event.reason, state, args: event.arguments ?? card.args });
    waiting(run, event, false);
  },

  'tool.called'(run, event) {
    // A question of the agent waits for its answer.
    const state = event.name === 'ask_user' ? 'waiting' : 'running';
    toolCard(run, event).set({ name: event.name, args: event.arguments, state, startedMs: event.at_ms });
  },

  'tool.returned'(run, event) {
    const state = event.error === undefined ? 'done' : 'failed';
    const card = toolCard(run, event);
    card.set({
      name: event.name, output: event.output, error: event.error, elapsedMs: ms(event.timing),
      state: card.decision === 'denied' ? 'denied' : state,
    });
  },

  'step.ended'(run, event) {
    const step = run.step(event.step, event.at_ms);
    Object.assign(step, { state: 'done', usage: event.usage, elapsedMs: ms(event.timing), live: null });
    const own = {
      input_tokens: event.usage.input_tokens - step.childUsage.input_tokens,
      output_tokens: event.usage.output_tokens - step.childUsage.output_tokens,
    };
    step.cost = sum(cost(own, at(run.name)), step.childCost);
    step.cards.forEach((card) => (card.state === 'running' || card.state === 'waiting') && card.set({ state: 'done' }));
    if (event.error && !step.find('error') && event.error.type !== 'tools') {
      step.card('error', { text: textOf(event.error), state: 'failed' });
    }
    step.rev += 1;
  },

  'run.ended'(run, event) {
    run.end({ ...event, outcome: event.status, elapsedMs: ms(event.timing) });
    answered(run);
  },

  'child.started'(run, event) {
    const child = new RunModel({ id: event.child, name: event.name, kind: 'agent', state: 'running' }, run.root);
    child.input = event.input;
    child.parentStep = null;
    if (run.kind === 'workflow') {
      const node = run.node(event.name);
      child.parentNode = { of: run, node };
      node.runs.push(child);
      node.rev += 1;
      return;
    }
    const step = run.step(event.step, event.at_ms);
    child.parentStep = step;
    const calling = step.find('tool', (one) => one.name === event.name && !one.child && one.state === 'running');
    (calling ?? step.card('tool', { name: event.name, args: { task: event.input } })).set({ child });
  },

  'child.ended'(run, event) {
    const child = run.root.runs.get(event.child);
    if (!child) return;
    if (child.state !== 'ended') {
      const outcome = event.error === undefined ? 'succeeded' : 'failed';
      child.end({ outcome, error: event.error, usage: event.usage, elapsedMs: ms(event.timing) });
    }
    const step = child.parentStep;
    if (step) {
      step.childUsage = add(step.childUsage, event.usage);
      step.childCost = sum(step.childCost, child.cost);
      step.find('tool', (one) => one.child === child)?.set({});
    } else if (run.kind === 'workflow') {
      run.node(event.name).rev += 1;
    }
  },

  'graph.started'(run, event) {
    Object.assign(run, { kind: 'workflow', name: event.graph, startedMs: event.at_ms });
    if (run.state === 'queued') run.state = 'running';
  },

  'node.started'(run, event) {
    const node = run.node(event.node);
    Object.assign(node, { state: 'running', attempt: event.attempt, startedMs: node.startedMs ?? event.at_ms });
    node.rev += 1;
  },

  'node.retried'(run, event) {
    const text = `Attempt ${event.attempt} failed: ${event.error}\nAnother one follows in ${event.wait_ms} ms.`;
    run.node(event.node).card('error', { text, state: 'failed' });
  },

  'node.progressed'(run, event) {
    const node = run.node(event.node);
    Object.assign(node, { done: event.done, of: event.of });
    node.rev += 1;
  },

  'node.ended'(run, event) {
    const node = run.node(event.node);
    // A failure that the workflow goes on after is one all the same.
    const status = event.error ? 'failed' : event.status;
    const state = { completed: 'done', failed: 'failed', skipped: 'skipped', cancelled: 'cancelled' }[status] ?? 'done';
    Object.assign(node, { state, elapsedMs: ms(event.timing), usage: event.usage, cause: event.cause });
    node.cards.forEach((card) => (card.state === 'running' || card.state === 'waiting') && card.set({ state }));
    if (event.output !== undefined) node.card('result', { text: event.output, state: 'done' });
    if (event.error) node.card('error', { text: event.error, state: 'failed' });
    node.rev += 1;
  },

  'graph.ended'(run, event) {
    const { status, output, error, usage } = event;
    for (const node of run.nodes.values()) {
      if (node.state === 'running' || node.state === 'waiting') node.state = 'cancelled';
      else if (node.state === 'queued') node.state = 'skipped';
      node.rev += 1;
    }
    run.end({ outcome: status, answer: output, error, usage, elapsedMs: ms(event.timing) });
  },
};

/** An answer in plain words was the model's last text: it is not shown twice. */
function answered(run) {
  const last = run.steps.at(-1);
  const thought = last?.find('thought');
  if (thought && typeof run.answer === 'string' && thought.text === run.answer.trim() && !thought.reasoning) last.drop(thought);
}

/** What a plan or a judgement says is not shown twice, as a thought as well. */
function replaced(step, reasoning) {
  const thought = step.find('thought', (card) => card.text === reasoning.trim());
  if (thought) step.drop(thought);
}

/** The card of a call: of its step, or in a workflow of its node. */
function toolCard(run, event) {
  const place = run.kind === 'workflow' ? run.node(event.call) : run.step(event.step, event.at_ms);
  place.rev += 1;
  return place.cards.findLast((card) => card.kind === 'tool' && card.call === event.call)
    ?? place.card('tool', { call: event.call, name: event.name, args: event.arguments, startedMs: event.at_ms });
}

function waiting(run, event, isSo) {
  if (run.kind === 'workflow') run.node(event.call).state = isSo ? 'waiting' : 'running';
  else if (run.parentNode) run.parentNode.node.state = isSo ? 'waiting' : 'running';
}

function task(run, event, members) {
  const plan = run.step(event.step, event.at_ms).find('plan') ?? run.steps.findLast((step) => step.find('plan'))?.find('plan');
  const found = plan?.tasks.find((one) => one.number === event.task);
  if (!found) return;
  Object.assign(found, members);
  plan.set({});
}

function add(one, other) {
  if (!one) return { ...other };
  return { input_tokens: one.input_tokens + other.input_tokens, output_tokens: one.output_tokens + other.output_tokens };
}

function textOf(error) {
  if (error.type === 'answer') return `The answer was not accepted: ${error.problem}`;
  return error.message ?? asText(error.error ?? error);
}
