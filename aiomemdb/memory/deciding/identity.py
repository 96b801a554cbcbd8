"""Who is who: (namespace, key, type) names one entity, and the aliases are the one arbiter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ...errors import AmbiguousEntity, NotFound
from ..drafts import NEAR_KEPT, NameRequest
from ..names import may_be_one
from ..vectors import nearest, unpack_all
from .known import Alias, KnownEntity
from .moment import Moment
from .picking import pick

__all__ = ["Alias", "Identities", "KnownEntity", "NewerEntities", "root_of"]


class NewerEntities:
    """Entities newer than the snapshots in which near names were looked for: a few, compared here and now. That
    closes the race in which two near names each find the other missing.

    Args:
        found: with their vectors, by id.
    """

    def __init__(self, dim: int, found: Iterable[tuple[KnownEntity, bytes]]) -> None:
        self._dim = dim
        self._entities: dict[int, KnownEntity] = {}
        self._data = bytearray()
        for entity, vector in found:
            self.append(entity, vector)

    def append(self, entity: KnownEntity, vector: bytes) -> None:
        self._entities[entity.id] = entity
        self._data += vector

    def nearest(self, vector: bytes, at_least: float) -> Iterable[tuple[KnownEntity, float]]:
        """The nearest, best first."""
        matrix, query = unpack_all(self._data, self._dim), unpack_all(vector, self._dim)
        [found] = nearest(matrix, list(self._entities), query, top=NEAR_KEPT, at_least=at_least)
        return [(self._entities[id], cosine) for id, cosine in found]

    def __iter__(self) -> Iterator[KnownEntity]:
        return iter(self._entities.values())


def root_of(roots: Mapping[tuple[str, int], KnownEntity], namespace: str, id: int) -> KnownEntity:
    """The entity that an id stands for. Raises: NotFound: none of this namespace."""
    found = roots.get((namespace, id))
    if found is None:
        raise NotFound(f"no entity {id} in namespace {namespace!r}")
    return found


class Identities:
    """Names are taken in order; one may mean what an earlier one is about to create.

    Args:
        aliases: by (namespace, key), all that there are of the keys that will be asked for, by type.
        roots: by (namespace, id), the entities that ids stand for, those of near names among them.
        newer: by namespace; one without has no vectors.
        next_id: the first id of an entity that was never used.

    Attributes:
        made: the new entities, by id.
        changed: by id, those that were there before and are other now.
        renamed: those that have other keys now, except new ones that have their own alone.
        similar: (older, newer, cosine).
        vectors: (entity, vector) of new ones.
    """

    def __init__(
        self,
        aliases: dict[tuple[str, str], list[Alias]],
        roots: dict[tuple[str, int], KnownEntity],
        newer: Mapping[str, NewerEntities],
        next_id: int,
    ) -> None:
        self._aliases = aliases
        self._newer = newer
        self._next_id = next_id
        self._names: dict[int, list[tuple[Alias, list[Alias]]]] | None = None
        self._touched: dict[Alias, None] = {}
        self.roots = roots
        self.made: list[KnownEntity] = []
        self.changed: dict[int, KnownEntity] = {}
        self.renamed: set[int] = set()
        self.similar: list[tuple[int, int, float]] = []
        self.vectors: list[tuple[KnownEntity, bytes]] = []

    def may_adopt(self, names: Iterable[tuple[str, NameRequest]]) -> list[int]:
        """The entities that may get a type by these names: all their names must be known then, see ``learn``."""
        ids: dict[int, None] = {}
        for namespace, wanted in names:
            if not wanted.type_key:
                continue
            ones = [alias.entity for alias in self._aliases.get((namespace, wanted.key), ())]
            if wanted.similarity is not None:
                ones += [one for id, _ in wanted.near if (one := self.roots.get((namespace, id))) is not None]
                ones += self._newer.get(namespace, ())
            ids.update((one.id, None) for one in ones if not one.type_key)
        return list(ids)

    def learn(self, aliases: Mapping[tuple[str, str], list[Alias]]) -> None:
        """Know further keys; of those that are known already it is known what became of them."""
        for key, found in aliases.items():
            self._aliases.setdefault(key, found)

    def lacks(self, namespace: str, wanted: NameRequest) -> bool:
        """Whether no entity has a name, or an implied one alone."""
        picked = pick(self._aliases.get((namespace, wanted.key), ()), wanted)
        return picked is None or (isinstance(picked, tuple) and picked[0].implied)

    def resolve(
        self, moment: Moment, names: Sequence[NameRequest], near: float, *, imply: bool = False
    ) -> list[KnownEntity | AmbiguousEntity]:
        """The entity of each name, made where there is none.

        Args:
            near: from which cosine on names are noted as near.
            imply: what is made is implied, and what is implied stays so.
        """
        return [self._resolve(moment, wanted, near, imply) for wanted in names]

    def _resolve(self, moment: Moment, wanted: NameRequest, near: float, imply: bool) -> KnownEntity | AmbiguousEntity:
        candidates = self._aliases.get((moment.namespace, wanted.key))
        picked = None if candidates is None else pick(candidates, wanted)
        if picked is None:
            near_ones = () if wanted.vector is None else self._near_ones(moment, wanted, wanted.vector, near)
            merged = self._merged_into_near(moment, wanted, near_ones)
            if merged is None:
                return self._make(moment, wanted, near_ones, near, imply)
            if not imply:
                self.establish(moment, merged)
            return merged
        if isinstance(picked, AmbiguousEntity):
            return picked
        alias, adopts = picked
        assert isinstance(alias, Alias)
        if adopts:
            self._adopt(moment, alias.entity, wanted)
        if not imply:
            self.establish(moment, alias.entity, wanted)
        return alias.entity

    def establish(self, moment: Moment, entity: KnownEntity, wanted: NameRequest | None = None) -> None:
        """An implied entity is one like any other from now on, called as it is written now."""
        if not entity.implied:
            return
        entity.line = moment.line()
        if wanted is not None:
            entity.name = wanted.name if wanted.key == entity.key else entity.name
            entity.description = entity.description or wanted.description
        self.change(entity)
        moment.note("establish", "entity", entity.id)

    def _make(
        self,
        moment: Moment,
        wanted: NameRequest,
        near_ones: Sequence[tuple[KnownEntity, float]],
        near: float,
        imply: bool,
    ) -> KnownEntity:
        entity = KnownEntity(
            self._next_id,
            moment.namespace,
            wanted.key,
            wanted.name,
            wanted.type,
            wanted.type_key,
            wanted.description,
            "{}",
            moment.agent,
            moment.at,
            made=moment,
            line=None if imply else moment.line(),
        )
        self._next_id += 1
        self.made.append(entity)
        self.roots[moment.namespace, entity.id] = entity
        self._add_alias(wanted.key, wanted.type_key, entity)
        moment.note("create", "entity", entity.id)
        self.similar += [(one.id, entity.id, cosine) for one, cosine in near_ones[:NEAR_KEPT] if cosine >= near]
        if wanted.vector is not None:
            self.vectors.append((entity, wanted.vector))
            if (newer := self._newer.get(moment.namespace)) is not None:
                newer.append(entity, wanted.vector)
        return entity

    def _add_alias(self, key: str, type: str, entity: KnownEntity) -> None:
        alias = Alias(key, type, entity)
        candidates = self._aliases.setdefault((entity.namespace, key), [])
        candidates.append(alias)
        self._touched[alias] = None
        if self._names is not None:
            self._names.setdefault(entity.id, []).append((alias, candidates))

    def _names_of(self, entity: KnownEntity) -> list[tuple[Alias, list[Alias]]]:
        """Its names, each among all that its key means; of those keys that are known."""
        if self._names is None:  # few jobs need it
            self._names = {}
            for candidates in self._aliases.values():
                for alias in candidates:
                    self._names.setdefault(alias.id, []).append((alias, candidates))
        return self._names.get(entity.id, [])

    def _near_ones(
        self, moment: Moment, wanted: NameRequest, vector: bytes, near: float
    ) -> list[tuple[KnownEntity, float]]:
        """What is near now: of the snapshot's what is still there, and what came since. Best first."""
        newer = self._newer.get(moment.namespace)
        if newer is None:
            return []
        at_least = min(near, wanted.similarity if wanted.similarity is not None else near)
        ones: dict[KnownEntity, float] = {}
        for id, cosine in wanted.near:
            root = self.roots.get((moment.namespace, id))
            if root is not None and cosine >= at_least:
                ones[root] = cosine
        ones.update(newer.nearest(vector, at_least))
        return sorted(ones.items(), key=lambda one: (-one[1], one[0].id))

    def _merged_into_near(
        self, moment: Moment, wanted: NameRequest, near_ones: Sequence[tuple[KnownEntity, float]]
    ) -> KnownEntity | None:
        if wanted.similarity is None:
            return None
        for entity, cosine in near_ones:
            if cosine < wanted.similarity:
                break
            # Types apart keep two names apart, however near they are; and the guards do.
            fits = not wanted.type_key or entity.type_key in ("", wanted.type_key)
            if fits and may_be_one(wanted.key, entity.key):
                # No alias of this key has the wanted type, or it would have been found; nor any, if none was wanted.
                self._add_alias(wanted.key, wanted.type_key or entity.type_key, entity)
                self.renamed.add(entity.id)
                moment.note("alias", "entity", entity.id)
                if wanted.type_key and not entity.type_key:
                    self._adopt(moment, entity, wanted)
                return entity
        return None

    def of_key(self, namespace: str, key: str) -> Sequence[Alias]:
        """What a key means, by type."""
        return self._aliases.get((namespace, key), ())

    def bring_name(self, entity: KnownEntity, key: str, type: str) -> None:
        """Let a key of a type, which means nothing yet, mean an entity."""
        self._add_alias(key, type, entity)
        if entity.made is None or key != entity.key:
            self.renamed.add(entity.id)

    def _adopt(self, moment: Moment, entity: KnownEntity, wanted: NameRequest) -> None:
        self.adopt(moment, entity, wanted.type, wanted.type_key)

    def adopt(self, moment: Moment, entity: KnownEntity, type: str | None, type_key: str) -> None:
        """Give an entity without a type one."""
        entity.type, entity.type_key = type, type_key
        self.give_type(entity)
        self.change(entity)
        moment.note("update", "entity", entity.id)

    def change(self, entity: KnownEntity) -> None:
        """Note that it is another one now."""
        if entity.made is None:
            self.changed[entity.id] = entity

    def give_type(self, entity: KnownEntity) -> None:
        """Its names without a type get its own, except where another name of the same key has that one."""
        for alias, candidates in self._names_of(entity):
            if not alias.type and not alias.gone and not _has(candidates, entity.type_key):
                alias.type = entity.type_key
                self._touched[alias] = None

    def give_name(self, entity: KnownEntity, key: str, type: str, instead_of: Alias | None = None) -> bool:
        """Let a key of a type mean an entity; return whether it is a new name.

        Raises: ValueError: it means another one.
        """
        same = _has(self._aliases.get((entity.namespace, key), ()), type)
        if same is not None and same.entity is not entity:
            kind = f" of type {type!r}" if type else ""
            raise ValueError(f"{key!r}{kind} is the name of entity {same.id}: if they are one, use memory.merge()")
        if instead_of is not None and same is None:
            instead_of.type = type
            self._touched[instead_of] = None
            return True
        if instead_of is not None and instead_of is not same:
            self._drop(instead_of)
        if same is None:
            self._add_alias(key, type, entity)
            self.renamed.add(entity.id)
        return same is None

    def change_type(self, entity: KnownEntity, before: str) -> None:
        """Its names follow it to its new type, except those of other types: these are names of what was merged into it,
        which go on finding it. Raises: ValueError: one of them means another entity.
        """
        for alias, _ in list(self._names_of(entity)):
            if alias.type in ("", before):
                self.give_name(entity, alias.key, entity.type_key, alias)

    def take_name(self, entity: KnownEntity, key: str) -> bool:
        """Let a key mean an entity no more, in whatever type; return whether it did."""
        gone = [alias for alias, _ in self._names_of(entity) if alias.key == key]
        for alias in gone:
            self._drop(alias)
            self.renamed.add(entity.id)
        return bool(gone)

    def move_names(self, entity: KnownEntity, into: KnownEntity) -> None:
        """All names of one entity mean another. A name of another type stays one of that type: a caller that asks for
        it finds the one that stays.
        """
        for alias, _ in self._names_of(entity):
            alias.entity = into
            self._touched[alias] = None
        self._names = None
        self.renamed.add(into.id)
        self.give_type(into)

    def _drop(self, alias: Alias) -> None:
        alias.gone = True
        self._aliases[alias.entity.namespace, alias.key].remove(alias)
        self._touched[alias] = None
        self._names = None

    def aliases_gone(self) -> list[tuple[str, str, str]]:
        """(namespace, key, type) of those that are other now, or none."""
        return [(one.entity.namespace, one.key, one.stored) for one in self._touched if one.stored is not None]

    def aliases(self) -> list[tuple[str, str, str, int]]:
        """(namespace, key, type, entity) of those that are new, or other now."""
        return [(one.entity.namespace, one.key, one.type, one.entity.id) for one in self._touched if not one.gone]


def _has(candidates: Iterable[Alias], type: str) -> Alias | None:
    return next((alias for alias in candidates if alias.type == type), None)
