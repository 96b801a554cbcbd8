// Colours by type or by agent: ten that are told apart in light and in dark, then grey.

const LIGHT = ["#3f6fd8", "#128a7d", "#c77700", "#c9406b", "#7a55c7", "#4c8a2b", "#1387ad", "#c4552d", "#8a6d3b", "#a1459e"];
const DARK = ["#7aa2ff", "#41c7b5", "#f0b04a", "#f37fa0", "#b094f5", "#8fce66", "#5cc4e8", "#f0916a", "#cdb07c", "#dd8ada"];

export const SURFACE = {
  light: { page: "#fbfbfa", ink: "#1d2530", soft: "#687485", edge: "#aab4c1", label: "#2a3340", grey: "#8b95a3", mark: "#ffd34d", path: "#d2401f" },
  dark: { page: "#12161c", ink: "#e7ebf0", soft: "#94a0b0", edge: "#4b5666", label: "#d5dce5", grey: "#7b8796", mark: "#e0b030", path: "#ff8a5c" },
};

export class Colors {
  constructor() {
    this.theme = "light";
    this.by = "type";
    this.places = { type: new Map(), agent: new Map() };
  }

  // What was given a colour keeps it, whatever comes later.
  know(kind, names) {
    const places = this.places[kind];
    // The commonest get colours, in the order of their names: a memory that grows keeps them.
    names = places.size ? names : [...names.slice(0, LIGHT.length).sort(), ...names.slice(LIGHT.length)];
    for (const name of names) if (!places.has(name)) places.set(name, name === "" ? -1 : [...places.values()].filter((each) => each >= 0).length);
  }

  of(kind, name) {
    const places = this.places[kind];
    // Where nothing has a type, or no agent a name, all have the first colour.
    const place = places.size === 1 ? 0 : places.get(name ?? "") ?? -1;
    const palette = this.theme === "dark" ? DARK : LIGHT;
    return place < 0 || place >= palette.length ? this.surface.grey : palette[place];
  }

  entity(entity) {
    return this.by === "type" ? this.of("type", entity.type) : this.of("agent", entity.agent);
  }

  get surface() {
    return SURFACE[this.theme];
  }
}
