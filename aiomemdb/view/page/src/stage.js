// The canvas: where the reader stands, what the pointer does, when it is painted. It knows no node.
//
// While the view moves, what was painted last moves along as a picture, by a transform that the browser's compositor
// carries out: a frame costs the main thread next to nothing, however much is drawn. It is painted anew when it rests,
// and on the way as often as takes a twentieth of the time.

import { h, still } from "./dom.js";

const MARGIN = 160; // pixels that are painted around what is seen
const REST_MS = 110;
const SHARE = 20; // one part in so many of the time is spent on painting while it moves
const FLIGHT_MS = 420;
const SLIP = 4; // pixels that a click may move

export class Stage {
  // paint(ink, view, box) paints what lies in a box of the screen; told: grab(x, y), tap(x, y, event), doubleTap(x, y),
  // hover(x, y) and left(), all in pixels of the element.
  constructor(element, paint, told, { least, most }) {
    Object.assign(this, { element, paint, told, least, most });
    this.view = { zoom: 1, x: 0, y: 0 }; // a point of the graph stands at zoom * point + (x, y)
    this.painted = this.view;
    this.moving = 0; // which flight it is; 0: none
    this.cost = 0;
    this.at = 0; // when it was painted last
    this.canvas = h("canvas", { class: "drawing", "aria-hidden": "true" });
    element.append(this.canvas);
    this.ink = this.canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => this.resize()).observe(element);
    this.resize();
    this.listen();
  }

  resize() {
    this.width = this.element.clientWidth;
    this.height = this.element.clientHeight;
    this.scale = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.round((this.width + 2 * MARGIN) * this.scale);
    this.canvas.height = Math.round((this.height + 2 * MARGIN) * this.scale);
    for (const [name, value] of [["left", -MARGIN], ["top", -MARGIN], ["width", this.width + 2 * MARGIN], ["height", this.height + 2 * MARGIN]]) this.canvas.style[name] = `${value}px`;
    this.now(); // what was painted is gone
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => this.now());
  }

  now() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    const since = performance.now();
    this.ink.setTransform(this.scale, 0, 0, this.scale, MARGIN * this.scale, MARGIN * this.scale);
    this.paint(this.ink, this.view, [-MARGIN, -MARGIN, this.width + MARGIN, this.height + MARGIN]);
    this.painted = this.view;
    this.shift();
    this.at = performance.now();
    this.cost = this.at - since;
  }

  // Moves what is painted to where it is to be seen.
  shift() {
    const { zoom, x, y } = this.view, from = this.painted, by = zoom / from.zoom;
    this.canvas.style.transform = by === 1 && x === from.x && y === from.y ? "none" : `translate(${x + MARGIN - by * (MARGIN + from.x)}px, ${y + MARGIN - by * (MARGIN + from.y)}px) scale(${by})`;
  }

  look(view) {
    this.view = view;
    this.shift();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.soon(), REST_MS);
    if (performance.now() - this.at > Math.max(REST_MS, SHARE * this.cost)) this.soon();
  }

  // Looks at another place, at once or in flight.
  go(view, move) {
    const flight = (this.moving = move && !still() ? (this.flights = (this.flights ?? 0) + 1) : 0);
    if (!flight) return this.look(view);
    const from = this.view, wide = this.width / 2, high = this.height / 2, since = performance.now();
    const centre = ({ zoom, x, y }) => [(wide - x) / zoom, (high - y) / zoom];
    const [ax, ay] = centre(from), [bx, by] = centre(view);
    const step = () => {
      if (flight !== this.moving) return;
      const share = Math.min(1, (performance.now() - since) / FLIGHT_MS), eased = share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;
      const zoom = from.zoom * (view.zoom / from.zoom) ** eased;
      this.look(share === 1 ? view : { zoom, x: wide - zoom * (ax + (bx - ax) * eased), y: high - zoom * (ay + (by - ay) * eased) });
      if (share === 1) this.moving = 0;
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  // Closer or farther, around a place that stays.
  zoomBy(factor, x = this.width / 2, y = this.height / 2) {
    const { view } = this, zoom = Math.min(this.most, Math.max(this.least, view.zoom * factor)), by = zoom / view.zoom;
    this.moving = 0;
    this.look({ zoom, x: x - by * (x - view.x), y: y - by * (y - view.y) });
  }

  listen() {
    const { element, told } = this;
    const fingers = new Map();
    let held = null, far = false, spread = null;
    const place = (event) => {
      const { left, top } = element.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    const middle = () => {
      const [[ax, ay], [bx, by]] = [...fingers.values()];
      return { x: (ax + bx) / 2, y: (ay + by) / 2, wide: Math.hypot(ax - bx, ay - by) || 1 };
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.target.closest(".begin")) return;
      const at = place(event);
      element.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, at);
      this.moving = 0;
      if (fingers.size === 1) [held, far] = [{ at, last: at, node: told.grab(...at) }, false];
      if (fingers.size === 2) [spread, far] = [middle(), true];
    });
    element.addEventListener("pointermove", (event) => {
      const at = place(event);
      if (!fingers.has(event.pointerId)) return told.hover(...at);
      fingers.set(event.pointerId, at);
      if (fingers.size === 2) {
        const next = middle();
        this.look({ ...this.view, x: this.view.x + next.x - spread.x, y: this.view.y + next.y - spread.y });
        this.zoomBy(next.wide / spread.wide, next.x, next.y);
        spread = next;
      } else if (held && (far ||= Math.hypot(at[0] - held.at[0], at[1] - held.at[1]) > SLIP)) {
        const [dx, dy] = [at[0] - held.last[0], at[1] - held.last[1]];
        held.last = at;
        element.classList.add("held");
        if (held.node) told.drag(held.node, dx / this.view.zoom, dy / this.view.zoom);
        else this.look({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
      }
    });
    const up = (event) => {
      if (!fingers.delete(event.pointerId)) return;
      element.classList.remove("held");
      if (held && far && held.node) told.drop();
      if (held && !far && event.type === "pointerup") told.tap(...held.at, event);
      held = null;
    };
    element.addEventListener("pointerup", up);
    element.addEventListener("pointercancel", up);
    element.addEventListener("dblclick", (event) => told.doubleTap(...place(event)));
    element.addEventListener("pointerleave", () => told.left());
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const unit = event.deltaMode === 1 ? 0.05 : event.deltaMode ? 1 : 0.002;
      this.zoomBy(2 ** (-event.deltaY * unit * (event.ctrlKey ? 5 : 1)), ...place(event));
    }, { passive: false });
  }
}
