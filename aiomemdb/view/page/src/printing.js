// The page on paper: all that is drawn, in light colours, then what is open beside it.

import { h, moment } from "./dom.js";
import { painted } from "./exporting.js";

export class Paper {
  constructor(app) {
    this.app = app;
    addEventListener("beforeprint", () => this.lay());
    addEventListener("afterprint", () => this.clear());
  }

  // A browser waits for nothing here: the picture is painted at once.
  lay() {
    this.clear();
    const { app } = this, { model, graph, colors } = app;
    if (!graph.counts().entities) return;
    this.theme = colors.theme;
    if (this.theme !== "light") app.setTheme("light");
    const times = [["As of", model.asOf], ["Known at", model.knownAt]].filter(([, at]) => at !== null).map(([what, at]) => `${what} ${moment(at)}`);
    const drawn = painted(graph);
    this.element = h("figure", { class: "paper" }, drawn, h("figcaption", {}, [...times, app.status.textContent].join(" · ")));
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", "What is drawn");
    app.canvas.before(this.element);
  }

  clear() {
    if (!this.element) return;
    this.element.remove();
    this.element = null;
    if (this.theme !== "light") this.app.setTheme(this.theme);
  }
}
