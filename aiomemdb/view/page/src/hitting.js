// What is under a pointer, at x and y of the canvas.

import { bent } from "./painting.js";

const REACH = 5; // pixels beside a node or an edge that still hit it

export function nodeAt(nodes, view, x, y) {
  let best = null, least = Infinity;
  for (const node of nodes) {
    const far = Math.hypot(node.x * view.zoom + view.x - x, node.y * view.zoom + view.y - y) - (node.size / 2) * view.zoom;
    if (far < Math.min(REACH, least) && !node.absent) [best, least] = [node, far];
  }
  return best;
}

export function edgeAt(edges, view, x, y) {
  const wx = (x - view.x) / view.zoom, wy = (y - view.y) / view.zoom;
  let best = null, least = REACH / view.zoom;
  const weigh = (edge, ax, ay, bx, by) => {
    const dx = bx - ax, dy = by - ay, share = Math.max(0, Math.min(1, ((wx - ax) * dx + (wy - ay) * dy) / (dx * dx + dy * dy || 1)));
    const far = Math.hypot(wx - ax - share * dx, wy - ay - share * dy);
    if (far < least) [best, least] = [edge, far];
  };
  for (const edge of edges) {
    const { a, b } = edge, room = least + Math.abs(edge.bend);
    if (edge.absent || wx < Math.min(a.x, b.x) - room || wx > Math.max(a.x, b.x) + room || wy < Math.min(a.y, b.y) - room || wy > Math.max(a.y, b.y) + room) continue;
    const middle = bent(edge);
    if (!middle) {
      weigh(edge, a.x, a.y, b.x, b.y);
      continue;
    }
    const at = (share) => [0, 1].map((axis) => (1 - share) ** 2 * [a.x, a.y][axis] + 2 * share * (1 - share) * middle[axis] + share ** 2 * [b.x, b.y][axis]);
    for (let step = 0; step < 8; step++) weigh(edge, ...at(step / 8), ...at((step + 1) / 8));
  }
  return best;
}
