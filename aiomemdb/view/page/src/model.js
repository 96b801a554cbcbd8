// What the page knows of the memory, and what of it holds at a time. No pixel in here.

// Rows come as lists; their fields are named once.
function rows(picture, kind) {
  const names = picture.fields[kind];
  return (picture[kind] ?? []).map((row) => Object.fromEntries(names.map((name, place) => [name, row[place]])));
}

export const fold = (text) => String(text).normalize("NFKC").toLowerCase().replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]/g, "").replace(/\s+/g, " ").trim();

export class Model {
  constructor() {
    this.about = {};
    this.entities = new Map();
    this.facts = new Map();
    this.evidence = new Map(); // by fact
    this.episodes = new Map();
    this.mentions = new Map(); // by entity
    this.near = new Map();
    this.hidden = new Set(); // agents that are filtered out
    this.asOf = null; // milliseconds; null: now
    this.knownAt = null;
    this.live = false;
  }

  // Takes rows in: those that were there are replaced. Returns the ids of entities and facts that are new.
  absorb(picture) {
    const fresh = { entities: [], facts: [] };
    const { totals, fields, entities, facts, evidence, episodes, mentions, near, ...about } = picture;
    this.about = { ...this.about, ...about, totals: totals ?? this.about.totals };
    for (const entity of rows(picture, "entities")) {
      if (!this.entities.has(entity.id)) fresh.entities.push(entity.id);
      else entity.degree = Math.max(entity.degree, this.entities.get(entity.id).degree);
      this.entities.set(entity.id, entity);
    }
    for (const fact of rows(picture, "facts")) {
      if (!this.facts.has(fact.id)) fresh.facts.push(fact.id);
      this.facts.set(fact.id, fact);
    }
    for (const line of rows(picture, "evidence")) {
      const lines = this.evidence.get(line.fact) ?? [];
      if (!lines.some((each) => each.episode === line.episode && each.agent === line.agent)) lines.push(line);
      this.evidence.set(line.fact, lines);
    }
    for (const episode of rows(picture, "episodes")) this.episodes.set(episode.id, episode);
    for (const { entity, episode } of rows(picture, "mentions")) {
      const texts = this.mentions.get(entity) ?? this.mentions.set(entity, new Set()).get(entity);
      texts.add(episode);
    }
    for (const pair of rows(picture, "near")) this.near.set(`${pair.a}~${pair.b}`, pair);
    this.index();
    return fresh;
  }

  drop(kind, id) {
    if (kind === "fact") this.facts.delete(id);
    if (kind === "entity") {
      this.entities.delete(id);
      for (const fact of [...this.facts.values()]) if (fact.subject === id || fact.object === id) this.facts.delete(fact.id);
    }
    if (kind === "episode") this.episodes.delete(id);
    this.index();
  }

  index() {
    this.of = new Map([...this.entities.keys()].map((id) => [id, []]));
    this.edges = new Map(); // facts of the same ends and predicate are one edge
    for (const fact of this.facts.values()) {
      this.of.get(fact.subject)?.push(fact);
      if (fact.object === null) continue;
      if (fact.object !== fact.subject) this.of.get(fact.object)?.push(fact);
      if (!this.entities.has(fact.subject) || !this.entities.has(fact.object)) continue;
      const key = `f${fact.subject}>${fact.object}>${fact.predicate}`;
      const edge = this.edges.get(key);
      if (edge) edge.facts.push(fact);
      else this.edges.set(key, { id: key, source: fact.subject, target: fact.object, label: fact.predicate, facts: [fact] });
    }
    this.mostConnected = 0;
    for (const entity of this.entities.values()) this.mostConnected = Math.max(this.mostConnected, entity.degree);
    this.searchable = null;
  }

  get now() {
    return this.live ? Date.now() : this.about.made_at ?? Date.now();
  }

  // As the verbs answer with this as_of and known_at: both periods are half-open.
  believed(fact) {
    const at = this.knownAt;
    if (at === null) return fact.expired_at === null;
    return (fact.known_from === null || fact.known_from <= at) && (fact.known_until === null || fact.known_until > at) &&
      !(fact.known_until === null && fact.expired_at !== null);
  }

  holds(fact) {
    const at = this.asOf ?? this.now;
    return (fact.valid_at === null || fact.valid_at <= at) && (fact.invalid_at === null || fact.invalid_at > at);
  }

  shows(fact) {
    return this.believed(fact) && this.holds(fact) && !this.hidden.has(fact.agent ?? "");
  }

  known(entity) {
    return this.knownAt === null || entity.known_from === null || entity.known_from <= this.knownAt;
  }

  neighbours(id) {
    const found = new Map();
    for (const fact of this.of.get(id) ?? []) {
      const other = fact.subject === id ? fact.object : fact.subject;
      if (other !== null && other !== id && this.entities.has(other) && this.shows(fact)) found.set(other, (found.get(other) ?? 0) + 1);
    }
    return found;
  }

