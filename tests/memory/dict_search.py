"""What recall, embedders and reembed() ask of a store in dicts: the rest of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import Any

from aiomemdb.memory.dates import Day
from aiomemdb.memory.deciding import requests as asked
from aiomemdb.memory.deciding.embedding import check_model
from aiomemdb.memory.questions import ByWords, Found, Links, VectorChanges
from aiomemdb.memory.times import from_micros
from aiomemdb.memory.words import choose, counted, form, indexed, is_begin, runs
from tests.memory.dict_moving import MovingDictStore
from tests.memory.dict_tables import KINDS, Row, State, bare

__all__ = ["SearchingDictStore"]

TEXTS = {"entity": ("name", "description"), "fact": ("text",), "episode": ("content",)}


class SearchingDictStore(MovingDictStore):
    """Word search knows neither stems nor accents."""

    def NewerNames(self, request: Any) -> Any:
        found: dict[str, list[Any]] = {namespace: [] for namespace in request.since}
        for id, namespace, data in self.embedded(request.model):
            if namespace in found and id > (request.since[namespace] or State(0)).entity:
                found[namespace].append((self.entity(id), data))
        return found

    def FactsWith(self, request: asked.FactsWith) -> list[int]:
        here = [(id, row) for id, row in self.rows("fact") if {row.subject, row.object} & {*request.entities}]
        return [id for id, row in here if row.until is None or not request.believed]

    def FactsAlike(self, request: asked.FactsAlike) -> list[Any]:
        facts = [bare(row.row) for _, row in self.rows("fact") if row.until is None]
        return [fact for fact in facts if fact.identity[:3] in request.wanted]

    def Embeddable(self, request: asked.Embeddable) -> dict[int, str]:
        return {id: row.namespace for id, row in self.rows(request.kind) if id in request.ids and not row.merged_into}

    def Lacking(self, request: Any) -> dict[str, tuple[int, int]]:
        touched = {line[4:6] for id, line in self.t["event"].items() if request.since and id > request.since.event}
        lacking = [node for node in self.lacking(request.model) if not request.since or node in touched]
        return {kind: (len(ids), ids[0]) for kind in KINDS if (ids := [id for of, id in lacking if of == kind])}

    def EmbeddedNames(self, request: asked.EmbeddedNames) -> list[tuple[int, str, bytes]]:
        return [one for one in self.embedded(request.model) if request.after < one[0] <= request.upto][: request.limit]

    def CountEntities(self, request: asked.CountEntities) -> int:
        return sum(request.after < id <= request.upto and not row.merged_into for id, row in self.rows("entity"))

    def embedded(self, model: Any, kind: str = "entity") -> list[tuple[int, str, bytes]]:
        found = sorted((ref, data) for (of, what, ref), data in self.t["vector"].items() if (of, what) == (model, kind))
        return [(ref, self.t[kind][ref].namespace, data) for ref, data in found]

    def lacking(self, model: Any) -> list[tuple[str, int]]:
        rows = [(kind, id) for kind in KINDS for id, row in self.rows(kind) if row.merged_into is None]
        return [node for node in rows if (model, *node) not in self.t["vector"]]

    async def named(self, namespaces, keys):
        found = [
            (keys.index(key), id) for (of, key, _), id in self.t["alias"].items() if of in namespaces and key in keys
        ]
        return [(keys[place], id) for place, id in sorted(found)]

    async def there(self, namespaces, kind, ids, when):
        return {*self.there_now(namespaces, kind, ids, when)}

    def there_now(self, namespaces: Any, kind: str, ids: Any, when: Any) -> list[int]:
        rows = [(id, self.t[kind][id]) for id in ids if id in self.t[kind]]
        rows = [(id, replace(row, until=None) if kind == "entity" else row) for id, row in rows]
        return [id for id, row in rows if row.counts(namespaces, when.known, when.as_of)]

    async def read(self, namespaces, nodes, when):
        nodes = [(kind, id) for kind, id in nodes if self.there_now(namespaces, kind, [id], when)]
        items = {(kind, id): self.t[kind][id].value() for kind, id in nodes}
        return Found(items, {id: self.why(id) for kind, id in nodes if kind == "fact"})

    async def words(self, namespaces, kind, asked, when, limit):
        texts = {id: self.text(kind, row) for id, row in self.rows(kind)}
        here, scores = {*self.there_now(namespaces, kind, texts, replace(when, as_of=None))}, Counter[int]()
        found = {word: self.having(word, texts) for word in counted(asked)}
        counts = {word: len(here & {*rows}) for word, rows in found.items()}
        chosen = choose(asked, counts, 5000)
        for word in chosen:
            for id, count in found[word].items():
                rarity = math.log(1 + (len(texts) + 0.5) / (len(found[word]) + 0.5))
                scores[id] += rarity * count / (count + 1.2)  # type: ignore[assignment]
        there = {*self.there_now(namespaces, kind, scores, when)}
        best = sorted(scores.items(), key=lambda one: (-one[1], -one[0]))
        best = [(id, score) for id, score in best if id in there][:limit]
        held = {id: {word for word in chosen if id in found[word]} for id, _ in best[:5]}
        return ByWords(best, chosen, counts, len(here), held)

    def having(self, word: str, texts: dict[int, str]) -> dict[int, int]:
        """In which texts a word is, or its pieces one behind the other, and how often."""
        sought = f" {' '.join(runs(word))} "
        sought = sought.rstrip() if is_begin(word) else sought
        counts = {id: text.count(sought) for id, text in texts.items()} if sought.strip() else {}
        return {id: count for id, count in counts.items() if count}

    def text(self, kind: str, row: Row) -> str:
        """The words of a row; each stands between two spaces."""
        text, more, day = getattr(row, TEXTS[kind][0]), list[str](), None
        if kind == "entity":
            names = [key for (_, key, _), id in self.t["alias"].items() if id == row.id]
            text = " ".join([text, row.description, *names])
        elif kind == "episode":
            at = row.occurred_at
            day = None if at is None else Day.of(from_micros(at, row.occurred_offset).date())
        else:
            value = row.row.value
            more = ["" if value is None else str(json.loads(value)), *(each.quote or "" for each in self.why(row.id))]
        words, others = indexed(text, *more, day=day)
        return f" {' '.join(runs(words or form(text)))} / {' '.join(runs(others))} "

    async def sources(self, namespaces, episodes):
        return {id: self.t["episode"][id].source for id in episodes if self.t["episode"][id].source is not None}

    async def around(self, namespaces, frontier, turns, when, hub, named=()):
        t, there = self.t, {kind: self.there_now(namespaces, kind, sorted(self.t[kind]), when) for kind in KINDS}
        ends = [(id, row.subject, row.object) for id, row in self.rows("fact")]
        links = Counter([*(entity for entity, _ in t["mention"]), *(end for _, *both in ends for end in both)])
        links.update(("text", text) for _, text in t["mention"])
        facts, entities, texts = (
            {id for kind, id in frontier if kind == of and id in there[of]} for of in ("fact", "entity", "episode")
        )
        few, texts = {id for id in entities if links[id] <= hub}, {id for id in texts if links["text", id] <= hub}
        many, entities = {id for id in entities if id in named} - few, few
        ends = [each for each in ends if each[0] in there["fact"]]
        said = [(fact, text) for fact, text, _ in t["evidence"] if text in there["episode"]]
        near = [(*ids, cosine) for pair, cosine in t["similar"].items() for ids in (pair, pair[::-1])]
        beside = []
        for one in (t["episode"][id] for id in turns if id in there["episode"]):
            rows = [
                row
                for row in map(t["episode"].get, there["episode"])
                if one.session and (row.namespace, row.session) == (one.namespace, one.session)
            ]
            order = [id for _, id in sorted((row.seq, row.id) for row in rows)]
            place = order.index(one.id) if one.id in order else 0
            beside += [(one.id, other, n) for n, other in enumerate(order[place + 1 : place + 3], start=1)]
            beside += [(one.id, other, n) for n, other in enumerate(order[max(0, place - 2) : place][::-1], start=1)]
        mentions = [pair for pair in t["mention"] if pair[1] in there["episode"]]
        facts_of = [
            (one, id, other) for id, *both in ends for one, other in dict.fromkeys([(*both,), (*both[::-1],)]) if one
        ]
        newest = [[link for link in facts_of if link[0] == one][-hub:] for one in many]
        mentioning = [sorted(pair for pair in mentions if pair[0] == one)[-hub:] for one in many]
        return Links(
            ends=[(id, end) for id, *both in ends if id in facts for end in dict.fromkeys(both) if end is not None],
            evidence=[pair for pair in said if pair[0] in facts],
            facts=[*(link for link in facts_of if link[0] in entities), *chain(*newest)],
            mentions=[*(pair for pair in mentions if pair[0] in entities), *chain(*mentioning)],
            similar=[each for each in near if each[0] in entities and each[1] in there["entity"]],
            mentioned=[(text, entity) for entity, text in t["mention"] if text in texts and entity in there["entity"]],
            stated=[(text, fact) for fact, text in said if text in texts and fact in there["fact"]],
            beside=beside,
        )

    async def vectors(
        self, namespace: str, kind: str, model: Any, *, refs: Any = None, after: int = 0, limit: int = -1
    ) -> Any:
        check_model(self.t["meta"].get("model"), model)
        found = [(ref, data) for ref, of, data in self.embedded(model, kind) if of == namespace and ref > after]
        found = [pair for pair in found if refs is None or pair[0] in refs]
        return found if limit < 0 else found[:limit]

    async def vector_changes(self, namespace, kind, model, *, since, most):
        t, found = self.t, await self.vectors(namespace, kind, model)
        state = State(len(t["event"]), t["last"].get("entity", 0), (t["space"].get(namespace), t["meta"].get("model")))
        if None in state.of or since is None or since.of != state.of:
            return VectorChanges(state, complete=True, count=min(len(found), most + 1))
        lines = [line for id, line in t["event"].items() if id > since.event and line[0] == namespace]
        touched = {line[5] for line in lines if line[4] == kind}
        changed = {ref: data for ref, data in found if ref in touched}
        return VectorChanges(state, False, 0, [*changed], [*changed.values()], [*touched - {*changed}])

    async def without_vector(self, model, kind, before, limit):
        ids = [id for of, id in self.lacking(model) if of == kind and (before is None or id < before)]
        return [(id, getattr(self.t[kind][id], TEXTS[kind][0])) for id in ids[::-1][:limit]]
