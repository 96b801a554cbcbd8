// The drawing: what of the model is on the canvas, where it stands, what is lit.

import { still } from "./dom.js";
import { edgeAt, nodeAt } from "./hitting.js";
import { place } from "./layout.js";
import { paint } from "./painting.js";
import { Places } from "./places.js";
import { Stage } from "./stage.js";

const LARGE = 700; // more nodes than this are drawn with less: straight lines, no arrows
const SOON = 2000; // of more than this so many are laid out first
const FADE_MS = 260;
const FADING = 3000; // more than so many nodes and edges change at once

const short = (text, most) => {
  const signs = [...text.replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f]/g, "").replace(/\s+/g, " ").slice(0, 2000)];
  const end = Math.floor(most * 0.45);
  return signs.length > most ? `${signs.slice(0, most - end - 1).join("")}…${signs.slice(-end).join("")}` : signs.join("");
};

const keyOf = (fact) => `f${fact.subject}>${fact.object}>${fact.predicate}`;

export class Graph {
  constructor(element, model, colors, told) {
    this.model = model;
    this.colors = colors;
    this.told = told; // what is called when the reader does something
    this.drawn = new Set();
    this.nodes = new Map();
    this.edges = new Map();
    this.ranked = []; // nodes, the best connected first
    this.lines = []; // edges
    this.stood = new Places(model);
    this.hovered = null;
    this.stage = new Stage(element, (ink, view, box) => this.paint(ink, view, box), this.hands(), { least: 0.02, most: 4 });
  }

  paint(ink, view, box, most) {
    paint(ink, { nodes: this.ranked, edges: this.lines, large: this.drawn.size > LARGE }, view, box, this.colors.surface, most);
  }

  // What the pointer does.
  hands() {
    return {
      grab: (x, y) => this.nodeAt(x, y),
      drag: (node, dx, dy) => ([node.x, node.y] = [node.x + dx, node.y + dy], this.stage.soon()),
      drop: () => this.keep(),
      tap: (x, y, event) => {
        const node = this.nodeAt(x, y), edge = node ? null : this.edgeAt(x, y);
        if (node) return this.told.chosen("entity", node.id, event);
        const facts = edge && this.model.edges.get(edge.id)?.facts;
        const fact = facts && (facts.find((each) => this.model.shows(each)) ?? facts[0]);
        if (fact) this.told.chosen("fact", fact.id);
        else if (!edge) this.told.chosen(null);
      },
      doubleTap: (x, y) => {
        const node = this.nodeAt(x, y);
        if (node) this.told.unfold(node.id);
      },
      hover: (x, y) => this.hover(x, y),
      left: () => this.light(null),
    };
  }

