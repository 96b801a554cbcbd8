// The drawing: what of the model is on the canvas, where it stands, what is lit.

import cytoscape from "cytoscape";
import { place } from "./layout.js";
import { still } from "./dom.js";

const LARGE = 700; // more nodes than this are drawn with less: straight lines, no arrows
const SLICE_MS = 30; // as much is added at once as leaves the page answering

const short = (text, most) => {
  const signs = [...text.replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f]/g, "").replace(/\s+/g, " ").slice(0, 2000)];
  const end = Math.floor(most * 0.45);
  return signs.length > most ? `${signs.slice(0, most - end - 1).join("")}…${signs.slice(-end).join("")}` : signs.join("");
};

// A node, its edges that are shown, and their other ends.
const beside = (node) => {
  const edges = node.connectedEdges().not(".absent");
  return edges.union(edges.connectedNodes()).union(node);
};

export class Graph {
  constructor(element, model, colors, told) {
    this.model = model;
    this.colors = colors;
    this.told = told; // what is called when the reader does something
    this.drawn = new Set();
    this.kept = this.stored();
    this.cy = cytoscape({
      container: element,
      elements: [],
      style: this.style(),
      layout: { name: "preset" },
      minZoom: 0.02,
      maxZoom: 4,
      boxSelectionEnabled: false,
      autounselectify: true,
      textureOnViewport: false,
      pixelRatio: "auto",
    });
    const cy = this.cy;
    cy.on("tap", "node", (event) => told.chosen("entity", Number(event.target.id()), event.originalEvent));
    cy.on("tap", "edge", (event) => {
      const edge = this.model.edges.get(event.target.id());
      const fact = edge && (edge.facts.find((each) => this.model.shows(each)) ?? edge.facts[0]);
      if (fact) told.chosen("fact", fact.id);
    });
    cy.on("tap", (event) => event.target === cy && told.chosen(null));
    cy.on("dbltap", "node", (event) => told.unfold(Number(event.target.id())));
    cy.on("mouseover", "node", (event) => this.light(event.target));
    cy.on("mouseout", "node", () => this.light(null));
    cy.on("mouseover", "edge", (event) => event.target.addClass("hover"));
    cy.on("mouseout", "edge", (event) => event.target.removeClass("hover"));
    cy.on("dragfree", "node", () => (this.keep(), this.letter()));
    cy.on("viewport", () => {
      clearTimeout(this.lettering);
      this.lettering = setTimeout(() => this.letter(), this.drawn.size > LARGE ? 280 : 90);
    });
  }

  size(entity) {
    const share = Math.log1p(entity.degree) / Math.log1p(Math.max(12, this.model.mostConnected));
    return 9 + 30 * Math.pow(Math.min(1, share), 2.2);
  }

  style() {
    const { page, ink, soft, edge, label, mark, path } = this.colors.surface;
    const font = 'Inter, system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif';
    const swift = still() ? 0 : 260;
    return [
      {
        selector: "node",
        style: {
          width: "data(size)", height: "data(size)", "background-color": "data(color)", label: "data(shown)",
          "font-family": font, "font-size": "data(font)", color: label, "text-valign": "bottom", "text-margin-y": 3,
          "text-outline-color": page, "text-outline-width": "data(halo)", "text-outline-opacity": 0.9, "min-zoomed-font-size": 7,
          "border-width": 1.5, "border-color": page, "overlay-opacity": 0,
          "transition-property": "opacity", "transition-duration": swift,
        },
      },
      {
        selector: "edge",
        style: {
          width: "data(width)", "line-color": edge, "curve-style": "bezier", "control-point-step-size": 26, opacity: 0.62,
          "target-arrow-shape": "triangle", "target-arrow-color": edge, "arrow-scale": 0.7, "overlay-opacity": 0,
          label: "data(label)", "font-family": font, "font-size": 8, color: soft, "text-rotation": "autorotate",
          "text-background-color": page, "text-background-opacity": 0.85, "text-background-padding": 1.5, "min-zoomed-font-size": 11,
          "transition-property": "opacity", "transition-duration": swift,
        },
      },
      { selector: "edge.large", style: { "curve-style": "haystack", "target-arrow-shape": "none", opacity: 0.4, width: 1 } },
      { selector: "edge.near", style: { "line-style": "dotted", "target-arrow-shape": "none", width: 1.6, label: "", "curve-style": "straight" } },
      { selector: ".absent", style: { display: "none" } },
      { selector: ".faint", style: { opacity: 0.25 } },
      { selector: "node.dim", style: { opacity: 0.42, "text-opacity": 0.75 } },
      { selector: "edge.dim", style: { opacity: 0.2, "text-opacity": 0 } },
      { selector: "node.beside", style: { opacity: 1 } },
      { selector: "edge.beside", style: { opacity: 1, "line-color": soft, "target-arrow-color": soft, "min-zoomed-font-size": 5.5, "z-index": 5 } },
      { selector: "edge.hover", style: { opacity: 1, "line-color": ink, "target-arrow-color": ink, color: ink, "min-zoomed-font-size": 0, "z-index": 9 } },
      { selector: "node.found", style: { "border-width": 3, "border-color": mark } },
      { selector: "node.chosen", style: { "border-width": 4, "border-color": ink, "font-weight": "bold", "z-index": 20, opacity: 1 } },
      { selector: "edge.chosen", style: { "line-color": ink, "target-arrow-color": ink, width: 3, opacity: 1, color: ink, "min-zoomed-font-size": 0, "z-index": 19 } },
      { selector: "edge.path", style: { "line-color": path, "target-arrow-color": path, width: 4, opacity: 1, color: path, "min-zoomed-font-size": 0, "z-index": 18 } },
      { selector: "node.path", style: { "border-width": 4, "border-color": path, opacity: 1 } },
      { selector: ".pulse", style: { "underlay-color": "data(pulse)", "underlay-opacity": 0.45, "underlay-padding": 9 } },
    ];
  }

