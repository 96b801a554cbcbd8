// What is drawn as a picture: SVG made of its positions, PNG painted as on the screen.

import { download, h } from "./dom.js";
import { bent } from "./painting.js";

const ROOM = 50; // around it, for names
const MOST_PIXELS = 6000; // a side

const escape = (text) => String(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "").replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

export function svg(graph, colors) {
  const { page, edge, label, soft } = colors.surface;
  const box = graph.box();
  const parts = [], number = (each) => each.toFixed(1);
  for (const each of graph.lines) {
    if (each.absent) continue;
    const { a, b } = each, middle = bent(each);
    const dots = each.near ? ' stroke-dasharray="2 3"' : "";
    const line = middle ? `Q${number(middle[0])} ${number(middle[1])} ${number(b.x)} ${number(b.y)}` : `L${number(b.x)} ${number(b.y)}`;
    parts.push(`<path d="M${number(a.x)} ${number(a.y)}${line}" fill="none" stroke="${each.path ? colors.surface.path : edge}" stroke-width="${each.path ? 4 : 1.4}"${dots}><title>${escape(each.label)}</title></path>`);
    const [x, y] = middle ? [(a.x + b.x + 2 * middle[0]) / 4, (a.y + b.y + 2 * middle[1]) / 4] : [(a.x + b.x) / 2, (a.y + b.y) / 2];
    if (graph.lines.length < 300 && each.label) parts.push(`<text x="${number(x)}" y="${number(y - 2)}" font-size="6.5" fill="${soft}" text-anchor="middle">${escape(each.label)}</text>`);
  }
  for (const { x, y, size, color, label: name, faint, absent } of graph.ranked) {
    if (absent) continue;
    parts.push(`<g${faint ? ' opacity="0.25"' : ""}><circle cx="${number(x)}" cy="${number(y)}" r="${number(size / 2)}" fill="${color}"/><text x="${number(x)}" y="${number(y + size / 2 + 11)}" font-size="10" fill="${label}" text-anchor="middle" stroke="${page}" stroke-width="2.4" paint-order="stroke">${escape(name)}</text></g>`);
  }
  const view = [box.x - ROOM, box.y - ROOM, box.wide + 2 * ROOM, box.high + 2 * ROOM].map(number);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${view.join(" ")}" width="${view[2]}" height="${view[3]}" font-family="Inter, system-ui, sans-serif"><rect x="${view[0]}" y="${view[1]}" width="${view[2]}" height="${view[3]}" fill="${page}"/>${parts.join("")}</svg>`;
}

export const saveSvg = (graph, colors, name) => download(`${name}.svg`, svg(graph, colors), "image/svg+xml");

// All that is drawn, twice as large as the graph's own measure, if that is not too much. What is dimmed on the screen,
// because something else is chosen, is not dimmed here.
export function painted(graph) {
  const box = graph.box(), wide = box.wide + 2 * ROOM, high = box.high + 2 * ROOM;
  const zoom = Math.min(2, MOST_PIXELS / wide, MOST_PIXELS / high);
  const canvas = h("canvas", { width: Math.ceil(wide * zoom), height: Math.ceil(high * zoom) });
  const dimmed = graph.marked("dim");
  for (const each of dimmed) [each.dim, each.alpha] = [false, each.absent ? 0 : each.faint ? 0.25 : each.a ? 0.62 : 1];
  graph.paint(canvas.getContext("2d", { alpha: false }), { zoom, x: zoom * (ROOM - box.x), y: zoom * (ROOM - box.y) }, [0, 0, canvas.width, canvas.height], Infinity);
  for (const each of dimmed) [each.dim, each.alpha] = [true, each.goal];
  return canvas;
}

export async function savePng(graph, name) {
  const canvas = painted(graph);
  download(`${name}.png`, await new Promise((resume) => canvas.toBlob(resume, "image/png")), "image/png");
}
