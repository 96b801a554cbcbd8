// The panel beside the drawing: one entity, fact, text or path, with why it is believed.

import { ago, button, count, fill, h, icon, moment } from "./dom.js";

const MANY = 60;

export class Panel {
  constructor(app) {
    this.app = app;
    this.body = h("div", { class: "panel-body" });
    this.element = h("aside", { class: "panel", "aria-label": "Details", hidden: true }, button("close", "Close (Esc)", () => app.choose(null), { class: "round panel-close" }), this.body);
  }

  get model() {
    return this.app.model;
  }

  close() {
    this.element.hidden = true;
  }

  open(...children) {
    fill(this.body, ...children);
    this.element.hidden = false;
    this.body.scrollTop = 0;
  }

  name(id) {
    const entity = this.model.entities.get(id);
    if (!entity) return h("span", { class: "soft" }, `entity ${id}`);
    return h("button", { type: "button", class: "name", color: this.app.colors.entity(entity), onclick: () => this.app.choose("entity", id, true) }, h("i", { class: "dot" }), h("bdi", {}, entity.name));
  }

  agent(name) {
    if (!name) return h("span", { class: "soft" }, "no agent");
    return h("span", { class: "agent", color: this.app.colors.of("agent", name) }, h("i", { class: "dot square" }), h("bdi", {}, name));
  }

  times(fact) {
    const { valid_at, valid_offset, invalid_at, invalid_offset, created_at, expired_at } = fact;
    const world = valid_at === null && invalid_at === null ? "always" : [valid_at !== null && `from ${moment(valid_at, valid_offset)}`, invalid_at !== null && `until ${moment(invalid_at, invalid_offset)}`].filter(Boolean).join(" ");
    return h("dl", { class: "times" },
      h("div", {}, h("dt", {}, "Holds"), h("dd", {}, world)),
      h("div", {}, h("dt", {}, "Believed"), h("dd", { title: moment(created_at, null, true) }, `since ${moment(created_at)}`, expired_at !== null && ` until ${moment(expired_at)}`)));
  }

  value(fact) {
    return h("span", { class: "value" }, h("bdi", {}, typeof fact.value === "string" ? fact.value : JSON.stringify(fact.value)));
  }

  // A fact as a line: what it says, seen from an entity or from nowhere.
  line(fact, from = null) {
    const other = fact.object === null ? this.value(fact) : from === null || fact.subject === from ? this.name(fact.object) : null;
    const head = from === null ? [this.name(fact.subject), " "] : fact.subject === from ? [] : [this.name(fact.subject), " "];
    const self = from !== null && fact.subject !== from ? h("span", { class: "soft" }, " this") : null;
    return h("div", { class: "fact-line" }, head, h("button", { type: "button", class: "predicate", title: "Why is it believed?", onclick: () => this.app.choose("fact", fact.id) }, h("bdi", {}, fact.predicate)), " ", other, self);
  }

  quoted(episode, quote) {
    const text = episode.content;
    const place = quote ? text.indexOf(quote) : -1;
    const before = episode.begin > 0 ? "… " : "", after = episode.begin + [...text].length < episode.length ? " …" : "";
    if (place < 0) return h("blockquote", {}, before, h("bdi", {}, text), after);
    const begin = Math.max(0, place - 320);
    return h("blockquote", {}, begin > 0 || before ? "… " : "", h("bdi", {}, text.slice(begin, place), h("mark", {}, quote), text.slice(place + quote.length, place + quote.length + 520)), after);
  }

  evidence(fact, whole) {
    const lines = this.model.evidence.get(fact.id) ?? [];
    return h("ul", { class: "evidence" }, lines.map((line) => {
      const episode = line.episode === null ? null : this.model.episodes.get(line.episode);
      const sure = line.confidence < 1 ? ` · confidence ${line.confidence}` : "";
      const who = h("p", { class: "said soft" }, this.agent(line.agent), ` ${moment(line.created_at)}${sure}`, episode && [" · ", h("button", { type: "button", class: "text-link", onclick: () => this.app.choose("episode", episode.id) }, episode.key ?? `text ${episode.id}`)]);
      if (episode && whole) return h("li", {}, this.quoted(episode, line.quote), who);
      if (line.quote) return h("li", {}, h("blockquote", {}, h("mark", {}, h("bdi", {}, line.quote))), who);
      if (episode) return h("li", {}, h("p", { class: "excerpt" }, h("bdi", {}, episode.content.slice(0, 160)), episode.content.length > 160 && "…"), who);
      return h("li", {}, h("p", { class: "soft" }, "The agent itself said so."), who);
    }));
  }