  // Where a painting takes long, only what the pointer rests on is lit.
  hover(x, y) {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      const node = this.nodeAt(x, y), over = node ?? this.edgeAt(x, y);
      this.stage.element.classList.toggle("over", Boolean(over));
      if (over !== this.hovered) this.light(over);
    }, this.stage.cost > 16 ? 140 : 0);
  }

  nodeAt(x, y) {
    return nodeAt(this.ranked, this.stage.view, x, y);
  }

  edgeAt(x, y) {
    return edgeAt(this.lines, this.stage.view, x, y);
  }

  // Those that have a mark, such as "path".
  marked(mark) {
    return [...this.ranked, ...this.lines].filter((each) => each[mark]);
  }

  remark(mark, those) {
    for (const each of this.marked(mark)) each[mark] = false;
    for (const each of those) if (each) each[mark] = true;
  }

  // A node, its edges that are shown, and their other ends.
  beside(node) {
    const edges = this.lines.filter((edge) => (edge.a === node || edge.b === node) && !edge.absent);
    return new Set([node, ...edges, ...edges.flatMap((edge) => [edge.a, edge.b])]);
  }

  get moving() {
    return this.stage.moving;
  }

  places() {
    return [...this.nodes.values()].map(({ id, x, y }) => [id, x, y]);
  }

  // Where a node stands on the screen, in pixels of the window.
  standsAt(id) {
    const { x, y } = this.nodes.get(id), { view } = this.stage, { left, top } = this.stage.element.getBoundingClientRect();
    return [left + x * view.zoom + view.x, top + y * view.zoom + view.y];
  }

  size(entity) {
    const share = Math.log1p(entity.degree) / Math.log1p(Math.max(12, this.model.mostConnected));
    return 9 + 30 * Math.pow(Math.min(1, share), 2.2);
  }

  restyle() {
    this.recolor();
  }

  recolor() {
    for (const node of this.ranked) node.color = this.colors.entity(this.model.entities.get(node.id));
    this.stage.soon();
  }

  keep() {
    const news = this.stood.keep(this.ranked);
    if (news.length) this.told.kept(news);
  }

  node(id, x, y) {
    const entity = this.model.entities.get(id);
    return { id, x, y, label: short(entity.name, 30), size: this.size(entity), color: this.colors.entity(entity), pulseColor: this.colors.of("agent", entity.agent), alpha: 0 };
  }

  edge(id, source, target, more) {
    return { id, a: this.nodes.get(source), b: this.nodes.get(target), label: "", width: 1.6, bend: 0, alpha: 0, ...more };
  }

  // Puts nodes and edges in their order, and edges of the same two apart.
  arrange() {
    this.ranked = [...this.nodes.values()].sort((a, b) => b.size - a.size || a.id - b.id);
    this.lines = [...this.edges.values()];
    const bundles = new Map();
    for (const edge of this.lines) {
      if (edge.near) continue;
      const key = Math.min(edge.a.id, edge.b.id) * 1e8 + Math.max(edge.a.id, edge.b.id);
      (bundles.get(key) ?? bundles.set(key, []).get(key)).push(edge);
    }
    for (const bundle of bundles.values()) bundle.forEach((edge, number) => (edge.bend = 36 * (number - (bundle.length - 1) / 2)));
  }

  // How bright each is; what appears and goes does so softly, where that is not too much.
  fade(softly = true) {
    const large = this.drawn.size > LARGE, all = [...this.ranked, ...this.lines];
    const changing = [];
    for (const each of all) {
      const plain = each.a ? (large ? 0.4 : 0.62) : 1, lit = each.beside || each.chosen || each.path || each.hover;
      each.goal = each.absent ? 0 : lit ? 1 : each.faint ? 0.25 : each.dim ? (each.a ? 0.2 : 0.42) : plain;
      if (each.goal !== each.alpha) changing.push(each);
    }
    cancelAnimationFrame(this.fading);
    this.stage.soon();
    if (!softly || still() || changing.length > FADING || this.stage.cost > 30) {
      for (const each of changing) each.alpha = each.goal;
      return;
    }
    let last = performance.now();
    const step = () => {
      const now = performance.now(), most = (now - last) / FADE_MS;
      last = now;
      let left = false;
      for (const each of changing) {
        const away = each.goal - each.alpha;
        each.alpha = Math.abs(away) <= most ? each.goal : each.alpha + Math.sign(away) * most;
        left ||= each.alpha !== each.goal;
      }
      this.stage.soon();
      if (left) this.fading = requestAnimationFrame(step);
    };
    this.fading = requestAnimationFrame(step);
  }

  // Draws entities, and what links them to each other and to those that are drawn. What stands already stays where it is.
  async draw(ids, { again = false } = {}) {
    const fresh = ids.filter((id) => !this.drawn.has(id) && this.model.entities.has(id));
    if (!fresh.length && !again) return [];
    const all = [...this.drawn, ...fresh];
    const place_of = new Map(all.map((id, number) => [id, number]));
    const first = this.drawn.size === 0;
    const edges = [...this.model.edges.values()].filter((edge) => place_of.has(edge.source) && place_of.has(edge.target));
    const near = [...this.model.near.values()].filter((pair) => place_of.has(pair.a) && place_of.has(pair.b));
    const pairs = new Set();
    for (const { source, target } of edges) if (source !== target) pairs.add(Math.min(place_of.get(source), place_of.get(target)) * 1e6 + Math.max(place_of.get(source), place_of.get(target)));
    for (const { a, b } of near) pairs.add(Math.min(place_of.get(a), place_of.get(b)) * 1e6 + Math.max(place_of.get(a), place_of.get(b)));
    const x = new Float64Array(all.length).fill(NaN), y = new Float64Array(all.length).fill(NaN);
    const fixed = new Uint8Array(all.length);
    all.forEach((id, number) => {
      const node = this.nodes.get(id);
      const [kx, ky] = node ? [node.x, node.y] : this.stood.of(id);
      x[number] = kx; y[number] = ky;
      fixed[number] = Number.isNaN(kx) ? 0 : 1;
    });
    const links = Int32Array.from([...pairs].flatMap((pair) => [Math.floor(pair / 1e6), pair % 1e6]));
    const sizes = Float64Array.from(all, (id) => this.size(this.model.entities.get(id)) / 2);
    let places = { x, y };
    if (fixed.includes(0)) {
      const rounds = all.length > 8000 ? 60 : all.length > 2500 ? 120 : all.length > 600 ? 220 : 320;
      places = await place({ n: all.length, links, sizes, x, y, fixed: fixed.includes(1) ? fixed : null, seed: 7, rounds: fixed.includes(1) ? Math.min(rounds, 90) : rounds });
    }
    for (const id of fresh) {
      this.drawn.add(id);
      this.nodes.set(id, this.node(id, places.x[place_of.get(id)], places.y[place_of.get(id)]));
    }
    for (const { id, source, target, label, facts } of edges) {
      if (!this.edges.has(id)) this.edges.set(id, this.edge(id, source, target, { label: short(label, 32), width: 1 + Math.min(3, facts.length * 0.4), pulseColor: this.colors.of("agent", facts[0].agent) }));
    }
    for (const { a, b } of near) {
      const id = `n${a}~${b}`;
      if (!this.edges.has(id)) this.edges.set(id, this.edge(id, a, b, { near: true }));
    }
    this.arrange();
    this.show(!first);
    this.keep();
    if (first) this.fit(false);
    return fresh;
  }

  // Draws many: the best connected at once, the rest when their places are known.
  async drawMany(ids) {
    const left = ids.filter((id) => !this.drawn.has(id)).sort((a, b) => this.model.entities.get(b).degree - this.model.entities.get(a).degree || a - b);
    if (left.length > 2 * SOON) {
      await this.draw(left.slice(0, SOON));
      this.fit(true);
    }
    return this.draw(left);
  }

  remove(ids) {
    for (const id of ids) {
      const node = this.nodes.get(id);
      this.drawn.delete(id);
      this.nodes.delete(id);
      for (const edge of this.lines) if (edge.a === node || edge.b === node) this.edges.delete(edge.id);
    }
    if (ids.length) this.arrange();
    this.stage.soon();
  }

  // What is drawn at the times and of the agents that are chosen.
  show(softly = true) {
    const model = this.model, linked = new Set();
    const { size } = this.nodes, lines = this.edges.size;
    for (const node of this.ranked) if (!model.entities.has(node.id)) this.nodes.delete(node.id);
    for (const edge of this.lines) if ((!edge.near && !model.edges.has(edge.id)) || !this.nodes.has(edge.a.id) || !this.nodes.has(edge.b.id)) this.edges.delete(edge.id);
    if (this.nodes.size !== size || this.edges.size !== lines) this.arrange();
    for (const node of this.ranked) node.absent = !model.known(model.entities.get(node.id));
    for (const edge of this.lines) {
      const shown = edge.near || model.edges.get(edge.id).facts.some((fact) => model.shows(fact));
      edge.absent = !shown || edge.a.absent || edge.b.absent;
      if (shown && !edge.near) linked.add(edge.a).add(edge.b);
    }
    for (const node of this.ranked) {
      const facts = model.of.get(node.id) ?? [];
      node.faint = !linked.has(node) && facts.length > 0 && !facts.some((fact) => model.shows(fact));
    }
    this.fade(softly);
    this.told.shown();
  }

  counts() {
    return { entities: this.ranked.filter((node) => !node.absent).length, facts: this.shownFacts().length };
  }

  shownFacts() {
    const found = [];
    for (const fact of this.model.facts.values()) {
      if (this.drawn.has(fact.subject) && (fact.object === null || this.drawn.has(fact.object)) && this.model.shows(fact)) found.push(fact);
    }
    return found;
  }

  // Lights what the pointer is over, a node with what is beside it, or what is chosen.
  light(over) {
    this.hovered = over;
    this.remark("hover", over?.a ? [over] : []);
    this.remark("beside", []);
    const centre = (over && !over.a && over) || this.nodes.get(this.centre), way = this.marked("path");
    const around = centre ? this.beside(centre) : new Set(), all = [...this.ranked, ...this.lines];
    if (way.length) this.remark("dim", all.filter((each) => !each.path && !(over && around.has(each))));
    else {
      this.remark("dim", centre && all.length < 1500 ? all.filter((each) => !around.has(each)) : []);
      this.remark("beside", around);
    }
    this.fade();
  }

  choose(kind, id) {
    const fact = kind === "fact" ? this.model.facts.get(id) : null;
    this.centre = kind === "entity" ? id : null;
    this.remark("chosen", [kind === "entity" ? this.nodes.get(id) : fact && (fact.object === null ? this.nodes.get(fact.subject) : this.edges.get(keyOf(fact)))]);
    this.light(null);
  }

  mark(ids) {
    this.remark("found", ids.map((id) => this.nodes.get(id)));
    this.stage.soon();
  }

  way(facts) {
    this.remark("path", facts.flatMap((fact) => [this.nodes.get(fact.subject), this.nodes.get(fact.object), this.edges.get(keyOf(fact))]));
    this.light(null);
    if (facts.length) this.fit(true, this.ranked.filter((node) => node.path));
  }

  // Lights what is new in the colours of its agents, for a while. ids: of facts.
  pulse(ids) {
    const lit = [];
    for (const fact of ids.map((id) => this.model.facts.get(id)).filter(Boolean)) {
      for (const each of [this.nodes.get(fact.subject), this.nodes.get(fact.object), this.edges.get(keyOf(fact))].filter(Boolean)) {
        each.pulseColor = this.colors.of("agent", fact.agent);
        each.pulse = (each.pulse || 0) + 1;
        lit.push(each);
      }
    }
    if (!lit.length) return;
    this.stage.soon();
    setTimeout(() => (lit.forEach((each) => each.pulse--), this.stage.soon()), 2600);
  }

  // Room that panels cover is not to be used.
  set margins(margins) {
    this.inset = margins;
  }

  // The box around nodes, in the graph's own measure.
  box(nodes = this.ranked.filter((node) => !node.absent)) {
    let [x1, y1, x2, y2] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const { x, y, size } of nodes) [x1, y1, x2, y2] = [Math.min(x1, x - size / 2), Math.min(y1, y - size / 2), Math.max(x2, x + size / 2), Math.max(y2, y + size / 2)];
    return { x: x1, y: y1, wide: x2 - x1, high: y2 - y1 };
  }

  fit(move = true, nodes = undefined) {
    const box = this.box(nodes);
    if (!Number.isFinite(box.wide)) return;
    const { left = 0, right = 0, top = 0, bottom = 0 } = this.inset ?? {};
    const wide = Math.max(80, this.stage.width - left - right - 120), high = Math.max(80, this.stage.height - top - bottom - 70);
    const zoom = Math.min(1.7, wide / Math.max(box.wide, 1), high / Math.max(box.high, 1));
    this.stage.go({ zoom, x: left + 60 + wide / 2 - zoom * (box.x + box.wide / 2), y: top + 26 + high / 2 - zoom * (box.y + box.high / 2) }, move);
  }

  fly(id) {
    const node = this.nodes.get(id);
    if (!node) return;
    const zoom = Math.max(1.15, Math.min(this.stage.view.zoom, 2));
    const { left = 0, right = 0, top = 0, bottom = 0 } = this.inset ?? {};
    this.stage.go({ zoom, x: left + (this.stage.width - left - right) / 2 - zoom * node.x, y: top + (this.stage.height - top - bottom) / 2 - zoom * node.y }, true);
  }

  zoom(factor) {
    this.stage.zoomBy(factor);
  }

  // The next entity in a direction, for those that walk by keys: neighbours first.
  toward(id, dx, dy) {
    const here = this.nodes.get(id);
    if (!here) return null;
    let best = null, least = Infinity;
    const weigh = (node, weight) => {
      if (node === here || node.a || node.absent) return;
      const along = (node.x - here.x) * dx + (node.y - here.y) * dy, aside = Math.abs((node.x - here.x) * dy - (node.y - here.y) * dx);
      if (along <= 0 || aside > 2 * along) return;
      const far = (along + 2 * aside) * weight;
      if (far < least) [best, least] = [node.id, far];
    };
    for (const node of this.beside(here)) weigh(node, 1);
    if (best === null) for (const node of this.ranked) weigh(node, 3);
    return best;
  }
}
