"""A store in dicts: what an engine has to bring for the memory's rules, on something that knows no SQL. Search, for
those that recall, is in ``dict_search.py``.

Rows are never changed in place, so that a snapshot is a copy of the dicts. A job writes by its ``Changes``, which can't
fail, so that nothing is ever to be undone. What a method takes and returns stands in ``Store``; if it answers a
request of a rule, in the request of its name.
"""

from __future__ import annotations

import math
from asyncio import Lock
from collections import defaultdict
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from typing import Any

from aiomemdb.errors import NormaliserChanged
from aiomemdb.memory.deciding import requests as asked
from aiomemdb.memory.deciding.documents import KnownTexts
from aiomemdb.memory.deciding.identity import Alias
from aiomemdb.memory.deciding.picking import meant
from aiomemdb.memory.deciding.steps import follow
from aiomemdb.memory.records import event_of, evidence_of
from aiomemdb.memory.store import Store
from aiomemdb.memory.values import Counts, Forgotten
from tests.memory.dict_tables import KINDS, PAST, Row, State, Tables, bare, line_of, within

__all__ = ["DictStore", "Tables"]


class _ByName(dict[Any, Any]):
    """What answers a request: the store's method of its name."""

    def __missing__(self, kind: type) -> Any:
        return lambda store, request: getattr(store, kind.__name__)(request)