  // Of one predicate with many objects, lines are folded.
  facts(facts, from) {
    const groups = new Map();
    for (const fact of facts) {
      const key = `${fact.subject === from ? ">" : "<"}${fact.predicate}`;
      (groups.get(key) ?? groups.set(key, []).get(key)).push(fact);
    }
    const items = [...groups.values()].sort((a, b) => a.length - b.length).flat();
    const item = (fact) => h("li", { class: "fact" }, h("details", {}, h("summary", {}, this.line(fact, from)), this.times(fact), this.evidence(fact, false)));
    const list = h("ul", { class: "facts" }, items.slice(0, MANY).map(item));
    if (items.length > MANY) {
      list.append(h("li", {}, h("button", { type: "button", class: "more", onclick: (event) => { event.target.parentElement.replaceWith(...items.slice(MANY).map(item)); } }, `Show ${items.length - MANY} more`)));
    }
    return list;
  }

  section(title, number, content, open = true) {
    if (!number) return null;
    return h("details", { class: "section", open }, h("summary", {}, title, h("span", { class: "count" }, number.toLocaleString("en-US"))), content);
  }

  actions(kind, id, ...others) {
    return h("div", { class: "actions" }, others, h("button", { type: "button", class: "act", onclick: () => this.app.copyLink(kind, id) }, icon("link"), "Copy link"));
  }

  entity(id) {
    const { model, app } = this;
    const entity = model.entities.get(id);
    if (!entity) return this.open(h("p", {}, "This entity is not in the page: it was forgotten, or is beyond what the page holds."));
    const facts = model.of.get(id) ?? [];
    const now = facts.filter((fact) => model.shows(fact));
    const past = facts.filter((fact) => model.believed(fact) && !model.holds(fact));
    const closed = facts.filter((fact) => !model.believed(fact));
    const beyond = entity.degree - facts.length;
    const hidden = [...model.neighbours(id).keys()].filter((other) => !app.graph.drawn.has(other)).length;
    const near = [...model.near.values()].filter((pair) => pair.a === id || pair.b === id);
    const texts = [...(model.mentions.get(id) ?? [])].map((text) => model.episodes.get(text)).filter(Boolean);
    this.open(
      h("header", {},
        h("h2", { color: app.colors.entity(entity) }, h("i", { class: "dot" }), h("bdi", {}, entity.name)),
        h("p", { class: "soft" }, entity.type && h("span", { class: "chip", color: app.colors.of("type", entity.type) }, entity.type), " made by ", this.agent(entity.agent), ` ${moment(entity.created_at)}`),
        entity.description && h("p", { class: "description" }, h("bdi", {}, entity.description)),
        entity.aliases.length > 0 && h("p", { class: "aliases" }, h("span", { class: "soft" }, "Also: "), entity.aliases.map((alias) => h("span", { class: "chip plain" }, h("bdi", {}, alias)))),
        entity.attributes && h("p", { class: "attributes" }, h("code", {}, h("bdi", {}, entity.attributes)))),
      this.actions("entity", id,
        (hidden > 0 || app.live) && h("button", { type: "button", class: "act", onclick: () => app.unfold(id) }, icon("expand"), hidden ? `Unfold ${hidden}` : "Unfold"),
        h("button", { type: "button", class: "act", onclick: () => app.beginPath(id) }, icon("path"), "Path to…")),
      this.section("Believed", now.length, this.facts(now, id)),
      this.section("Past or to come", past.length, this.facts(past, id), now.length === 0),
      this.section(model.knownAt === null ? "Retracted or replaced" : "Not believed at that time", closed.length, this.facts(closed, id), false),
      !facts.length && h("p", { class: "soft" }, "No fact is about it in this page."),
      beyond > 0 && h("p", { class: "soft" }, `${count(beyond, "more fact")} about it ${beyond === 1 ? "is" : "are"} beyond what the page shows.`),
      this.section("Near names", near.length, h("ul", { class: "plain-list" }, near.map((pair) => h("li", {}, this.name(pair.a === id ? pair.b : pair.a), h("span", { class: "soft" }, ` cosine ${pair.cosine}`)))), false),
      this.section("Texts", texts.length, h("ul", { class: "plain-list" }, texts.map((text) => h("li", {}, h("button", { type: "button", class: "text-link", onclick: () => app.choose("episode", text.id) }, text.key ?? `text ${text.id}`), h("p", { class: "excerpt" }, h("bdi", {}, text.content.slice(0, 140)), text.content.length > 140 && "…")))), facts.length === 0));
  }

