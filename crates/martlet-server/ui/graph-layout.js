// Where the nodes of a workflow are drawn: in layers, each node behind all that it waits for, with few crossings.

const SWEEPS = 6;

/**
 * Places `nodes` (with `name`) and `edges` (`from`, `to`). Gives the places by name, the lines, and the size.
 * `isTall` lays the layers from the top to the bottom.
 */
export function layOut(nodes, edges, { width, height, gap, apart, isTall }) {
  const layers = layered(nodes, edges);
  order(layers, edges);
  const along = isTall ? height : width;
  const across = isTall ? width : height;
  const breadth = Math.max(...layers.map((layer) => layer.length)) * (across + apart) - apart;
  const places = new Map();
  layers.forEach((layer, depth) => {
    const own = layer.length * (across + apart) - apart;
    layer.forEach((name, index) => {
      const main = depth * (along + gap);
      const cross = (breadth - own) / 2 + index * (across + apart);
      places.set(name, isTall ? { x: cross, y: main } : { x: main, y: cross });
    });
  });
  const length = layers.length * (along + gap) - gap;
  return {
    places,
    lines: edges.map((edge) => ({ ...edge, path: line(places.get(edge.from), places.get(edge.to), { width, height, isTall }) })),
    size: isTall ? { width: breadth, height: length } : { width: length, height: breadth },
  };
}

/** The longest way from a beginning decides on the layer. */
function layered(nodes, edges) {
  const before = new Map(nodes.map((node) => [node.name, []]));
  for (const edge of edges) before.get(edge.to)?.push(edge.from);
  const depths = new Map();
  const depth = (name, path) => {
    if (depths.has(name)) return depths.get(name);
    if (path.has(name)) return 0;
    path.add(name);
    const deepest = Math.max(-1, ...(before.get(name) ?? []).map((one) => depth(one, path)));
    path.delete(name);
    depths.set(name, deepest + 1);
    return deepest + 1;
  };
  const layers = [];
  for (const node of nodes) (layers[depth(node.name, new Set())] ??= []).push(node.name);
  return layers.filter(Boolean);
}

/** Nodes come near to those that they are joined with: each to the middle of its neighbours, back and forth. */
function order(layers, edges) {
  const neighbours = new Map();
  for (const { from, to } of edges) {
    if (!neighbours.has(from)) neighbours.set(from, []);
    if (!neighbours.has(to)) neighbours.set(to, []);
    neighbours.get(from).push(to);
    neighbours.get(to).push(from);
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const place = new Map();
    layers.forEach((layer) => layer.forEach((name, index) => place.set(name, (index + 0.5) / layer.length)));
    const depthOf = new Map(layers.flatMap((layer, depth) => layer.map((name) => [name, depth])));
    const isForth = sweep % 2 === 0;
    layers.forEach((layer, depth) => {
      const middle = (name) => {
        const joined = (neighbours.get(name) ?? []).filter((other) => (isForth ? depthOf.get(other) < depth : depthOf.get(other) > depth));
        return joined.length ? joined.reduce((sum, other) => sum + place.get(other), 0) / joined.length : place.get(name);
      };
      const middles = new Map(layer.map((name) => [name, middle(name)]));
      layer.sort((one, other) => middles.get(one) - middles.get(other));
      layer.forEach((name, index) => place.set(name, (index + 0.5) / layer.length));
    });
  }
}

function line(from, to, { width, height, isTall }) {
  if (!from || !to) return '';
  if (isTall) {
    const [x1, y1, x2, y2] = [from.x + width / 2, from.y + height, to.x + width / 2, to.y - 1];
    const bend = Math.max(14, (y2 - y1) / 2);
    return `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
  }
  const [x1, y1, x2, y2] = [from.x + width, from.y + height / 2, to.x - 1, to.y + height / 2];
  const bend = Math.max(18, (x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}
