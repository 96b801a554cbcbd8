// The page: it reads its data, or fetches it from the server that it came from, and puts the parts together.

import { Colors } from "./colors.js";
import { button, count, fill, h, still } from "./dom.js";
import { savePng, saveSvg } from "./exporting.js";
import { Graph } from "./graph.js";
import { Legend } from "./legend.js";
import { connect } from "./live.js";
import { Model } from "./model.js";
import { Panel } from "./panel.js";
import { Paper } from "./printing.js";
import { Search } from "./search.js";
import { Table } from "./table.js";
import { Timeline } from "./timeline.js";

const FIRST = 130; // entities of the first view
const UNFOLD = 40; // at once

class App {
  constructor(picture, live) {
    this.model = new Model();
    this.live = live;
    this.model.live = Boolean(live);
    this.model.absorb(picture);
    this.colors = new Colors();
    this.colors.theme = preferred();
    this.colors.know("type", this.model.types().map(([type]) => type));
    this.colors.know("agent", this.model.agents().map((agent) => agent.name));
    this.chosen = null;
    this.pathFrom = null;
    document.documentElement.dataset.theme = this.colors.theme;
  }

  async start() {
    const { model } = this;
    document.title = `${model.about.title ?? "memory"} · aiomemdb`;
    this.canvas = h("div", { class: "canvas", tabindex: "0", role: "application", "aria-label": "The memory as a graph. Arrow keys walk from entity to entity, Enter opens one, slash searches, t shows tables.", "aria-describedby": "status" });
    this.status = h("p", { class: "status", id: "status" });
    this.said = h("p", { class: "said-aloud", "aria-live": "polite" });
    this.toast = h("p", { class: "toast", role: "status", hidden: true });
    this.panel = new Panel(this);
    this.table = new Table(this);
    this.search = new Search(this);
    this.legend = new Legend(this);
    this.timeline = new Timeline(this);
    this.theme = button("moon", "Light or dark", () => this.setTheme(this.colors.theme === "dark" ? "light" : "dark"));
    this.dot = h("span", { class: "live-dot", hidden: !this.live, title: "Live" }, "live");
    const menu = h("details", { class: "menu" }, h("summary", { class: "round", title: "Save the view", "aria-label": "Save the view" }), h("div", { class: "menu-items" },
      h("button", { type: "button", onclick: () => this.save("svg") }, "As SVG"), h("button", { type: "button", onclick: () => this.save("png") }, "As PNG"), h("button", { type: "button", onclick: () => (menu.open = false, print()) }, "Print")));
    menu.querySelector("summary").append(button("save", "", () => {}).firstChild);
    this.help = h("dialog", { class: "help", "aria-label": "Keys" }, h("h2", {}, "Keys"), h("dl", {}, KEYS.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)))), h("button", { type: "button", class: "act", onclick: () => this.help.close() }, "Close"));
    fill(document.getElementById("app"),
      h("header", { class: "bar" },
        h("div", { class: "brand" }, h("span", { class: "mark", "aria-hidden": "true" }), h("h1", {}, h("bdi", {}, model.about.title ?? "memory")), this.dot),
        this.search.element,
        h("nav", { class: "tools", "aria-label": "Tools" }, button("table", "Tables of what is drawn (t)", () => this.table.toggle()), menu, this.theme, button("help", "Keys (?)", () => this.help.showModal()))),
      h("main", {}, this.canvas, this.legend.element, this.table.element,
        h("div", { class: "zoom" }, button("plus", "Closer (+)", () => this.graph.zoom(1.3)), button("minus", "Farther (−)", () => this.graph.zoom(1 / 1.3)), button("fit", "All that is drawn (0)", () => this.graph.fit()))),
      this.panel.element,
      h("footer", { class: "foot" }, this.timeline.element, h("div", { class: "status-line" }, this.status, this.more = h("button", { type: "button", class: "more", onclick: () => this.drawAll() }))),
      this.said, this.toast, this.help);
    this.graph = new Graph(this.canvas, model, this.colors, {
      chosen: (kind, id, event) => (kind === "entity" && (this.pathFrom !== null || event?.shiftKey) ? this.endPath(id) : this.choose(kind, id)),
      unfold: (id) => this.unfold(id),
      shown: () => this.counted(),
      kept: (rows) => this.live?.keep(rows),
    });
    const { graph } = this;
    this.paper = new Paper(this);
    this.inset();
    addEventListener("resize", () => this.inset());
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => this.followHash());
    this.legend.refresh();
    this.timeline.refresh();
    this.setTheme(this.colors.theme);
    if (!model.entities.size) this.begin();
    graph.stood.remember(graph.stood.stored());
    if (this.live) graph.stood.remember(await this.live.positions());
    await this.graph.draw(model.firstView(innerWidth < 800 ? 60 : FIRST));
    this.recount();
    await this.followHash();
    document.documentElement.dataset.ready = "true";
    this.live?.follow(this);
  }

  // Rows came in: colours for new types and agents, sliders, the legend.
  learnt() {
    const { model } = this;
    this.colors.know("type", model.types().map(([type]) => type));
    this.colors.know("agent", model.agents().map((agent) => agent.name));
    this.legend.refresh();
    this.timeline.refresh();
    this.refreshPanel();
    this.table.refresh();
    this.counted();
    if (model.entities.size) this.welcome?.remove();
  }

  connected(yes) {
    this.dot.classList.toggle("off", !yes);
    fill(this.dot, yes ? "live" : "connecting…");
    document.documentElement.dataset.live = String(yes);
  }

  told(text) {
    fill(this.said, text);
  }

  begin() {
    const code = 'async with aiomemdb.Memory.open("agent.db", agent="me") as memory:\n    await memory.remember("Ada moved to London in 1833.",\n                          [("Ada", "lives in", "London")])';
    this.canvas.append(this.welcome = h("div", { class: "begin" }, h("h2", {}, "This memory is empty"), h("p", {}, "An agent begins it with its first text and the facts drawn from it:"), h("pre", {}, h("code", {}, code)), h("p", {}, "Or on the command line:"), h("pre", {}, h("code", {}, 'aiomemdb remember agent.db "Ada moved to London." --fact "Ada | lives in | London"')), h("p", { class: "soft" }, this.live ? "What is written appears here." : "Then make this page anew.")));
  }

  inset() {
    const narrow = innerWidth < 800;
    this.graph.margins = { left: narrow || !this.legend.element.offsetWidth ? 0 : this.legend.element.offsetWidth + 12, right: !narrow && !this.panel.element.hidden ? 372 : 0, top: 0, bottom: 0 };
  }

  // -- what is shown

  timed() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      this.graph.show();
      this.refreshPanel();
      this.table.refresh();
      this.writeHash();
    });
  }

  counted() {
    cancelAnimationFrame(this.counting);
    this.counting = requestAnimationFrame(() => this.recount());
  }

  recount() {
    const { model, graph } = this;
    if (!graph) return;
    const shown = graph.counts(), { totals } = model.about;
    const held = model.entities.size;
    const parts = [`${shown.entities.toLocaleString("en-US")} of ${count(totals.entities, "entity", "entities")}`, `${shown.facts.toLocaleString("en-US")} of ${count(totals.facts, "fact")} shown`];
    if (held < totals.entities) parts.push(`the page holds ${held.toLocaleString("en-US")}`);
    fill(this.status, parts.join(" · "));
    const left = held - graph.drawn.size;
    this.more.hidden = left <= 0;
    fill(this.more, `Draw all ${held.toLocaleString("en-US")}`);
  }

  async drawAll() {
    this.more.disabled = true;
    await this.graph.drawMany([...this.model.entities.keys()]);
    this.more.disabled = false;
    this.graph.fit(true);
    this.table.refresh();
  }

  async unfold(id) {
    if (this.live) await this.live.around(this, id);
    const beside = [...this.model.neighbours(id)].filter(([other]) => !this.graph.drawn.has(other)).sort((a, b) => this.model.entities.get(b[0]).degree - this.model.entities.get(a[0]).degree || a[0] - b[0]);
    if (!beside.length) return this.say("All its neighbours are drawn.");
    const fresh = await this.graph.draw(beside.slice(0, UNFOLD).map(([other]) => other));
    this.say(`${count(fresh.length, "neighbour")} unfolded${beside.length > UNFOLD ? ` of ${beside.length}; unfold again for more` : ""}.`);
    if (this.chosen?.kind === "entity") this.graph.choose("entity", this.chosen.id);
    this.refreshPanel(true);
    this.table.refresh();
  }

  async choose(kind, id, fly = false) {
    if (this.pathFrom !== null && kind === "entity") return this.endPath(id);
    this.pathFrom = null;
    this.graph.way([]);
    this.chosen = kind ? { kind, id } : null;
    if (kind && this.live) await this.live.ensure(this, kind, id);
    if (!kind) {
      this.panel.close();
      this.graph.choose(null);
    } else {
      const fact = kind === "fact" ? this.model.facts.get(id) : null;
      const ends = kind === "entity" ? [id] : fact ? [fact.subject, fact.object].filter((end) => end !== null) : [];
      await this.graph.draw(ends);
      this.refreshPanel(true);
      this.graph.choose(kind, id);
      this.inset();
      if (fly && ends.length) this.graph.fly(ends[0]);
      this.announce(kind, id);
    }
    this.inset();
    this.writeHash();
  }

  announce(kind, id) {
    const entity = kind === "entity" ? this.model.entities.get(id) : null;
    const text = entity ? `${entity.name}, ${entity.type ?? "no type"}, ${count((this.model.of.get(id) ?? []).filter((fact) => this.model.shows(fact)).length, "fact")}` : kind === "fact" ? this.model.facts.get(id)?.text : "";
    fill(this.said, text ?? "");
  }

  refreshPanel(always = false) {
    if (!this.chosen || (this.panel.element.hidden && !always)) return;
    const open = this.panel.body.scrollTop;
    this.panel[this.chosen.kind](this.chosen.id);
    if (!always) this.panel.body.scrollTop = open;
  }

  beginPath(id) {
    this.pathFrom = id;
    this.say("Now choose the other entity: click it, or search for it.");
  }

  async endPath(id) {
    const source = this.pathFrom ?? (this.chosen?.kind === "entity" ? this.chosen.id : id);
    this.pathFrom = null;
    const chain = this.live ? await this.live.path(this, source, id) : this.model.path(source, id);
    await this.graph.draw([source, id, ...(chain ?? []).flatMap((fact) => [fact.subject, fact.object])]);
    this.chosen = null;
    this.graph.choose(null);
    this.panel.path(source, id, chain);
    this.inset();
    this.graph.way(chain ?? []);
    fill(this.said, chain ? `A path of ${count(chain.length, "fact")}` : "No path");
  }

  colorBy(kind) {
    this.colors.by = kind;
    this.graph.recolor();
    this.legend.refresh();
    this.refreshPanel();
  }

  toggleAgent(name) {
    const { hidden } = this.model;
    if (!hidden.delete(name)) hidden.add(name);
    this.legend.refresh();
    this.graph.show();
    this.refreshPanel();
    this.table.refresh();
  }

  setTheme(theme) {
    this.colors.theme = theme;
    document.documentElement.dataset.theme = theme;
    fill(this.theme, button(theme === "dark" ? "sun" : "moon", "", () => {}).firstChild);
    this.graph.restyle();
    this.legend.refresh();
    this.refreshPanel();
    this.timeline.redraw();
  }

  async save(kind) {
    const name = this.model.about.title || "memory";
    document.querySelector(".menu").open = false;
    await (kind === "svg" ? saveSvg(this.graph, this.colors, name) : savePng(this.graph, name));
  }

  say(text) {
    fill(this.toast, text);
    this.toast.hidden = false;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => (this.toast.hidden = true), 3600);
  }

  // -- links to what is shown

  hash() {
    const parts = new URLSearchParams();
    if (this.chosen) parts.set(this.chosen.kind, this.chosen.id);
    if (this.model.asOf !== null) parts.set("as_of", new Date(this.model.asOf).toISOString());
    if (this.model.knownAt !== null) parts.set("known_at", new Date(this.model.knownAt).toISOString());
    return parts.toString();
  }

  writeHash() {
    const wanted = this.hash();
    if (location.hash.slice(1) !== wanted) history.replaceState(null, "", wanted ? `#${wanted}` : location.pathname + location.search);
  }

  async followHash() {
    const parts = new URLSearchParams(location.hash.slice(1));
    for (const [name, slider] of [["as_of", this.timeline.world], ["known_at", this.timeline.knowledge]]) {
      const ms = parts.has(name) ? Date.parse(parts.get(name)) : NaN;
      const wanted = Number.isNaN(ms) ? null : ms;
      if (wanted !== this.model[slider.field]) slider.set(wanted);
    }
    for (const kind of ["entity", "fact", "episode"]) {
      const id = Number(parts.get(kind));
      if (id && (this.chosen?.kind !== kind || this.chosen.id !== id)) return this.choose(kind, id, true);
    }
  }

  async copyLink(kind, id) {
    this.chosen = { kind, id };
    this.writeHash();
    try {
      await navigator.clipboard.writeText(location.href);
      this.say("The link is copied.");
    } catch {
      this.say("The link is in the address bar.");
    }
  }

  // -- keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input[type=search], textarea");
    if (event.key === "Escape") {
      if (this.help.open || typing) return;
      if (this.pathFrom !== null) this.pathFrom = null;
      else if (!this.table.element.hidden) this.table.toggle(false);
      else this.choose(null);
      return;
    }
    if (typing || this.help.open) return;
    if (event.key === "/") {
      event.preventDefault();
      this.search.input.select();
      return;
    }
    if (event.key === "?") return this.help.showModal();
    if (event.key === "t") return this.table.toggle();
    if (event.key === "0") return this.graph.fit();
    if (event.key === "+" || event.key === "=") return this.graph.zoom(1.3);
    if (event.key === "-") return this.graph.zoom(1 / 1.3);
    const id = this.chosen?.kind === "entity" ? this.chosen.id : null;
    if (event.key === "u" && id !== null) return this.unfold(id);
    if (event.key === "p" && id !== null) return this.beginPath(id);
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.target !== this.canvas) return;
    if (way) {
      event.preventDefault();
      const next = id === null ? this.model.firstView(1)[0] : this.graph.toward(id, ...way);
      if (next !== null && next !== undefined) this.choose("entity", next, true);
    }
    if (event.key === "Enter" && id !== null) {
      event.preventDefault(); // it would press what gets the focus
      if (this.panel.element.hidden) this.choose("entity", id);
      this.panel.element.querySelector("button, summary").focus();
    }
  }
}

const KEYS = [["/", "Search"], ["↑ ↓ ← →", "Walk from entity to entity"], ["Enter", "Into the details"], ["u", "Unfold the neighbours"], ["p", "Path to another entity"], ["t", "Tables"], ["+ − 0", "Zoom, or fit"], ["Esc", "Close"], ["Double click", "Unfold the neighbours"], ["Shift + click", "Path from the chosen entity"]];

const preferred = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

async function held() {
  const element = document.getElementById("data");
  if (!element) return null;
  const packed = Uint8Array.from(atob(element.textContent), (sign) => sign.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

async function begin() {
  try {
    let picture = await held(), live = null;
    if (picture === null) ({ picture, live } = await connect());
    const app = new App(picture, live);
    await app.start();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.setTheme(preferred()));
    document.documentElement.app = app;
  } catch (error) {
    fill(document.getElementById("app"), h("div", { class: "begin" }, h("h2", {}, "This page can't be shown"), h("p", {}, String(error?.message ?? error))));
    document.documentElement.dataset.ready = "failed";
    throw error;
  }
}

begin();