  // The shortest chain of facts, whichever way each points.
  path(source, target, most = 4) {
    const from = new Map([[source, null]]);
    let frontier = [source];
    for (let hop = 0; hop < most && frontier.length && !from.has(target); hop++) {
      const next = [];
      for (const id of frontier) {
        for (const fact of this.of.get(id) ?? []) {
          const other = fact.subject === id ? fact.object : fact.subject;
          if (other === null || from.has(other) || !this.entities.has(other) || !this.shows(fact)) continue;
          from.set(other, [id, fact]);
          next.push(other);
        }
      }
      frontier = next;
    }
    if (!from.has(target)) return null;
    const chain = [];
    for (let id = target; from.get(id); id = from.get(id)[0]) chain.unshift(from.get(id)[1]);
    return chain;
  }

  agents() {
    const found = new Map();
    const of = (name) => found.get(name ?? "") ?? found.set(name ?? "", { name: name ?? "", facts: 0, last: null }).get(name ?? "");
    for (const fact of this.facts.values()) {
      const agent = of(fact.agent);
      agent.facts++;
      if (!agent.last || fact.created_at >= agent.last.created_at) agent.last = fact;
    }
    for (const entity of this.entities.values()) of(entity.agent);
    return [...found.values()].sort((a, b) => b.facts - a.facts || (a.name < b.name ? -1 : 1));
  }

  types() {
    const found = new Map();
    for (const entity of this.entities.values()) found.set(entity.type ?? "", (found.get(entity.type ?? "") ?? 0) + 1);
    return [...found].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }

  lines() {
    if (this.searchable) return this.searchable;
    const all = [];
    for (const entity of this.entities.values()) {
      all.push({ kind: "entity", id: entity.id, text: entity.name, folded: fold(entity.name), weight: 3, degree: entity.degree });
      for (const alias of entity.aliases) all.push({ kind: "entity", id: entity.id, text: entity.name, also: alias, folded: fold(alias), weight: 2, degree: entity.degree });
    }
    for (const fact of this.facts.values()) {
      const value = fact.value === null ? "" : ` ${fact.value}`;
      all.push({ kind: "fact", id: fact.id, text: fact.text, folded: fold(fact.text + value), weight: 1, degree: 0 });
    }
    for (const episode of this.episodes.values()) all.push({ kind: "episode", id: episode.id, text: episode.content, folded: fold(episode.content), weight: 0, degree: 0 });
    return (this.searchable = all);
  }

  search(question, most = 40) {
    const wanted = fold(question);
    if (!wanted) return [];
    const words = wanted.split(" ");
    const best = new Map();
    for (const line of this.lines()) {
      const place = line.folded.indexOf(wanted);
      let score;
      if (place >= 0) score = line.folded === wanted ? 100 : place === 0 ? 60 : /\W/.test(line.folded[place - 1]) ? 40 : 20;
      else if (words.length > 1 && words.every((word) => line.folded.includes(word))) score = 10;
      else continue;
      score += line.weight * 12 + Math.min(8, Math.log2(1 + line.degree)) - Math.min(5, line.folded.length / 200);
      const key = `${line.kind}${line.id}`;
      if (!best.has(key) || best.get(key).score < score) best.set(key, { ...line, score });
    }
    return [...best.values()].sort((a, b) => b.score - a.score || a.id - b.id).slice(0, most);
  }

  // What the first view shows: the best connected ones and what links them. A candidate with many links into what is
  // chosen already would knot it together, so it comes later, by wish.
  firstView(most) {
    const ranked = [...this.entities.values()].sort((a, b) => b.degree - a.degree || a.id - b.id);
    if (ranked.length <= most) return ranked.map((entity) => entity.id);
    const links = new Map();
    for (const entity of ranked) links.set(entity.id, this.neighbours(entity.id));
    const chosen = new Set();
    const into = (id) => [...(links.get(id)?.keys() ?? [])].filter((other) => chosen.has(other)).length;
    const seeds = ranked.slice(0, Math.max(6, Math.round(most / 7)));
    const start = this.about.around ? ranked.filter((entity) => fold(entity.name) === fold(this.about.around)).slice(0, 1) : [];
    for (const seed of [...start, ...seeds]) {
      if (chosen.size >= most) break;
      if (!chosen.has(seed.id) && into(seed.id) > 4) continue;
      chosen.add(seed.id);
      const around = [...links.get(seed.id).keys()].sort((a, b) => this.entities.get(b).degree - this.entities.get(a).degree || a - b);
      let taken = 0;
      for (const other of around) {
        if (taken >= (start[0] === seed ? 24 : 7) || chosen.size >= most) break;
        if (chosen.has(other) || into(other) > 3) continue;
        chosen.add(other);
        taken++;
      }
    }
    for (const entity of ranked) {
      if (chosen.size >= most) break;
      const joined = chosen.has(entity.id) ? 0 : into(entity.id);
      if (joined >= 1 && joined <= 2) chosen.add(entity.id);
    }
    for (const entity of ranked) {
      if (chosen.size >= Math.min(most, 40)) break;
      chosen.add(entity.id);
    }
    return [...chosen];
  }
}
