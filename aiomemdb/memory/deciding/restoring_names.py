"""What all rows have in common that are brought back, and entities among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from ...formats.rows import EntityRow, EpisodeRow, FactRow
from ..drafts import NameRequest
from ..questions import Kind
from .documents import KnownEpisode
from .facts import KnownFact
from .identity import Identities
from .known import KnownEntity
from .moment import Line, Moment
from .parcels import MergedLike, Parcel
from .picking import pick
from .requests import Changes, Names, NamesOf, State
from .steps import Steps

__all__ = ["Entities", "Rows"]


class Rows:
    """One parcel in its job: what its rows become, and what is written of that."""

    def __init__(self, parcel: Parcel, state: State, moments: dict[str, Moment]) -> None:
        self.parcel: Parcel = parcel
        self.state: State = state
        self.moments: dict[str, Moment] = moments
        self.ids: dict[tuple[Kind, int], int] = {}
        self.made: int = 0
        self._taken: dict[tuple[Kind, str], set[int]] = defaultdict(set)
        self._identities: Identities | None = None
        self._merged: list[tuple[int, int]] = []
        self._new_entities: list[KnownEntity] = []
        self._new_texts: list[KnownEpisode] = []
        self._outdated: list[KnownEpisode] = []
        self._new_facts: list[KnownFact] = []
        self._supported: dict[int, KnownFact] = {}
        self._expired: list[tuple[int, Moment, int | None]] = []
        self._successors: list[tuple[int, int]] = []
        self._mentions: dict[tuple[int, int], None] = {}
        self._near: list[tuple[int, int, float]] = []
        self._past: list[tuple[str, int, str | None, str, str, int, int | None, str | None]] = []
        self._vectors: list[tuple[str, Kind, int, bytes]] = []

    def changes(self) -> Changes:
        identities = self._identities
        changes = Changes(
            self.state,
            list(self.moments.values()),
            entities=self._new_entities,
            merged=self._merged,
            similar=self._near,
            episodes=self._new_texts,
            outdated=self._outdated,
            mentions=self._mentions,
            expired=self._expired,
            facts=self._new_facts,
            supported=self._supported.values(),
            model=self.parcel.model if self._vectors else None,
            vectors=self._vectors,
            past=self._past,
            successors=self._successors,
        )
        if identities is not None:
            changes.changed = identities.changed.values()
            changes.renamed, changes.aliases_gone = identities.renamed, identities.aliases_gone()
            changes.aliases = identities.aliases()
        return changes

    # -- what all kinds share

    def _space(self, namespace: str) -> str:
        return self.parcel.here[namespace]

    def _here(self, kind: Kind, number: int) -> int | None:
        """What a row of the file is here; None: it is gone by now."""
        id = self.ids.get((kind, number))
        return self.parcel.found.get((kind, number)) if id is None else id

    def _is_taken(self, kind: Kind, namespace: str, id: int) -> bool:
        """Whether an earlier row of the same namespace of the file has become it."""
        return id in self._taken[kind, namespace] or self.parcel.taken(kind, namespace, id)

    def _became(self, kind: Kind, row: EntityRow | EpisodeRow | FactRow, id: int) -> None:
        self.ids[kind, row.number] = id
        self._taken[kind, row.namespace].add(id)

    def _make(self, kind: Kind, id: int, row: EntityRow | EpisodeRow | FactRow) -> Moment:
        """Note that a row is made, now and then; the moment at which it was made."""
        space = self._space(row.namespace)
        self._became(kind, row, id)
        self.made += 1
        self.moments[space].note("import", kind, id)
        if row.created:
            self._past.append((space, row.created_at, row.agent, "create", kind, id, None, None))
        if row.vector is not None:
            self._vectors.append((space, kind, id, row.vector))
        return Moment(space, row.agent, row.created_at, past=row.known_from)

    def _ended(self, row: EpisodeRow | FactRow) -> Moment | None:
        if row.expired_at is None:
            return None
        until = row.expired_at if row.known_until is None else row.known_until
        return Moment(self._space(row.namespace), row.agent, row.expired_at, past=until)


class Entities(Rows):
    """Who is who."""

    def entities(self) -> Steps[None]:
        rows = self.parcel.entities
        keys = {(self._space(row.namespace), key): None for row in rows for key, _ in [*row.aliases, (row.key, "")]}
        roots = {row.number: self._here("entity", row.merged_into) for row in rows if row.merged_into is not None}
        near = [id for row in rows for number, _ in row.near if (id := self._here("entity", number)) is not None]
        ids = {
            (self._space(row.namespace), id): None
            for row in rows
            for id in [roots.get(row.number), *near]
            if id is not None
        }
        names = yield from Names(list(keys), list(ids))
        identities = self._identities = Identities(names.aliases, names.roots, {}, self.state.entity)
        untyped = [one.id for ones in names.aliases.values() for one in ones if not one.type_key]
        if untyped:
            identities.learn((yield from NamesOf(list(dict.fromkeys(untyped)))))
        merged = [(root, row.name, row.created_at) for row in rows if (root := roots.get(row.number)) is not None]
        there: dict[int, list[int]] = defaultdict(list)
        if merged:
            for place, id in (yield from MergedLike(merged)):
                there[place].append(id)
        place, next_id = 0, self.state.entity
        for row in rows:
            candidates: list[int] = []
            if roots.get(row.number) is not None:
                candidates = there.get(place, [])
                place += 1
            found = self._found_entity(identities, row, candidates)
            if found is None:
                self._make_entity(identities, row, next_id, roots.get(row.number))
                next_id += 1
            else:
                self._became("entity", row, found)

    def _found_entity(self, identities: Identities, row: EntityRow, merged: Iterable[int]) -> int | None:
        if row.merged_into is not None:
            return next((id for id in merged if not self._is_taken("entity", row.namespace, id)), None)
        space = self._space(row.namespace)
        own = (row.key, row.type_key)
        for key, type in sorted(row.aliases, key=lambda alias: alias != own):
            alias = next((one for one in identities.of_key(space, key) if one.type == type), None)
            if alias is not None:
                self._know(identities, alias.entity, row)
                identities.roots[space, alias.entity.id] = alias.entity
                return alias.entity.id
            if (key, type) == own:
                break  # by its other names it is found where its own is another's
        others = [
            one
            for one in identities.of_key(space, row.key)
            if not self._is_taken("entity", row.namespace, one.entity.id)
        ]
        picked = pick(others, NameRequest(row.name, row.key, row.type, row.type_key))
        if not isinstance(picked, tuple):
            return None
        entity = next(one.entity for one in others if one.id == picked[0].id)
        if picked[1]:
            identities.adopt(self.moments[space], entity, row.type, row.type_key)
        self._know(identities, entity, row)
        identities.roots[space, entity.id] = entity
        return entity.id

    def _know(self, identities: Identities, entity: KnownEntity, row: EntityRow) -> None:
        """It gets the names and the description that it lacks, unless it is the row itself that was brought before."""
        space = self._space(row.namespace)
        if entity.made is not None or (entity.created_at, entity.agent) == (row.created_at, row.agent):
            return
        self._name(identities, entity, row)
        if row.established is not None:
            identities.establish(self.moments[space], entity)
        if row.description and not entity.description:
            entity.description = row.description
            identities.change(entity)
            self.moments[space].note("update", "entity", entity.id)

    def _name(self, identities: Identities, entity: KnownEntity, row: EntityRow) -> None:
        """Give it the names of the row that mean no other one."""
        space = self._space(row.namespace)
        for key, type in row.aliases:
            if not any(one.type == type for one in identities.of_key(space, key)):
                identities.bring_name(entity, key, type)
                if entity.made is None:
                    self.moments[space].note("alias", "entity", entity.id)

    def _make_entity(self, identities: Identities, row: EntityRow, id: int, root: int | None) -> None:
        moment = self._make("entity", id, row)
        entity = KnownEntity(
            id,
            moment.namespace,
            row.key,
            row.name,
            row.type,
            row.type_key,
            row.description,
            row.attributes,
            row.agent,
            row.created_at,
            made=moment,
            line=None if row.established is None else Line(replace(moment, past=row.established), 0),
        )
        self._new_entities.append(entity)
        identities.roots[moment.namespace, id] = entity
        if row.merged_into is not None:
            if root is not None and (moment.namespace, root) in identities.roots:
                self._merged.append((id, identities.roots[moment.namespace, root].id))
            return
        self._name(identities, entity, row)
        for number, cosine in row.near:
            other = self._here("entity", number)
            known = None if other is None else identities.roots.get((moment.namespace, other))
            if known is not None and known.id != id:
                self._near.append((min(known.id, id), max(known.id, id), cosine))
