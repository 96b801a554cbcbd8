// The view as a picture: SVG that is drawn anew from positions, PNG as the canvas has it.

import { download } from "./dom.js";

const escape = (text) => String(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "").replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

export function svg(graph, colors) {
  const { page, edge, label, soft } = colors.surface;
  const cy = graph.cy;
  const box = cy.elements().not(".absent").boundingBox({ includeLabels: true });
  const parts = [];
  cy.edges().not(".absent").forEach((each) => {
    if (each.source().hasClass("absent") || each.target().hasClass("absent")) return;
    const a = each.source().position(), b = each.target().position();
    const dots = each.hasClass("near") ? ' stroke-dasharray="2 3"' : "";
    parts.push(`<line x1="${a.x.toFixed(1)}" y1="${a.y.toFixed(1)}" x2="${b.x.toFixed(1)}" y2="${b.y.toFixed(1)}" stroke="${each.hasClass("path") ? colors.surface.path : edge}" stroke-width="${each.hasClass("path") ? 4 : 1.4}"${dots}><title>${escape(each.data("label"))}</title></line>`);
    if (cy.edges().length < 300 && each.data("label")) parts.push(`<text x="${((a.x + b.x) / 2).toFixed(1)}" y="${((a.y + b.y) / 2 - 2).toFixed(1)}" font-size="6.5" fill="${soft}" text-anchor="middle">${escape(each.data("label"))}</text>`);
  });
  cy.nodes().not(".absent").forEach((node) => {
    const { x, y } = node.position(), size = node.data("size") / 2, faint = node.hasClass("faint") ? ' opacity="0.25"' : "";
    parts.push(`<g${faint}><circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${size.toFixed(1)}" fill="${node.data("color")}"/><text x="${x.toFixed(1)}" y="${(y + size + 11).toFixed(1)}" font-size="10" fill="${label}" text-anchor="middle" stroke="${page}" stroke-width="2.4" paint-order="stroke">${escape(node.data("label"))}</text></g>`);
  });
  const view = [box.x1 - 20, box.y1 - 20, box.w + 40, box.h + 40].map((each) => each.toFixed(1));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${view.join(" ")}" width="${view[2]}" height="${view[3]}" font-family="Inter, system-ui, sans-serif"><rect x="${view[0]}" y="${view[1]}" width="${view[2]}" height="${view[3]}" fill="${page}"/>${parts.join("")}</svg>`;
}

export const saveSvg = (graph, colors, name) => download(`${name}.svg`, svg(graph, colors), "image/svg+xml");

export async function savePng(graph, colors, name) {
  const picture = await graph.cy.png({ output: "blob-promise", bg: colors.surface.page, full: true, scale: 2, maxWidth: 6000, maxHeight: 6000 });
  download(`${name}.png`, picture, "image/png");
}
