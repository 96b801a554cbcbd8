// Search as you type: names, aliases, facts with their values, texts; hits are listed, and lit in the drawing.

import { fill, h, icon } from "./dom.js";

export class Search {
  constructor(app) {
    this.app = app;
    this.hits = [];
    this.place = -1;
    this.input = h("input", { type: "search", id: "search", placeholder: "Search names, facts, texts", autocomplete: "off", spellcheck: "false", role: "combobox", "aria-expanded": "false", "aria-controls": "hits", "aria-label": "Search", oninput: () => this.run(), onkeydown: (event) => this.key(event), onfocus: () => this.run() });
    this.list = h("ul", { class: "hits", id: "hits", role: "listbox", "aria-label": "Found", hidden: true });
    this.element = h("div", { class: "search", role: "search" }, icon("search"), this.input, h("kbd", {}, "/"), this.list);
    document.addEventListener("pointerdown", (event) => this.element.contains(event.target) || this.close());
  }

  async run() {
    const question = this.input.value;
    const asked = (this.asked = {});
    let hits = this.app.model.search(question);
    this.show(hits, question);
    if (this.app.live && question.trim()) {
      await new Promise((resume) => setTimeout(resume, 120));
      if (this.asked !== asked) return;
      hits = await this.app.live.recall(this.app, question).catch(() => hits);
      if (this.asked === asked) this.show(hits, question);
    }
  }

  show(hits, question) {
    this.hits = hits;
    this.place = -1;
    const app = this.app;
    app.graph.mark(hits.flatMap((hit) => (hit.kind === "entity" ? [hit.id] : hit.kind === "fact" ? ends(app.model.facts.get(hit.id)) : [])));
    this.list.hidden = !question.trim();
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.input.removeAttribute("aria-activedescendant");
    if (!hits.length) return fill(this.list, h("li", { class: "soft none" }, "Nothing found"));
    fill(this.list, hits.map((hit, place) => {
      const entity = hit.kind === "entity" ? app.model.entities.get(hit.id) : null;
      return h("li", { id: `hit-${place}`, role: "option", class: `hit ${hit.kind}`, "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); this.take(place); } },
        h("i", { class: entity ? "dot" : `kind ${hit.kind}`, color: entity ? app.colors.entity(entity) : null }),
        h("span", { class: "hit-text" }, h("bdi", {}, around(hit.text, question)), hit.also && h("span", { class: "soft" }, " also ", h("bdi", {}, hit.also)), hit.via && h("span", { class: "soft via" }, hit.via)),
        h("span", { class: "hit-kind" }, hit.shownScore ?? (entity ? entity.type ?? "" : hit.kind === "fact" ? "fact" : "text")));
    }));
  }

  key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!this.hits.length) return;
      this.place = (this.place + (event.key === "ArrowDown" ? 1 : -1) + this.hits.length) % this.hits.length;
      [...this.list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === this.place)));
      this.list.children[this.place].scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", `hit-${this.place}`);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (this.hits.length) this.take(Math.max(0, this.place));
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (this.input.value) {
        this.input.value = "";
        this.run();
      } else this.app.canvas.focus();
      this.close();
    }
  }

  async take(place) {
    const hit = this.hits[place];
    this.close();
    this.app.graph.mark([]);
    this.app.canvas.focus();
    await this.app.choose(hit.kind, hit.id, true);
  }

  close() {
    this.asked = {};
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }
}

const ends = (fact) => (fact ? [fact.subject, fact.object].filter((end) => end !== null) : []);

// Of a long text the part with what was looked for.
function around(text, question) {
  const clean = text.replace(/\s+/g, " ");
  const place = clean.toLowerCase().indexOf(question.trim().toLowerCase());
  if (place < 0) return clean.slice(0, 120);
  const begin = clean.length < 130 ? 0 : Math.max(0, place - 40), end = place + question.trim().length;
  return [begin ? "…" : "", clean.slice(begin, place), h("b", {}, clean.slice(place, end)), clean.slice(end, begin + 130)];
}
