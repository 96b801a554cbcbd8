// Paints a graph: edges, nodes, names. Pure but for the ink: the screen and a picture that is saved are painted alike.

const FONT = 'Inter, system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif';
const AT_ONCE = 200; // lines of one path: longer ones are slow to fill
const NAMES = 420, LABELS = 240; // as many are shown at most

// Where an edge bends: the control point of its curve. Edges of the same two are bent apart.
export function bent(edge) {
  const { a, b, bend } = edge;
  if (!bend) return null;
  const turn = a.id < b.id ? 1 : -1, dx = (b.x - a.x) * turn, dy = (b.y - a.y) * turn, far = Math.hypot(dx, dy) || 1;
  return [(a.x + b.x) / 2 - (dy / far) * bend, (a.y + b.y) / 2 + (dx / far) * bend];
}

const loud = (edge) => edge.hover || edge.chosen || edge.path;

function pen(edge, { edge: plain, ink, soft, path }) {
  if (edge.path) return [path, 4];
  if (edge.chosen) return [ink, 3];
  if (edge.hover) return [ink, edge.width];
  return [edge.beside ? soft : plain, edge.width];
}

function paintEdges(ink, edges, { zoom, x, y }, [x1, y1, x2, y2], surface, large) {
  const batches = new Map(), labels = [];
  const arrows = zoom > 0.5 && !large;
  for (const edge of edges) {
    if (edge.alpha < 0.02) continue;
    const { a, b } = edge, ax = a.x * zoom + x, ay = a.y * zoom + y, bx = b.x * zoom + x, by = b.y * zoom + y, room = edge.bend ? 80 * zoom : 0;
    if (Math.max(ax, bx) + room < x1 || Math.min(ax, bx) - room > x2 || Math.max(ay, by) + room < y1 || Math.min(ay, by) - room > y2) continue;
    const strong = loud(edge);
    // A key of numbers, as there may be tens of thousands.
    const key = (strong ? 4096 + (edge.path ? 2048 : edge.chosen ? 1024 : 512) : edge.beside ? 256 : 0) * 64 + (edge.near ? 8192 * 64 : 0) + Math.round(edge.width * 2) * 16 + Math.round(edge.alpha * 15);
    let batch = batches.get(key);
    if (!batch) batches.set(key, (batch = { edge, order: strong ? 2 : edge.beside ? 1 : 0, lines: [], heads: [] }));
    const middle = edge.bend && zoom > 0.3 ? bent(edge) : null;
    const mx = middle ? middle[0] * zoom + x : NaN, my = middle ? middle[1] * zoom + y : NaN;
    if (edge.pulse) glow(ink, edge.pulseColor, 12 * zoom, () => line(ink, ax, ay, bx, by, mx, my));
    batch.lines.push(ax, ay, bx, by, mx, my);
    if (a === b) continue;
    if (!edge.near && (arrows || strong)) batch.heads.push(bx, by, middle ? mx : ax, middle ? my : ay, (b.size / 2) * zoom);
    const font = Math.max(8 * zoom, strong || edge.beside ? 9.5 : 0);
    if (edge.label && (strong || font >= 11 || (edge.beside && zoom > 0.6))) {
      labels.push({ edge, x: middle ? (ax + bx + 2 * mx) / 4 : (ax + bx) / 2, y: middle ? (ay + by + 2 * my) / 4 : (ay + by) / 2, angle: Math.atan2(by - ay, bx - ax), far: Math.hypot(bx - ax, by - ay), font: Math.min(14, font), strong });
    }
  }
  for (const { edge, lines, heads } of [...batches.values()].sort((a, b) => a.order - b.order)) {
    const [color, width] = pen(edge, surface);
    ink.globalAlpha = edge.alpha;
    ink.strokeStyle = ink.fillStyle = color;
    ink.lineWidth = Math.max(loud(edge) ? 1.6 : 0.6, width * Math.min(1.4, zoom));
    ink.setLineDash(edge.near ? [ink.lineWidth, 2.5 * ink.lineWidth] : []);
    for (let begin = 0; begin < lines.length; begin += 6 * AT_ONCE) {
      ink.beginPath();
      for (let at = begin; at < Math.min(lines.length, begin + 6 * AT_ONCE); at += 6) line(ink, lines[at], lines[at + 1], lines[at + 2], lines[at + 3], lines[at + 4], lines[at + 5]);
      ink.stroke();
    }
    ink.beginPath();
    const long = Math.max(4, 3.5 * zoom + 2 * ink.lineWidth);
    for (let at = 0; at < heads.length; at += 5) head(ink, heads[at], heads[at + 1], heads[at + 2], heads[at + 3], heads[at + 4], long);
    ink.fill();
  }
  ink.setLineDash([]);
  return labels;
}

