// What is drawn, as tables: for screen readers, for keyboards, for paper.

import { button, count, fill, h, moment } from "./dom.js";

const ROWS = 500;

export class Table {
  constructor(app) {
    this.app = app;
    this.body = h("div", { class: "table-body" });
    this.element = h("section", { class: "table", "aria-label": "What is drawn, as tables", hidden: true }, h("header", {}, h("h2", {}, "What is drawn"), button("close", "Back to the graph (Esc)", () => this.toggle(false))), this.body);
  }

  toggle(open = this.element.hidden) {
    this.element.hidden = !open;
    if (open) {
      this.refresh();
      this.element.querySelector("button").focus();
    } else this.app.canvas.focus();
  }

  refresh() {
    if (this.element.hidden) return;
    const { model, graph } = this.app;
    const entities = [...graph.drawn].map((id) => model.entities.get(id)).filter((entity) => entity && model.known(entity)).sort((a, b) => (a.name < b.name ? -1 : 1));
    const facts = graph.shownFacts();
    const link = (kind, id, text) => h("button", { type: "button", class: "text-link", onclick: () => { this.toggle(false); this.app.choose(kind, id, true); } }, h("bdi", {}, text));
    const name = (id) => (model.entities.has(id) ? link("entity", id, model.entities.get(id).name) : `entity ${id}`);
    const rows = (items, make, what) => [items.slice(0, ROWS).map(make), items.length > ROWS && h("tr", {}, h("td", { colspan: 6 }, `and ${count(items.length - ROWS, what)} more`))];
    fill(this.body,
      h("table", {}, h("caption", {}, `Entities: ${entities.length.toLocaleString("en-US")}`), h("thead", {}, h("tr", {}, ["Name", "Type", "Facts", "Made by", "Made"].map((title) => h("th", { scope: "col" }, title)))),
        h("tbody", {}, rows(entities, (entity) => h("tr", {}, h("th", { scope: "row" }, name(entity.id)), h("td", {}, entity.type ?? ""), h("td", { class: "number" }, entity.degree), h("td", {}, entity.agent ?? ""), h("td", {}, moment(entity.created_at))), "entity"))),
      h("table", {}, h("caption", {}, `Facts: ${facts.length.toLocaleString("en-US")}`), h("thead", {}, h("tr", {}, ["Subject", "Predicate", "Object or value", "Holds from", "Holds until", "Agent"].map((title) => h("th", { scope: "col" }, title)))),
        h("tbody", {}, rows(facts, (fact) => h("tr", { "data-fact": fact.id }, h("td", {}, name(fact.subject)), h("td", {}, link("fact", fact.id, fact.predicate)), h("td", {}, fact.object === null ? h("bdi", {}, JSON.stringify(fact.value)) : name(fact.object)), h("td", {}, moment(fact.valid_at, fact.valid_offset)), h("td", {}, moment(fact.invalid_at, fact.invalid_offset)), h("td", {}, fact.agent ?? "")), "fact"))));
  }
}
