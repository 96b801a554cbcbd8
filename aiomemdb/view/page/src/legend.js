// The legend: what the colours mean, and whose facts are shown.

import { ago, fill, h } from "./dom.js";

const MOST = 12;

export class Legend {
  constructor(app) {
    this.app = app;
    this.tabs = ["type", "agent"].map((kind) => h("button", { type: "button", class: "tab", onclick: () => app.colorBy(kind) }, kind === "type" ? "Types" : "Agents"));
    this.list = h("ul", { class: "legend-list" });
    this.element = h("aside", { class: "legend", "aria-label": "Legend" }, h("div", { class: "tabs" }, this.tabs), this.list);
    this.all = false;
  }

  refresh() {
    const { model, colors } = this.app;
    this.tabs.forEach((tab, place) => tab.setAttribute("aria-pressed", String(colors.by === ["type", "agent"][place])));
    const items = colors.by === "type" ? this.types() : this.agents(model.agents());
    const shown = this.all ? items : items.slice(0, MOST);
    fill(this.list, shown, items.length > shown.length && h("li", {}, h("button", { type: "button", class: "more", onclick: () => { this.all = true; this.refresh(); } }, `${items.length - shown.length} more`)));
  }

  types() {
    const { model, colors } = this.app;
    return model.types().map(([type, number]) => h("li", {}, h("span", { class: "legend-item", color: colors.of("type", type) }, h("i", { class: "dot" }), h("bdi", { class: "legend-name" }, type || "no type"), h("span", { class: "count" }, number.toLocaleString("en-US")))));
  }

  agents(agents) {
    const { model, colors } = this.app;
    return agents.map((agent) => h("li", {}, h("button", { type: "button", class: "legend-item", "aria-pressed": String(!model.hidden.has(agent.name)), title: "Show or hide what this agent stated", color: colors.of("agent", agent.name), onclick: () => this.app.toggleAgent(agent.name) },
      h("i", { class: "dot square" }), h("span", { class: "legend-name" }, h("bdi", {}, agent.name || "no agent"), agent.last && h("span", { class: "soft last" }, `${ago(agent.last.created_at, model.now)}: `, h("bdi", {}, agent.last.text.slice(0, 80)))), h("span", { class: "count" }, agent.facts.toLocaleString("en-US")))));
  }
}
