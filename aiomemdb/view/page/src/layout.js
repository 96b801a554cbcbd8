// Where nodes stand: springs along edges, charges between nodes, room for each name. Seeded: the same graph always
// looks the same. A generator: it runs in a worker, or in slices where there are no workers. It refers to nothing
// outside, as its own text is what the worker runs.

export function* steps({ n, links, sizes, x, y, fixed, seed, rounds }) {
  let state = seed >>> 0 || 1;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const m = links.length / 2;
  const degree = new Float64Array(n);
  const of = Array.from({ length: n }, () => []);
  for (let e = 0; e < m; e++) {
    const a = links[2 * e], b = links[2 * e + 1];
    degree[a]++; degree[b]++;
    of[a].push(b); of[b].push(a);
  }
  // A good start: what has a place keeps it; others begin beside a neighbour that has one, else on a spiral, in the
  // order in which a walk from the best connected one meets them.
  const order = [], seen = new Uint8Array(n);
  const ranked = Array.from({ length: n }, (_, i) => i).sort((a, b) => degree[b] - degree[a] || a - b);
  for (const root of ranked) {
    if (seen[root]) continue;
    seen[root] = 1;
    const queue = [root];
    for (let head = 0; head < queue.length; head++) {
      order.push(queue[head]);
      for (const other of of[queue[head]]) if (!seen[other]) { seen[other] = 1; queue.push(other); }
    }
  }
  let turn = 0;
  for (const i of order) {
    if (!Number.isNaN(x[i])) continue;
    const beside = fixed ? of[i].find((other) => !Number.isNaN(x[other])) : undefined;
    const angle = turn * 2.399963229728653 + random() * 0.3;
    const far = beside === undefined ? 26 * Math.sqrt(turn + 0.5) : 60 + random() * 50;
    x[i] = (beside === undefined ? 0 : x[beside]) + far * Math.cos(angle);
    y[i] = (beside === undefined ? 0 : y[beside]) + far * Math.sin(angle);
    turn++;
  }
  const vx = new Float64Array(n), vy = new Float64Array(n);
  const strength = new Float64Array(m), bias = new Float64Array(m), rest = new Float64Array(m);
  for (let e = 0; e < m; e++) {
    const a = links[2 * e], b = links[2 * e + 1];
    strength[e] = 1 / Math.min(degree[a], degree[b]);
    bias[e] = degree[a] / (degree[a] + degree[b]);
    rest[e] = 58 + sizes[a] + sizes[b] + 6 * Math.sqrt(Math.min(degree[a], degree[b]));
  }
  const charge = new Float64Array(n);
  for (let i = 0; i < n; i++) charge[i] = 260 + 30 * Math.min(40, degree[i]);

  // A quadtree in arrays, made anew each round: cells with their charge and its centre.
  let child = new Int32Array(0), cx, cy, cq, head, size;
  const next = new Int32Array(n);
  const build = () => {
    let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
    for (let i = 0; i < n; i++) {
      if (x[i] < x0) x0 = x[i]; if (x[i] > x1) x1 = x[i];
      if (y[i] < y0) y0 = y[i]; if (y[i] > y1) y1 = y[i];
    }
    size = Math.max(x1 - x0, y1 - y0, 1) * 1.0001;
    const most = 4 * n + 64;
    if (child.length < 4 * most) {
      child = new Int32Array(4 * most); cx = new Float64Array(most); cy = new Float64Array(most);
      cq = new Float64Array(most); head = new Int32Array(most);
    }
    let cells = 1;
    child.fill(-1, 0, 4); cx[0] = cy[0] = cq[0] = 0; head[0] = -1;
    for (let i = 0; i < n; i++) {
      let cell = 0, left = x0, top = y0, half = size / 2, depth = 0;
      for (;;) {
        cx[cell] += x[i] * charge[i]; cy[cell] += y[i] * charge[i]; cq[cell] += charge[i];
        const open = child[4 * cell] >= 0;
        if (!open && (head[cell] < 0 || depth > 22 || cells + 4 > most)) { next[i] = head[cell]; head[cell] = i; break; }
        if (!open) {
          for (let q = 0; q < 4; q++) {
            child[4 * cell + q] = cells;
            child.fill(-1, 4 * cells, 4 * cells + 4); cx[cells] = cy[cells] = cq[cells] = 0; head[cells] = -1;
            cells++;
          }
          for (let j = head[cell]; j >= 0; ) {
            const after = next[j], q = (x[j] >= left + half ? 1 : 0) + (y[j] >= top + half ? 2 : 0), to = child[4 * cell + q];
            cx[to] += x[j] * charge[j]; cy[to] += y[j] * charge[j]; cq[to] += charge[j];
            next[j] = head[to]; head[to] = j;
            j = after;
          }
          head[cell] = -1;
        }
        const right = x[i] >= left + half ? 1 : 0, low = y[i] >= top + half ? 1 : 0;
        left += right * half; top += low * half; half /= 2; depth++;
        cell = child[4 * cell + right + 2 * low];
      }
    }
    for (let c = 0; c < cells; c++) if (cq[c]) { cx[c] /= cq[c]; cy[c] /= cq[c]; }
  };
  const stack = new Int32Array(512), widths = new Float64Array(512);
  const push = (i, alpha) => {
    let top = 0;
    stack[0] = 0; widths[0] = size;
    while (top >= 0) {
      const cell = stack[top], width = widths[top--];
      if (!cq[cell]) continue;
      let dx = x[i] - cx[cell], dy = y[i] - cy[cell], d2 = dx * dx + dy * dy;
      const open = child[4 * cell] >= 0;
      if (open && width * width > 0.81 * d2) {
        for (let q = 0; q < 4; q++) { stack[++top] = child[4 * cell + q]; widths[top] = width / 2; }
        continue;
      }
      if (open) {
        if (d2 < 1440000) { const f = (alpha * cq[cell]) / Math.max(d2, 100); vx[i] += dx * f; vy[i] += dy * f; }
        continue;
      }
      for (let j = head[cell]; j >= 0; j = next[j]) {
        if (j === i) continue;
        dx = x[i] - x[j]; dy = y[i] - y[j]; d2 = dx * dx + dy * dy;
        if (d2 < 1e-6) { dx = random() - 0.5; dy = random() - 0.5; d2 = 0.5; }
        if (d2 < 1440000) { const f = (alpha * charge[j]) / Math.max(d2, 100); vx[i] += dx * f; vy[i] += dy * f; }
      }
    }
  };
  // Names stand under their nodes: rooms are wider than high.
  const apart = (share) => {
    const cell = 96, grid = new Map();
    for (let i = 0; i < n; i++) {
      const key = Math.floor(x[i] / cell) * 65536 + Math.floor(y[i] / cell);
      const list = grid.get(key);
      if (list) list.push(i); else grid.set(key, [i]);
    }
    for (const [key, list] of grid) {
      for (const step of [0, 1, 65535, 65536, 65537]) {
        const others = step ? grid.get(key + step) : list;
        if (!others) continue;
        for (let a = 0; a < list.length; a++) for (let b = step ? 0 : a + 1; b < others.length; b++) {
          const i = list[a], j = others[b];
          const dx = x[j] - x[i], dy = y[j] - y[i];
          const wide = sizes[i] + sizes[j] + 46, high = sizes[i] + sizes[j] + 26;
          const d = Math.sqrt((dx * dx) / (wide * wide) + (dy * dy) / (high * high));
          if (d >= 1) continue;
          const move = (share * (1 - d)) / (2 * Math.max(d, 0.05));
          const mx = (dx || random() - 0.5) * move, my = (dy || random() - 0.5) * move;
          if (!fixed || !fixed[i]) { x[i] -= mx; y[i] -= my; }
          if (!fixed || !fixed[j]) { x[j] += mx; y[j] += my; }
        }
      }
    }
  };
  for (let round = 0; round < rounds; round++) {
    const alpha = Math.pow(0.002, round / rounds) * (fixed ? 0.5 : 1);
    build();
    for (let e = 0; e < m; e++) {
      const a = links[2 * e], b = links[2 * e + 1];
      const dx = x[b] + vx[b] - x[a] - vx[a] || 1e-3, dy = y[b] + vy[b] - y[a] - vy[a] || 1e-3, d = Math.sqrt(dx * dx + dy * dy);
      const f = ((d - rest[e]) / d) * alpha * strength[e];
      vx[b] -= dx * f * bias[e]; vy[b] -= dy * f * bias[e];
      vx[a] += dx * f * (1 - bias[e]); vy[a] += dy * f * (1 - bias[e]);
    }
    let moved = 0;
    for (let i = 0; i < n; i++) {
      if (fixed && fixed[i]) { vx[i] = vy[i] = 0; continue; }
      push(i, alpha);
      const pull = degree[i] ? 1 : 1.6;
      vx[i] = (vx[i] - x[i] * 0.035 * pull * alpha) * 0.6;
      vy[i] = (vy[i] - y[i] * 0.06 * pull * alpha) * 0.6;
      x[i] += vx[i]; y[i] += vy[i];
      moved = Math.max(moved, Math.abs(vx[i]) + Math.abs(vy[i]));
    }
    if (n <= 4000 && round > rounds * 0.4) apart(0.6);
    yield round;
    if (round > 30 && moved < 0.05) break;
  }
  for (let last = 0; last < (n <= 4000 ? 24 : 4); last++) { apart(1); yield rounds; }
}

const WORKER = `const steps=${steps.toString()};onmessage=({data})=>{for(const _ of steps(data));postMessage({x:data.x,y:data.y},[data.x.buffer,data.y.buffer])}`;

// Places for a graph: a promise of { x, y }. What it is handed is copied.
export function place(problem) {
  const copy = { ...problem, x: Float64Array.from(problem.x), y: Float64Array.from(problem.y) };
  let worker = null, address = "";
  try {
    address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
    worker = new Worker(address);
  } catch {
    return inSlices(copy);
  }
  return new Promise((resolve) => {
    const end = (answer) => {
      worker.terminate();
      URL.revokeObjectURL(address);
      resolve(answer);
    };
    worker.onmessage = ({ data }) => end(data);
    worker.onerror = () => end(inSlices({ ...problem, x: Float64Array.from(problem.x), y: Float64Array.from(problem.y) }));
    worker.postMessage(copy);
  });
}

async function inSlices(problem) {
  let since = performance.now();
  for (const _ of steps(problem)) {
    if (performance.now() - since < 8) continue;
    await new Promise((resume) => setTimeout(resume));
    since = performance.now();
  }
  return problem;
}