class DictStore(Store):
    def __init__(self, tables: Tables) -> None:
        self.t = tables
        self.turn = Lock()
        self.known: dict[int, Any] = {}

    def copy(self) -> DictStore:
        return type(self)(Tables(dict, {name: {**table} for name, table in self.t.items()}))

    def run(self, rule: Any, *args: Any) -> Any:
        self.known = {}  # a rule is followed to its end before the next one begins
        return follow(rule(*args), _ByName(), self)

    async def follow(self, rule, *args):
        return self.run(rule, *args)

    def rows(self, kind: str, of: Any = None) -> list[tuple[int, Row]]:
        return [(id, row) for id, row in sorted(self.t[kind].items()) if of is None or row.namespace in of]

    # -- what rules ask: who is who

    def entity(self, id: int) -> Any:
        row = self.t["entity"][self.root(id)]
        return self.known.setdefault(row.id, replace(row.row, made=None, line=None, since=row.since))

    def root(self, id: int) -> int:
        return (id in self.t["entity"] and self.t["entity"][id].merged_into) or id

    def aliases(self, keys: Any) -> dict[Any, list[Alias]]:
        found: dict[Any, list[Alias]] = defaultdict(list)
        for (namespace, key, type), id in sorted(self.t["alias"].items()):
            if (namespace, key) in keys:
                found[namespace, key].append(Alias(key, type, self.entity(id), type))
        return dict(found)

    def Beginning(self, request: asked.Beginning) -> asked.State:
        t, texts, meta = self.t, KnownTexts(), self.t["meta"]
        rows = {id: row for id, row in t["episode"].items() if id in request.evidence}
        texts.namespaces = {id: row.namespace for id, row in rows.items()}
        texts.outdated = {id for id, row in rows.items() if row.until is not None}
        for row in t["episode"].values():
            if (session := (row.namespace, row.session)) in request.sessions:
                texts.last_seq[session] = max(row.seq, texts.last_seq.get(session, row.seq))
        ids, lines = [t["last"].get(kind, 0) + 1 for kind in KINDS], len(t["event"])
        at = t["event"][lines][1] if lines else 0
        return asked.State(*ids, at, State(lines), texts, {**t["space"]}, meta.get("model"), meta.get("near"))

    def Texts(self, request: asked.Texts) -> Any:
        rows = {(row.namespace, row.key): row.row for row in self.t["episode"].values() if row.until is None}
        return {key: replace(rows[key], made=None, ended=None) for key in request.keys if key in rows}

    def Names(self, request: asked.Names) -> asked.KnownNames:
        here = [(of, id) for of, id in request.ids for row in [self.t["entity"].get(id)] if row and row.namespace == of]
        said = {text: [id for id, of in sorted(self.t["mention"]) if of == text] for _, text in request.texts}
        mentions = {text: {id: self.entity(id) for id in ids} for text, ids in said.items()}
        return asked.KnownNames(self.aliases(request.keys), {key: self.entity(key[1]) for key in here}, mentions)

    def NamesOf(self, request: asked.NamesOf) -> Any:
        return self.aliases({key[:2] for key, entity in self.t["alias"].items() if entity in request.entities})

    def FactsSaid(self, request: asked.FactsSaid) -> asked.KnownFacts:
        texts, found = self.t["episode"], asked.KnownFacts([], [])
        for id, row in self.rows("fact"):
            fact, by = bare(row.row), [text for of, text, _ in self.t["evidence"] if of == id]
            said = [one for one in by if one in request.texts and texts[one].namespace == row.namespace]
            times: Any = request.pairs.get((fact.subject, fact.predicate), ())
            later = times and (None in (*times, fact.invalid_at) or fact.invalid_at > min(times))
            if said or (row.until is None and (later or fact.identity in request.identities)):
                fact.founded = any(one is None or texts[one].until is None for one in {*by} - {*request.texts})
                found.facts.append(fact)
                found.evidence += [(fact, text) for text in said]
        return found

    def OneFact(self, request: asked.OneFact) -> Any:
        return next((bare(row.row) for id, row in self.rows("fact", [request.namespace]) if id == request.id), None)

    def FactsOf(self, request: asked.FactsOf) -> Any:
        def moved(fact: Any) -> Any:
            ends = [end for end in ("subject", "object") if getattr(fact, end) == request.entity]
            return fact._replace(id=0, **dict.fromkeys(ends, request.into))

        rows = [row.row for _, row in self.rows("fact") if row.until is None]
        facts = [asked.BelievedFact(*(getattr(row, name) for name in asked.BelievedFact._fields)) for row in rows]
        moving = [fact for fact in facts if request.entity in (fact.subject, fact.object)]
        return moving, [fact for fact in facts if fact._replace(id=0) in set(map(moved, moving))]

    def Versions(self, request: asked.Versions) -> list[int]:
        rows = self.rows("episode", [request.namespace])
        keys = {row.key for id, row in rows if id == request.episode}
        return [id for id, row in rows if id == request.episode or (row.key in keys and row.key is not None)]

    def FactsOnlyBy(self, request: asked.FactsOnlyBy) -> list[int]:
        others = {fact for fact, text, _ in self.t["evidence"] if text not in request.episodes}
        return sorted({fact for fact, _, _ in self.t["evidence"]} - others)

    def EntitiesOf(self, request: asked.EntitiesOf) -> Any:
        ids = {self.root(id) for id in request.ids}
        return [row.value() for id, row in self.rows("entity", request.namespaces) if id in ids]

    def FactsWhere(self, request: asked.FactsWhere) -> Any:
        query = request.query
        known = None if query.known_at is None else self.upto(query.known_at)
        wanted: list[Any] = [query.ids, query.predicates, query.around]
        wanted += [some and [self.root(id) for id in some] for some in (query.subjects, query.objects)]
        found = []
        for id, row in self.rows("fact", request.namespaces):
            parts = {id}, {row.predicate}, {row.subject, row.object}, {row.subject}, {row.object}
            fits = all(some is None or part & {*some} for some, part in zip(wanted, parts, strict=True))
            counts = row.counts(request.namespaces, known, None if query.any_time else query.as_of)
            counts |= query.any_knowledge and (query.any_time or within(row.valid_at, query.as_of, row.invalid_at))
            if fits and counts and id > query.after and query.value in (None, row.row.value):
                found.append(row.value())
        return found if query.limit < 0 else found[: query.limit]

    def LinksOf(self, request: asked.LinksOf) -> Any:
        counted = {fact.id for fact in self.FactsWhere(request)}  # type: ignore[arg-type]
        rows = [(id, row.subject, row.object) for id, row in self.rows("fact")]
        ends = [(id, *ends) for id, one, other in rows for ends in ((one, other), (other, one))]
        return [(id, other, id in counted) for id, end, other in ends if end == request.entity][: request.most]

    # -- what is written

    def Hide(self, request: asked.Hide) -> tuple[Forgotten, None]:
        for fact in request.facts:
            request.moment.note("forget", "fact", fact)
        of_entity = request.ids if request.kind == "entity" else ()
        ids = {id for id, row in self.rows("entity") if row.merged_into in of_entity}.union(request.ids)
        return self.delete_rows({request.kind: ids, "fact": {*request.facts}}), None

    def HideNamespace(self, request: asked.HideNamespace) -> Any:
        space = self.t["space"].pop(request.namespace)
        here = {kind: {id for id, _ in self.rows(kind, [request.namespace])} for kind in KINDS}
        self.t["hidden"][space] = self.delete_rows(here)
        return space

    def delete_rows(self, gone: dict[str, set[int]]) -> Forgotten:
        t, (entities, texts, facts) = self.t, [gone.get(kind, set()) for kind in KINDS]
        t.drop("vector", lambda key: key[2] in gone.get(key[1], ()))
        t.drop("similar", lambda pair: bool(entities & {*pair}))
        for lines in (t["event"], t["past"]):
            for id, line in lines.items():
                lines[id] = (*line[:-1], None) if line[5] in gone.get(line[4], ()) else line
        return Forgotten(
            aliases=t.drop("alias", lambda key: t["alias"][key] in entities),
            evidence=t.drop("evidence", lambda key: key[0] in facts or key[1] in texts),
            mentions=t.drop("mention", lambda pair: pair[0] in entities or pair[1] in texts),
            entities=t.drop("entity", entities.__contains__),
            episodes=t.drop("episode", texts.__contains__),
            facts=t.drop("fact", facts.__contains__),
        )

    def Changes(self, changes: asked.Changes) -> None:
        t, base, meta = self.t, len(self.t["event"]), self.t["meta"]

        def row(one: Any, namespace: str) -> Row:
            since, until = (line_of(at, base) for at in (one.made, getattr(one, "ended", None)))
            stored, line = copy(one), getattr(one, "line", None)
            if line is not None:
                stored.established = line_of(line.moment, base) + line.place
            return Row(namespace, stored, since or one.since, until)

        for moment in changes.moments:
            t["space"][moment.namespace] = t["space"].get(moment.namespace) or t.next("space")
        t["entity"].update({one.id: row(one, one.namespace) for one in (*changes.entities, *changes.changed)})
        t.drop("alias", {*changes.aliases_gone}.__contains__)
        t["alias"].update({alias[:3]: alias[3] for alias in changes.aliases})
        for text in changes.outdated:
            t["episode"][text.id] = replace(t["episode"][text.id], row=copy(text), until=line_of(text.ended, base))
        t["episode"].update({text.id: row(text, text.namespace) for text in changes.episodes})
        for id, moment, successor in changes.expired:
            fact = replace(t["fact"][id].row, expired_at=moment.at, superseded_by=successor)
            t["fact"][id] = replace(t["fact"][id], row=fact, until=line_of(moment, base))
        for new in changes.facts:
            t["fact"][new.id] = replace(row(new, new.made.namespace), row=bare(new))  # type: ignore[union-attr]
            heirs = {key[:2]: data for key, data in t["vector"].items() if key[1:] == ("fact", new.heir_of)}
            t["vector"].update({(*key, new.id): data for key, data in heirs.items()})
        for heir, to in [*((fact.heir_of, fact.id) for fact in changes.facts), *changes.united]:
            self.support(to, {key[1:]: said for key, (_, said) in t["evidence"].items() if key[0] == heir})
        for supported in changes.supported:
            self.support(supported.id, supported.support)
        for other, into in changes.merged:
            self.relink(other, into)
        t["mention"].update(dict.fromkeys(changes.mentions))
        after, upto = changes.similar_gone or (0, 0)
        t.drop("similar", lambda pair: after < pair[1] <= upto)
        t["similar"] = {one[:2]: one[2] for one in changes.similar} | t["similar"]
        t.drop("vector", lambda key: key[1:] in {gone[1:] for gone in changes.vectors_gone})
        t["vector"].update({(changes.model, *ref): data for _, *ref, data in changes.vectors})
        if changes.switch or (changes.adopt and changes.model is not None and "model" not in meta):
            meta["model"] = changes.model
        if changes.near_left is not None:
            meta["near"] = changes.near_left if changes.near_left[0] < changes.near_left[1] else None
        t["past"].update(enumerate(changes.past, start=PAST + len(t["past"])))
        for id, successor in changes.successors:
            t["fact"][id] = replace(t["fact"][id], row=replace(t["fact"][id].row, superseded_by=successor))
        lines = [(at.namespace, at.at, at.agent, *event) for at in changes.moments for event in at.events]
        t["event"].update(enumerate(lines, start=base + 1))
        for kind, made in zip(KINDS, (changes.entities, changes.episodes, changes.facts), strict=True):
            t["last"][kind] = t["last"].get(kind, 0) + len(made)

    def support(self, fact: int, supports: Any) -> None:
        for by, support in supports.items():
            id, before = self.t["evidence"].get((fact, *by)) or (self.t.next("evidence"), support)
            self.t["evidence"][fact, *by] = id, before.united(support)

    def relink(self, other: int, into: int) -> None:
        t, moved = self.t, {other: into}
        for id, row in self.rows("fact"):
            ends = {"subject": moved.get(row.subject, row.subject), "object": moved.get(row.object, row.object)}
            t["fact"][id] = replace(row, row=replace(row.row, **ends))
        t["mention"] = {(moved.get(entity, entity), text): None for entity, text in t["mention"]}
        near, t["similar"] = t["similar"], {}
        for pair, cosine in near.items():
            one, two = sorted(moved.get(id, id) for id in pair)
            if one != two:
                t["similar"][one, two] = max(cosine, t["similar"].get((one, two), cosine))
        for id, row in self.rows("entity"):
            t["entity"][id] = replace(row, merged_into=into) if other in (id, row.merged_into) else row

    # -- Reads

    async def resolve(self, namespace, names):
        aliases = [self.aliases({(namespace, wanted.key)}).get((namespace, wanted.key), ()) for wanted in names]
        found = [meant(those, wanted) for those, wanted in zip(aliases, names, strict=True)]
        return [self.t["entity"][one].value() if isinstance(one, int) else one for one in found]

    async def entities(self, namespaces, *, ids, type_key, after, limit):
        roots = None if ids is None else {self.root(id) for id in ids}
        rows = [row for id, row in self.rows("entity", namespaces) if id > after and not row.merged_into]
        found = [row for row in rows if type_key in (None, row.type_key) and (roots is None or row.id in roots)]
        return [row.value() for row in (found if limit < 0 else found[:limit])]

    def upto(self, known_at: int) -> State:
        return State(max((id for id, line in self.t["event"].items() if line[1] <= known_at), default=0), past=known_at)

    async def known_upto(self, known_at):
        return self.upto(known_at)

    async def facts(self, namespaces, query):
        return self.FactsWhere(asked.FactsWhere(namespaces, query))

    def why(self, fact: int) -> Any:
        said = sorted((id, by, support) for (of, *by), (id, support) in self.t["evidence"].items() if of == fact)
        return [evidence_of(id, fact, by[0], s.quote, s.confidence, by[1], s.at) for id, by, s in said]

    async def evidence(self, namespaces, fact, *, after=0, limit=-1):
        here = any(id == fact for id, _ in self.rows("fact", namespaces))
        found = [each for each in self.why(fact) if here and each.id > after]
        return found if limit < 0 else found[:limit]

    async def episodes(self, namespaces, *, ref=None, key=None, session=None, after=None, limit=-1):
        rows = [row for id, row in self.rows("episode", namespaces) if (id == ref if ref else row.until is None)]
        rows = [row for row in rows if key in (None, row.key) and session in (None, row.session)]
        placed = sorted(((row.id,) if session is None else (row.seq, row.id), row.id) for row in rows)
        found = [self.t["episode"][id].value() for place, id in placed if after is None or place > after]
        return found if limit < 0 else found[:limit]

    def lines(self) -> list[tuple[int, Any]]:
        return [*self.t["past"].items(), *self.t["event"].items()]

    async def history(self, namespaces, kind, ref, *, after=-math.inf, limit=-1):
        lines = [(id, *line) for id, line in self.lines() if line[0] in namespaces and id > after]
        lines = [line for line in lines if line[5:7] == (kind, ref)]
        found = [event_of(id, at, *what, agent, why) for id, _, at, agent, *what, why in lines]
        return found if limit < 0 else found[:limit]

    async def counts(self, namespace):
        t, here = self.t, {kind: {id for id, _ in self.rows(kind, [namespace])} for kind in KINDS}
        return Counts(
            entities=sum(not t["entity"][id].merged_into for id in here["entity"]),
            aliases=sum(of == namespace for of, _, _ in t["alias"]),
            facts=sum(t["fact"][id].until is None for id in here["fact"]),
            expired_facts=sum(t["fact"][id].until is not None for id in here["fact"]),
            evidence=sum(fact in here["fact"] for fact, _, _ in t["evidence"]),
            episodes=len(here["episode"]),
            mentions=sum(text in here["episode"] for _, text in t["mention"]),
            similar=sum(one in here["entity"] for one, _ in t["similar"]),
            vectors=sum(ref in here[kind] for _, kind, ref in t["vector"]),
        )

    async def graph(self, namespaces, query):
        found, of = await Store.graph(self, namespaces, query), self.t["entity"]
        created = sorted(
            found.entities, key=lambda one: (of[one.id].row.established is None, of[one.id].row.established)
        )
        return replace(found, entities=tuple(created))

    # -- Writes

    @asynccontextmanager
    async def snapshot(self):
        yield self.copy()

    async def open(self, normalisers, *, given=None):
        recorded = self.t["meta"].setdefault("normalisers", {**normalisers})
        if any(recorded[use] != normalisers[use] for use in (normalisers if given is None else given)):
            raise NormaliserChanged(f"they are {recorded}")
        return recorded

    def within(self, tx):
        if (store := getattr(tx, "store_of", {}).get(self)) is None:
            raise TypeError(f"{tx!r} is no transaction of this store")
        return store

    async def job(self, title, rule, *args):
        async with self.turn:  # a transaction has it until it ends
            return self.run(rule, *args)

    async def delete(self, hidden):
        return self.t["hidden"].pop(hidden)

    async def sweep(self):
        pass

    async def erase(self):
        return True

    async def drop_vectors(self):
        self.t.drop("vector", lambda key: key[0] != self.t["meta"]["model"])
