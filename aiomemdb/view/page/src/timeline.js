// Two sliders over the times of the memory, each with a histogram of what began and ended then, and with play.

import { button, fill, h, icon, moment, still } from "./dom.js";

const BINS = 96;
const TURNS = 140; // a whole play
const TURN_MS = 90;

class Slider {
  constructor(app, { title, hint, field, times }) {
    Object.assign(this, { app, field, times });
    this.canvas = h("canvas", { class: "histogram", "aria-hidden": "true" });
    this.range = h("input", { type: "range", min: 0, max: 1000, value: 1000, "aria-label": title, oninput: () => this.moved() });
    this.shown = h("output", { class: "when" }, "now");
    this.play = button("play", `Play ${title}`, () => this.toggle());
    this.reset = h("button", { type: "button", class: "now", onclick: () => this.set(null) }, "Now");
    this.element = h("div", { class: "slider", title: hint }, h("div", { class: "slider-title" }, this.play, h("span", {}, title)), h("div", { class: "track" }, this.canvas, this.range), h("div", { class: "slider-when" }, this.shown, this.reset));
    this.timer = 0;
  }

  refresh() {
    const times = this.times().filter((time) => time !== null).sort((a, b) => a - b);
    this.any = times.length > 0 && times[times.length - 1] > times[0];
    this.first = times[0] ?? 0;
    // A few that lie far off would leave the rest one bar.
    const low = times[Math.floor(times.length * 0.01)] ?? 0, high = times[Math.ceil(times.length * 0.99) - 1] ?? 0;
    if (times.length > 50 && low - this.first > 4 * (high - low)) this.first = low;
    this.last = Math.max(times[times.length - 1] ?? 0, this.field === "asOf" ? Math.min(this.app.model.now, times[times.length - 1] ?? 0) : 0);
    const room = Math.max(1, this.last - this.first) * 0.02;
    this.first = Math.floor(this.first - room);
    this.last = Math.ceil(this.last + room);
    this.bins = new Array(BINS).fill(0);
    for (const time of times) if (time >= this.first) this.bins[Math.min(BINS - 1, Math.floor(((time - this.first) / (this.last - this.first)) * BINS))]++;
    for (const control of [this.range, this.play]) control.disabled = !this.any;
    this.element.classList.toggle("empty", !this.any);
    this.draw();
  }

  draw() {
    const { width, height } = this.canvas.getBoundingClientRect();
    if (!width) return;
    const scale = devicePixelRatio || 1;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    const ink = this.canvas.getContext("2d");
    const style = getComputedStyle(this.element);
    const most = Math.max(1, ...this.bins), wide = this.canvas.width / BINS, at = Number(this.range.value) / 1000;
    const now = this.app.model[this.field] === null;
    this.bins.forEach((number, place) => {
      if (!number) return;
      const high = Math.max(2 * scale, (Math.log1p(number) / Math.log1p(most)) * this.canvas.height);
      ink.fillStyle = style.getPropertyValue(now || place / BINS < at ? "--bar-on" : "--bar-off");
      ink.fillRect(place * wide + 0.5 * scale, this.canvas.height - high, Math.max(1, wide - scale), high);
    });
  }

  at(share) {
    return Math.round(this.first + share * (this.last - this.first));
  }

  moved() {
    this.stop();
    const place = Number(this.range.value);
    this.set(place >= 1000 ? null : this.at(place / 1000), false);
  }

  // A moment, or null: now.
  set(ms, place = true) {
    if (place) this.range.value = ms === null ? 1000 : Math.round(((ms - this.first) / (this.last - this.first)) * 1000);
    this.app.model[this.field] = ms;
    const text = ms === null ? "now" : moment(ms, null, this.last - this.first < 86400000 * 3);
    fill(this.shown, text);
    this.range.setAttribute("aria-valuetext", text);
    this.element.classList.toggle("moved", ms !== null);
    this.draw();
    this.app.timed();
  }

  toggle() {
    if (this.timer) return this.stop();
    let turn = Number(this.range.value) >= 1000 ? 0 : Math.round((Number(this.range.value) / 1000) * TURNS);
    fill(this.play, icon("pause"));
    this.play.setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => {
      turn += 1;
      if (turn >= TURNS) {
        this.stop();
        return this.set(null);
      }
      this.set(this.at(turn / TURNS));
    }, still() ? TURN_MS * 4 : TURN_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    fill(this.play, icon("play"));
    this.play.removeAttribute("aria-pressed");
  }
}

export class Timeline {
  constructor(app) {
    const facts = () => [...app.model.facts.values()];
    this.world = new Slider(app, { title: "World time", hint: "What was true at a time: as_of", field: "asOf", times: () => facts().flatMap((fact) => [fact.valid_at, fact.invalid_at]) });
    this.knowledge = new Slider(app, { title: "Knowledge time", hint: "What was believed at a time: known_at", field: "knownAt", times: () => facts().flatMap((fact) => [fact.known_from, fact.known_until]) });
    this.element = h("section", { class: "timeline", "aria-label": "Time" }, this.world.element, this.knowledge.element);
    addEventListener("resize", () => this.redraw());
  }

  refresh() {
    this.world.refresh();
    this.knowledge.refresh();
    this.element.classList.toggle("no-world", !this.world.any);
  }

  redraw() {
    this.world.draw();
    this.knowledge.draw();
  }
}
