// Where entities stood at earlier visits, so that the page looks the same tomorrow. Rows: [id, x, y, when the entity was
// made].

const MOST = 30000;

export class Places {
  constructor(model) {
    this.model = model;
    this.kept = new Map(); // by id
  }

  get store() {
    const { title, namespaces, around } = this.model.about;
    return `aiomemdb positions ${title} ${(namespaces ?? []).join(" ")} ${around ?? ""}`;
  }

  remember(rows) {
    for (const row of rows) this.kept.set(row[0], row);
  }

  // What this browser has kept.
  stored() {
    try {
      return JSON.parse(localStorage.getItem(this.store) ?? "[]");
    } catch {
      return [];
    }
  }

  // Where an entity stood, if it is still what stood there.
  of(id) {
    const [, x, y, born] = this.kept.get(id) ?? [];
    return born === this.model.entities.get(id).created_at ? [x, y] : [NaN, NaN];
  }

  // Keeps where nodes stand. Returns the rows that are new.
  keep(nodes) {
    const news = [];
    for (const { id, x, y } of nodes) {
      const row = [id, Math.round(x), Math.round(y), this.model.entities.get(id).created_at], old = this.kept.get(id);
      if (!old || row.some((each, place) => each !== old[place])) news.push(row);
    }
    if (!news.length) return news;
    this.remember(news);
    try {
      localStorage.setItem(this.store, JSON.stringify([...this.kept.values()].slice(-MOST)));
    } catch {
      // a page without storage forgets where things stood
    }
    return news;
  }
}