  restyle() {
    this.cy.style(this.style());
    this.recolor();
  }

  recolor() {
    this.cy.batch(() => this.cy.nodes().forEach((node) => node.data("color", this.colors.entity(this.model.entities.get(Number(node.id()))))));
  }

  // Positions of earlier visits, so that it looks the same tomorrow.
  get store() {
    return `aiomemdb positions ${this.model.about.title} ${(this.model.about.namespaces ?? []).join(" ")} ${this.model.about.around ?? ""}`;
  }

  stored() {
    try {
      return new Map(JSON.parse(localStorage.getItem(this.store) ?? "[]"));
    } catch {
      return new Map();
    }
  }

  keep() {
    const places = [...this.kept];
    this.cy.nodes().forEach((node) => {
      const { x, y } = node.position();
      this.kept.set(Number(node.id()), [Math.round(x), Math.round(y)]);
    });
    if (places.length > 30000) this.kept.clear();
    try {
      localStorage.setItem(this.store, JSON.stringify([...this.kept]));
    } catch {
      // a page without storage forgets where things stood
    }
  }

  node(id, position) {
    const entity = this.model.entities.get(id);
    const size = this.size(entity);
    return {
      group: "nodes",
      data: { id: String(id), label: short(entity.name, 30), shown: "", size, font: 11, halo: 2, color: this.colors.entity(entity), pulse: this.colors.of("agent", entity.agent) },
      position,
    };
  }