  fact(id) {
    const { model } = this;
    const fact = model.facts.get(id);
    if (!fact) return this.open(h("p", {}, "This fact is not in the page: it was forgotten, or is beyond what the page holds."));
    const state = !model.believed(fact) ? (fact.superseded_by ? "replaced" : "retracted") : model.holds(fact) ? "believed" : "not at this time";
    const lines = model.evidence.get(id) ?? [];
    this.open(
      h("header", {}, h("p", { class: "soft" }, "Fact ", h("span", { class: `chip state ${state === "believed" ? "on" : ""}` }, state)),
        h("h2", { class: "sentence" }, h("bdi", {}, fact.text)), this.line(fact)),
      this.actions("fact", id),
      this.times(fact),
      h("p", { class: "soft" }, "Stated by ", this.agent(fact.agent)),
      fact.superseded_by && model.facts.has(fact.superseded_by) && h("p", {}, h("span", { class: "soft" }, "Replaced by: "), this.line(model.facts.get(fact.superseded_by))),
      this.section("Evidence", lines.length, this.evidence(fact, true)));
  }

  episode(id) {
    const { model } = this;
    const text = model.episodes.get(id);
    if (!text) return this.open(h("p", {}, "This text is not in the page."));
    const drawn = [...model.facts.values()].filter((fact) => (model.evidence.get(fact.id) ?? []).some((line) => line.episode === id));
    const quotes = drawn.flatMap((fact) => model.evidence.get(fact.id).filter((line) => line.episode === id && line.quote).map((line) => line.quote));
    const whole = text.begin === 0 && [...text.content].length >= text.length;
    const when = text.occurred_at ?? text.created_at;
    this.open(
      h("header", {}, h("p", { class: "soft" }, "Text", text.expired_at !== null && h("span", { class: "chip state" }, "replaced by a later version")), h("h2", { class: "key" }, h("bdi", {}, text.key ?? `text ${id}`)),
        h("p", { class: "soft" }, this.agent(text.agent), ` ${moment(when)}`, text.session && ` · session ${text.session}`, text.source && ` · from ${text.source}`, text.version > 1 && ` · version ${text.version}`)),
      this.actions("episode", id),
      h("blockquote", { class: "whole" }, text.begin > 0 && "… ", h("bdi", {}, marked(text.content, quotes)), !whole && " …"),
      !whole && h("p", { class: "soft" }, `A part of ${text.length.toLocaleString("en-US")} characters.`),
      this.section("Facts drawn from it", drawn.length, this.facts(drawn, null)));
  }

  path(source, target, chain, failed = "") {
    const { model } = this;
    const name = (id) => model.entities.get(id)?.name ?? `entity ${id}`;
    this.open(
      h("header", {}, h("p", { class: "soft" }, "Path"), h("h2", { class: "sentence" }, h("bdi", {}, name(source)), " → ", h("bdi", {}, name(target)))),
      chain === null ? h("p", {}, failed || "No chain of at most four facts leads from one to the other at the times that are shown.")
        : chain.length === 0 ? h("p", {}, "They are the same.")
        : [h("p", { class: "soft" }, count(chain.length, "fact")), h("ol", { class: "facts chain" }, chain.map((fact) => h("li", { class: "fact" }, h("details", {}, h("summary", {}, this.line(fact)), this.times(fact), this.evidence(fact, false)))))]);
  }

  // The legend's line of an agent.
  lastSaid(agent) {
    return agent.last ? `${ago(agent.last.created_at, this.model.now)}: ${agent.last.text}` : "";
  }
}

function marked(text, quotes) {
  const spans = quotes.map((quote) => [text.indexOf(quote), quote.length]).filter(([place]) => place >= 0).sort((a, b) => a[0] - b[0]);
  const parts = [];
  let upto = 0;
  for (const [place, length] of spans) {
    if (place < upto) continue;
    parts.push(text.slice(upto, place), h("mark", {}, text.slice(place, place + length)));
    upto = place + length;
  }
  return [...parts, text.slice(upto)];
}
