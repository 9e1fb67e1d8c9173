// What agents' tokens cost, as the server's configuration says.

const prices = new Map();

export function learn(agents) {
  for (const agent of agents) if (agent.price) prices.set(agent.name, agent.price);
}

/** The price of the agent's tokens; nothing where none is configured. */
export function at(agent) {
  return prices.get(agent) ?? null;
}