function line(ink, ax, ay, bx, by, mx, my) {
  ink.moveTo(ax, ay);
  if (ax === bx && ay === by) ink.bezierCurveTo(ax - 40, ay - 60, ax + 40, ay - 60, ax, ay); // of what is linked to itself
  else if (mx === mx) ink.quadraticCurveTo(mx, my, bx, by);
  else ink.lineTo(bx, by);
}

function head(ink, x, y, fromX, fromY, radius, long) {
  const far = Math.hypot(x - fromX, y - fromY);
  if (far < radius + long) return;
  const dx = (x - fromX) / far, dy = (y - fromY) / far, tipX = x - dx * (radius + 1), tipY = y - dy * (radius + 1);
  ink.moveTo(tipX, tipY);
  ink.lineTo(tipX - dx * long - dy * long * 0.45, tipY - dy * long + dx * long * 0.45);
  ink.lineTo(tipX - dx * long + dy * long * 0.45, tipY - dy * long - dx * long * 0.45);
  ink.closePath();
}

function glow(ink, color, wide, trace) {
  ink.globalAlpha = 0.45;
  ink.strokeStyle = color;
  ink.lineWidth = wide;
  ink.setLineDash([]);
  ink.beginPath();
  trace();
  ink.stroke();
}

function paintNodes(ink, nodes, { zoom, x, y }, [x1, y1, x2, y2], { page, ink: dark, mark, path }) {
  let color = null;
  for (let place = nodes.length - 1; place >= 0; place--) { // the best connected lie on top
    const node = nodes[place];
    if (node.alpha < 0.02) continue;
    const cx = node.x * zoom + x, cy = node.y * zoom + y, radius = Math.max(0.8, (node.size / 2) * zoom);
    if (cx + radius < x1 || cx - radius > x2 || cy + radius < y1 || cy - radius > y2) continue;
    if (node.pulse) glow(ink, node.pulseColor, 9, () => ink.arc(cx, cy, radius + 5, 0, 7)), (color = null);
    ink.globalAlpha = node.alpha;
    const ring = node.chosen ? dark : node.path ? path : node.found ? mark : null;
    if (!ring && radius < 1.6) {
      if (color !== node.color) ink.fillStyle = color = node.color;
      ink.fillRect(cx - radius, cy - radius, 2 * radius, 2 * radius);
      continue;
    }
    if (ring || radius > 3) {
      ink.fillStyle = color = ring ?? page;
      ink.beginPath();
      ink.arc(cx, cy, radius + (ring ? Math.max(2.2, 3 * Math.min(1, zoom)) : Math.min(1.4, zoom)), 0, 7);
      ink.fill();
    }
    if (color !== node.color) ink.fillStyle = color = node.color;
    ink.beginPath();
    ink.arc(cx, cy, radius, 0, 7);
    ink.fill();
  }
}

// Boxes that are taken, in cells.
class Taken {
  constructor() {
    this.cells = new Map();
  }

  cellsOf(box, visit) {
    for (let column = Math.floor(box[0] / 60); column <= Math.floor(box[2] / 60); column++) for (let row = Math.floor(box[1] / 60); row <= Math.floor(box[3] / 60); row++) if (visit(column * 100003 + row)) return true;
    return false;
  }

