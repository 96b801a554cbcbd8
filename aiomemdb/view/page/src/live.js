// The page's server: it answers for parts of the memory, and tells what is written.

import { count } from "./dom.js";

const FEW = 150; // as long as fewer are drawn, all that is new is drawn
const KEEP_MS = 300;
const MANY = 1500; // from then on nothing is drawn by itself

class Live {
  constructor(token, position) {
    this.token = token;
    this.position = position;
    this.known = new Set();
    this.moved = new Map();
  }

  async ask(path, asked = {}) {
    const answer = await fetch(`${path}?${new URLSearchParams({ ...asked, token: this.token })}`, { cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return answer.json();
  }

  positions() {
    return this.ask("positions").catch(() => []);
  }

  // Has the server keep where things stand: what moved within a while, at once.
  keep(rows) {
    for (const row of rows) this.moved.set(row[0], row);
    clearTimeout(this.keeping);
    this.keeping = setTimeout(async () => {
      const body = JSON.stringify([...this.moved.values()]);
      this.moved.clear();
      await fetch(`positions?${new URLSearchParams({ token: this.token })}`, { method: "POST", body }).catch(() => null);
      if (!this.moved.size) this.keeping = null;
    }, KEEP_MS);
  }

  times(model) {
    return { ...(model.asOf !== null && { as_of: model.asOf }), ...(model.knownAt !== null && { known_at: model.knownAt }) };
  }

  async around(app, id) {
    app.model.absorb(await this.ask("around", { entity: id }));
    this.known.add(id);
    app.learnt();
  }

  // What is chosen may be no part of the page yet.
  async ensure(app, kind, id) {
    const there = { entity: app.model.entities, fact: app.model.facts, episode: app.model.episodes }[kind];
    if (there.has(id) && (kind !== "entity" || this.known.has(id))) return;
    try {
      await (kind === "entity" ? this.around(app, id) : this.ask("item", { kind, id }).then((picture) => (app.model.absorb(picture), app.learnt())));
    } catch (error) {
      if (!there.has(id)) app.say(String(error.message));
    }
  }

  async path(app, source, target) {
    const { as_of } = this.times(app.model);
    const ids = await this.ask("path", { source, target, ...(as_of && { as_of }) });
    if (ids === null) return null;
    for (const id of ids) if (!app.model.facts.has(id)) app.model.absorb(await this.ask("item", { kind: "fact", id }));
    app.learnt();
    return ids.map((id) => app.model.facts.get(id)).filter(Boolean);
  }

  async recall(app, question) {
    const hits = await this.ask("recall", { q: question, ...this.times(app.model) });
    return hits.map((hit) => ({ ...hit, via: hit.how, shownScore: hit.score.toFixed(2) }));
  }

  // Server-sent events; the browser connects again by itself, and says which it had last.
  follow(app) {
    const source = new EventSource(`events?${new URLSearchParams({ token: this.token, after: this.position })}`);
    this.source = source;
    source.onopen = () => app.connected(true);
    source.onerror = () => app.connected(false);
    source.onmessage = ({ data, lastEventId }) => {
      this.position = lastEventId;
      this.turn = (this.turn ?? Promise.resolve()).then(() => this.take(app, JSON.parse(data))).catch((error) => app.say(String(error.message)));
    };
    addEventListener("pagehide", () => source.close());
  }

  async take(app, picture) {
    const { gone, merged, changed, forgotten, ...rows } = picture;
    if (forgotten) return location.reload();
    const { model, graph } = app;
    const before = new Set(model.facts.keys());
    for (const [kind, id] of gone) model.drop(kind, id);
    const fresh = model.absorb(rows);
    for (const id of merged) if (id !== null) model.absorb(await this.ask("around", { entity: id }));
    const wanted = new Set();
    for (const id of fresh.entities) if (graph.drawn.size + wanted.size < FEW) wanted.add(id);
    for (const id of changed) {
      const fact = model.facts.get(id);
      if (!fact || before.has(id)) continue;
      const ends = [fact.subject, fact.object].filter((end) => end !== null && model.entities.has(end));
      if (graph.drawn.size + wanted.size < MANY && ends.some((end) => graph.drawn.has(end) || wanted.has(end))) ends.forEach((end) => wanted.add(end));
    }
    graph.remove([...graph.drawn].filter((id) => !model.entities.has(id)));
    app.learnt();
    await graph.draw([...wanted], { again: true });
    graph.pulse(changed.filter((id) => !before.has(id)));
    const news = changed.filter((id) => !before.has(id)).length;
    if (news) app.told(count(news, "new fact"));
  }
}

export async function connect() {
  const token = new URLSearchParams(location.search).get("token");
  if (!token) throw new Error("This address has no token: open the one that `aiomemdb serve` printed.");
  const live = new Live(token, null);
  const picture = await live.ask("picture");
  live.position = picture.position;
  return { picture, live };
}
