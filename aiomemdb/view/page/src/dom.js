// Elements are made here alone. Text is set as text: nothing of a memory is ever parsed as markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "color") element.style.setProperty("--dot", value);
    else if (name === "disabled" || name === "checked" || name === "value" || name === "open") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export const fill = (element, ...children) => append((element.replaceChildren(), element), children);

const SHAPES = {
  search: "M10.5 4a6.5 6.5 0 1 0 4 11.6l4.5 4.4M10.5 4a6.5 6.5 0 0 1 5 10.7",
  play: "M8 5.5v13l10-6.5z",
  pause: "M8 5.5v13M16 5.5v13",
  close: "M6 6l12 12M18 6L6 18",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  table: "M4 5h16v14H4zM4 10h16M4 14.5h16M10 5v14",
  save: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  help: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.5v.5",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17",
  expand: "M12 8v8M8 12h8M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  path: "M6 6a2 2 0 1 0 0 .1M18 18a2 2 0 1 0 0 .1M8 6h6a4 4 0 0 1 0 6h-4a3 3 0 0 0 0 6h6",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["aria-hidden", "true"], ["class", "icon"]]) svg.setAttribute(key, value);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

export const button = (name, label, onclick, attributes = {}) =>
  h("button", { type: "button", class: "round", title: label, "aria-label": label, onclick, ...attributes }, icon(name));

const two = (number) => String(number).padStart(2, "0");

// A moment, in the offset that it was given with, or in UTC.
export function moment(ms, offset = null, exact = false) {
  if (ms === null || ms === undefined) return "";
  const date = new Date(ms + (offset ?? 0) * 60000);
  if (Number.isNaN(date.getTime())) return "";
  const day = date.toISOString().slice(0, -14);
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  if (!exact && ms % 86400000 === 0 && !offset) return day;
  const zone = offset ? `${offset < 0 ? "−" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}` : "UTC";
  return `${day} ${clock}${exact ? `:${two(date.getUTCSeconds())}` : ""} ${zone}`;
}

export function ago(ms, now) {
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  for (const [unit, size] of [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]]) {
    const count = Math.floor(seconds / size);
    if (count) return `${count} ${unit}${count > 1 ? "s" : ""} ago`;
  }
  return "just now";
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en-US")} ${number === 1 ? one : many}`;
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function download(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