  free(box) {
    return !this.cellsOf(box, (key) => (this.cells.get(key) ?? []).some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]));
  }

  take(box) {
    this.cellsOf(box, (key) => void (this.cells.get(key) ?? this.cells.set(key, []).get(key)).push(box));
  }
}

const rank = (node) => (node.chosen || node.path ? 3 : node.found ? 2 : node.beside ? 1 : 0);

// Which names are shown, as on a map: in one size on the screen, the best connected first, none over another. Those
// that the reader looks at come before all.
export function names(nodes, { zoom, x, y }, [x1, y1, x2, y2], most = NAMES) {
  const taken = new Taken(), seen = [], shown = [];
  for (const node of nodes) {
    if (node.absent) continue;
    const cx = node.x * zoom + x, cy = node.y * zoom + y, radius = (node.size / 2) * zoom;
    if (cx < x1 || cx > x2 || cy < y1 || cy > y2) continue;
    seen.push([node, cx, cy, radius]);
    if (radius > 5) taken.take([cx - radius, cy - radius, cx + radius, cy + radius]); // more than a dot: no name covers it
  }
  const first = seen.filter(([node]) => rank(node)).sort((a, b) => rank(b[0]) - rank(a[0]));
  for (const [node, cx, cy, radius] of [...first, ...seen.filter(([node]) => !rank(node))]) {
    if (shown.length >= most) break;
    const font = Math.round(2 * ((rank(node) > 1 ? 13 : 10.5) + Math.min(5, node.size / 8))) / 2;
    const wide = (node.label.length * font * 0.56) / 2, box = [cx - wide, cy + radius + 1, cx + wide, cy + radius + 3 + font * 1.25];
    if (rank(node) < 3 && !taken.free(box)) continue;
    taken.take(box);
    shown.push({ node, x: cx, y: cy + radius + 2, font });
  }
  return shown;
}

function write(ink, text, x, y, color, page) {
  ink.strokeStyle = page;
  ink.strokeText(text, x, y);
  ink.fillStyle = color;
  ink.fillText(text, x, y);
}

function paintLabels(ink, labels, { page, soft, ink: dark, path }) {
  ink.textBaseline = "middle";
  ink.lineWidth = 3.2;
  for (const { edge, x, y, angle, far, font, strong } of labels) {
    if (!strong && far < edge.label.length * font * 0.5) continue;
    ink.save();
    ink.translate(x, y);
    ink.rotate(Math.abs(angle) > Math.PI / 2 ? angle + Math.PI : angle);
    ink.globalAlpha = strong ? 1 : Math.min(1, edge.alpha * 1.5);
    ink.font = `${font}px ${FONT}`;
    write(ink, edge.label, 0, 0, edge.path ? path : strong ? dark : soft, page);
    ink.restore();
  }
}

function paintNames(ink, shown, { page, label }) {
  ink.textBaseline = "top";
  ink.lineWidth = 3.6;
  let set = "";
  for (const { node, x, y, font } of shown) {
    if (node.alpha < 0.02) continue;
    const wanted = `${node.chosen ? "bold " : ""}${font}px ${FONT}`;
    if (set !== wanted) ink.font = set = wanted;
    ink.globalAlpha = node.dim ? Math.min(node.alpha, 0.34) : node.alpha;
    write(ink, node.label, x, y, label, page);
  }
}

// nodes: the best connected first; large: with less, as much is drawn.
export function paint(ink, { nodes, edges, large }, view, box, surface, most) {
  ink.globalAlpha = 1;
  ink.fillStyle = surface.page;
  ink.fillRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
  ink.textAlign = "center";
  ink.lineJoin = "round";
  const labels = paintEdges(ink, edges, view, box, surface, large);
  paintLabels(ink, labels.filter((each) => !each.strong).slice(0, LABELS), surface);
  paintNodes(ink, nodes, view, box, surface);
  paintLabels(ink, labels.filter((each) => each.strong), surface);
  paintNames(ink, names(nodes, view, box, most), surface);
  ink.globalAlpha = 1;
}