  // Which names are shown, as on a map: in one size on the screen, the best connected first, none over another. Those
  // that the reader looks at come before all.
  letter() {
    const zoom = this.cy.zoom(), { x1, y1, x2, y2 } = this.cy.extent();
    const taken = new Map(), cell = 60 / zoom;
    const boxes = (box, visit) => {
      for (let gx = Math.floor(box[0] / cell); gx <= Math.floor(box[2] / cell); gx++) for (let gy = Math.floor(box[1] / cell); gy <= Math.floor(box[3] / cell); gy++) if (visit(gx * 100003 + gy)) return true;
      return false;
    };
    const free = (box) => !boxes(box, (key) => (taken.get(key) ?? []).some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]));
    const take = (box) => void boxes(box, (key) => void (taken.get(key) ?? taken.set(key, []).get(key)).push(box));
    const wanted = [];
    this.cy.nodes().forEach((node) => {
      const { x, y } = node.position();
      const seen = x > x1 && x < x2 && y > y1 && y < y2 && !node.hasClass("absent");
      const first = node.hasClass("chosen") || node.hasClass("path") ? 3 : node.hasClass("found") ? 2 : node.hasClass("beside") ? 1 : 0;
      wanted.push({ node, x, y, seen, first, size: node.data("size") });
    });
    // A name covers no other node that is more than a dot.
    for (const { x, y, size, seen } of wanted) if (seen && size * zoom > 5) take([x - size / 2, y - size / 2, x + size / 2, y + size / 2]);
    wanted.sort((a, b) => b.first - a.first || b.size - a.size || Number(a.node.id()) - Number(b.node.id()));
    let left = 420;
    this.cy.batch(() => {
      for (const { node, x, y, seen, first, size } of wanted) {
        let shown = "";
        const pixels = (first > 1 ? 13 : 10.5) + Math.min(5, size / 8), font = pixels / zoom;
        if (seen && left > 0) {
          const label = node.data("label"), wide = (label.length * font * 0.56) / 2;
          const box = [x - wide, y + size / 2 + 1, x + wide, y + size / 2 + 3 + font * 1.25];
          if (first === 3 || free(box)) {
            take(box);
            shown = label;
            left--;
          }
        }
        if (shown && node.data("font") !== font) node.data({ shown, font, halo: 2.2 / zoom });
        else if (node.data("shown") !== shown) node.data("shown", shown);
      }
    });
  }

  edge(edge) {
    const fact = edge.facts[0];
    return {
      group: "edges",
      data: { id: edge.id, source: String(edge.source), target: String(edge.target), label: short(edge.label, 32), width: 1 + Math.min(3, edge.facts.length * 0.4), pulse: this.colors.of("agent", fact.agent) },
      classes: this.drawn.size > LARGE ? "large" : "",
    };
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
      const node = this.cy.getElementById(String(id));
      const [kx, ky] = node.nonempty() ? [node.position("x"), node.position("y")] : this.kept.get(id) ?? [NaN, NaN];
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
    for (const id of fresh) this.drawn.add(id);
    const elements = [
      ...fresh.map((id) => this.node(id, { x: places.x[place_of.get(id)], y: places.y[place_of.get(id)] })),
      ...edges.map((edge) => this.edge(edge)),
      ...near.map(({ a, b, cosine }) => ({ group: "edges", data: { id: `n${a}~${b}`, source: String(a), target: String(b), label: "", width: 1, cosine }, classes: "near" })),
    ].filter((element) => this.cy.getElementById(element.data.id).empty());
    const grew = this.drawn.size > LARGE;
    // While the view moves, a large graph is a picture that moves along.
    this.cy.renderer().textureOnViewport = grew;
    if (grew) this.cy.edges().not(".near").addClass("large");
    for (let begin = 0, slice = 200; begin < elements.length; ) {
      const since = performance.now();
      this.cy.batch(() => this.cy.add(elements.slice(begin, begin + slice)));
      begin += slice;
      slice = Math.round(Math.min(2000, Math.max(60, (slice * SLICE_MS) / Math.max(4, performance.now() - since))));
      if (begin < elements.length) await new Promise((resume) => requestAnimationFrame(resume));
    }
    this.show();
    this.keep();
    if (first) this.fit(false);
    this.letter();
    return fresh;
  }

  remove(ids) {
    for (const id of ids) {
      this.drawn.delete(id);
      this.cy.getElementById(String(id)).remove();
    }
  }

  // What is drawn at the times and of the agents that are chosen.
  show() {
    const model = this.model;
    this.cy.batch(() => {
      const linked = new Set();
      this.cy.edges().forEach((edge) => {
        const facts = model.edges.get(edge.id())?.facts;
        if (!facts) {
          if (!edge.hasClass("near")) edge.remove();
          return;
        }
        const shown = facts.some((fact) => model.shows(fact));
        edge.toggleClass("absent", !shown);
        if (shown) linked.add(edge.data("source")).add(edge.data("target"));
      });
      this.cy.nodes().forEach((node) => {
        const entity = model.entities.get(Number(node.id()));
        if (!entity) return node.remove();
        const said = (model.of.get(entity.id) ?? []).some((fact) => model.shows(fact));
        node.toggleClass("absent", !model.known(entity));
        node.toggleClass("faint", !linked.has(node.id()) && !said && (model.of.get(entity.id) ?? []).length > 0);
      });
    });
    this.told.shown();
  }

  counts() {
    const nodes = this.cy.nodes().not(".absent");
    return { entities: nodes.length, facts: this.shownFacts().length };
  }

  shownFacts() {
    const found = [];
    for (const fact of this.model.facts.values()) {
      if (this.drawn.has(fact.subject) && (fact.object === null || this.drawn.has(fact.object)) && this.model.shows(fact)) found.push(fact);
    }
    return found;
  }

  light(node) {
    this.cy.batch(() => {
      this.cy.elements(".dim, .beside").removeClass("dim beside");
      if (this.cy.elements(".path").nonempty()) return void this.cy.elements().not(".path").not(node ? beside(node) : []).addClass("dim");
      const centre = node ?? (this.centre && this.cy.getElementById(String(this.centre)));
      if (!centre || centre.empty()) return;
      const around = beside(centre);
      if (this.cy.elements().length < 1500) this.cy.elements().not(around).addClass("dim");
      around.addClass("beside");
    });
    this.letter();
  }

  choose(kind, id) {
    this.cy.batch(() => {
      this.cy.elements(".chosen").removeClass("chosen");
      this.centre = kind === "entity" ? id : null;
      if (kind === "entity") this.cy.getElementById(String(id)).addClass("chosen");
      if (kind === "fact") {
        const fact = this.model.facts.get(id);
        if (!fact) return;
        if (fact.object === null) this.cy.getElementById(String(fact.subject)).addClass("chosen");
        else this.cy.getElementById(`f${fact.subject}>${fact.object}>${fact.predicate}`).addClass("chosen");
      }
    });
    this.light(null);
  }

  mark(ids) {
    this.cy.batch(() => {
      this.cy.elements(".found").removeClass("found");
      for (const id of ids) this.cy.getElementById(String(id)).addClass("found");
    });
    this.letter();
  }

  way(facts) {
    this.cy.batch(() => {
      this.cy.elements(".path").removeClass("path");
      this.cy.elements(".dim, .beside").removeClass("dim beside");
      for (const fact of facts) {
        for (const end of [fact.subject, fact.object]) this.cy.getElementById(String(end)).addClass("path");
        this.cy.getElementById(`f${fact.subject}>${fact.object}>${fact.predicate}`).addClass("path");
      }
    });
    if (!facts.length) return;
    if (this.cy.elements().length < 6000) this.cy.elements().not(".path").addClass("dim");
    this.fit(true, this.cy.elements(".path"));
    this.letter();
  }

  pulse(ids, facts = []) {
    const agents = new Map(facts.map((id) => this.model.facts.get(id)).filter(Boolean).flatMap((fact) => [fact.subject, fact.object, `f${fact.subject}>${fact.object}>${fact.predicate}`].map((each) => [String(each), fact.agent])));
    for (const [id, agent] of agents) this.cy.getElementById(id).data("pulse", this.colors.of("agent", agent));
    const lit = this.cy.collection(ids.map((id) => this.cy.getElementById(String(id))).filter((each) => each.nonempty()));
    lit.addClass("pulse");
    setTimeout(() => lit.removeClass("pulse"), 2600);
  }

  // Room that panels cover is not to be used.
  set margins(margins) {
    this.inset = margins;
  }

  fit(move = true, elements = this.cy.elements().not(".absent")) {
    const box = elements.nonempty() ? elements.boundingBox({ includeLabels: false }) : null;
    if (!box || !Number.isFinite(box.w)) return;
    const { left = 0, right = 0, top = 0, bottom = 0 } = this.inset ?? {};
    const wide = Math.max(80, this.cy.width() - left - right - 120), high = Math.max(80, this.cy.height() - top - bottom - 70);
    const zoom = Math.min(1.7, wide / Math.max(box.w, 1), high / Math.max(box.h, 1));
    const pan = { x: left + 60 + wide / 2 - zoom * (box.x1 + box.w / 2), y: top + 26 + high / 2 - zoom * (box.y1 + box.h / 2) };
    this.go({ zoom, pan }, move);
  }

  go(view, move) {
    this.cy.stop();
    this.moving = move && !still() ? (this.moving ?? 0) + 1 : 0; // which flight it is; 0: none
    const flight = this.moving;
    if (flight) this.cy.animate({ ...view, duration: 420, easing: "ease-in-out-cubic", complete: () => flight === this.moving && (this.moving = 0) });
    else this.cy.viewport(view);
  }

  fly(id) {
    const node = this.cy.getElementById(String(id));
    if (node.empty()) return;
    const zoom = Math.max(1.15, Math.min(this.cy.zoom(), 2));
    const { left = 0, right = 0, top = 0, bottom = 0 } = this.inset ?? {};
    const { x, y } = node.position();
    this.go({ zoom, pan: { x: left + (this.cy.width() - left - right) / 2 - zoom * x, y: top + (this.cy.height() - top - bottom) / 2 - zoom * y } }, true);
  }

  zoom(factor) {
    const at = { x: this.cy.width() / 2, y: this.cy.height() / 2 };
    this.cy.zoom({ level: this.cy.zoom() * factor, renderedPosition: at });
  }

  // The next entity in a direction, for those that walk by keys: neighbours first.
  toward(id, dx, dy) {
    const here = this.cy.getElementById(String(id));
    if (here.empty()) return null;
    const from = here.position();
    let best = null, least = Infinity;
    const weigh = (node, weight) => {
      if (node.id() === here.id() || node.hasClass("absent")) return;
      const along = (node.position("x") - from.x) * dx + (node.position("y") - from.y) * dy;
      const aside = Math.abs((node.position("x") - from.x) * dy - (node.position("y") - from.y) * dx);
      if (along <= 0 || aside > 2 * along) return;
      const far = (along + 2 * aside) * weight;
      if (far < least) [best, least] = [Number(node.id()), far];
    };
    beside(here).nodes().forEach((node) => weigh(node, 1));
    if (best === null) this.cy.nodes().forEach((node) => weigh(node, 3));
    return best;
  }
}
