"""What rules are told of a store's rows, whichever engine has read them: one object a row, in the rules' order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ...values import Row
from ..deciding.documents import KnownEpisode
from ..deciding.facts import KnownFact
from ..deciding.known import Alias, KnownEntity
from ..deciding.picking import Candidate, meant
from ..deciding.requests import KnownFacts, KnownNames, Names
from ..drafts import NameRequest
from ..records import entity_of
from ..values import Entity

__all__ = ["Entities", "known_facts", "known_names", "known_names_of", "known_texts", "resolved", "wanted_names"]

_Row: TypeAlias = Sequence[Any] | Row
# Namespace, then one of: a key, an id, a text.
_Wanted: TypeAlias = tuple[str, str | None, int | None, int | None]


class Entities:
    """By id, one object each, however often it is found."""

    def __init__(self) -> None:
        self._by_id: dict[int, KnownEntity] = {}

    def known(self, namespace: str, columns: Sequence[Any]) -> KnownEntity:
        """An entity that was read, by its columns (``columns.KNOWN_ENTITY``)."""
        id, *others = columns
        entity = self._by_id.get(id)
        if entity is None:
            key, *rest = others
            entity = self._by_id[id] = KnownEntity(id, namespace, key, *rest)
        return entity


def wanted_names(request: Names) -> list[_Wanted]:
    return [
        *((namespace, key, None, None) for namespace, key in request.keys),
        *((namespace, None, id, None) for namespace, id in request.ids),
        *((namespace, None, None, text) for namespace, text in request.texts),
    ]


def known_names(request: Names, wanted: Sequence[_Wanted], rows: Iterable[_Row], entities: Entities) -> KnownNames:
    """Of rows of a place in ``wanted``, an alias' type and the entity."""
    known = KnownNames()
    # By type, as the index of aliases is.
    for place, alias, *columns in sorted(rows, key=lambda row: (row[0], row[1] or "", row[2])):
        namespace, key, id, text = wanted[place]
        entity = entities.known(namespace, columns)
        if key is not None:
            known.aliases.setdefault((namespace, key), []).append(Alias(key, alias, entity, alias))
        elif id is not None:
            known.roots[namespace, id] = entity
        elif text is not None:
            known.mentions.setdefault(text, {})[entity.id] = entity
    for _, text in request.texts:
        known.mentions.setdefault(text, {})
    return known


def known_names_of(rows: Iterable[_Row], entities: Entities) -> dict[tuple[str, str], list[Alias]]:
    """Of rows of a namespace, an alias' key and type, and the entity."""
    aliases: dict[tuple[str, str], dict[str, Alias]] = {}
    for namespace, key, type, *columns in sorted(rows, key=lambda row: row[2]):
        of_key = aliases.setdefault((namespace, key), {})
        if type not in of_key:  # two of the entities may have the key
            of_key[type] = Alias(key, type, entities.known(namespace, columns), type)
    return {key: list(found.values()) for key, found in aliases.items()}


def known_texts(keys: Sequence[tuple[str, str]], rows: Iterable[_Row]) -> dict[tuple[str, str], KnownEpisode]:
    """Of rows of a place in ``keys`` and the text."""
    found: dict[tuple[str, str], KnownEpisode] = {}
    for place, id, version, *others in rows:
        namespace, key = keys[place]
        found[namespace, key] = KnownEpisode(id, namespace, key, version, *others)
    return found


def known_facts(rows: Iterable[_Row]) -> KnownFacts:
    """Of rows of a text or None, whether more evidences the fact, and the fact."""
    found: dict[int, KnownFact] = {}
    evidence: list[tuple[KnownFact, int]] = []
    for text, founded, id, *columns in rows:
        fact = found.get(id)
        if fact is None:
            fact = found[id] = KnownFact(id, *columns)
            fact.founded = bool(founded)
        if text is not None:
            evidence.append((fact, text))
    return KnownFacts([found[id] for id in sorted(found)], evidence)


def resolved(rows: Iterable[_Row], names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
    """The entities that are there; None where one is to be made or to adopt a type.

    Args:
        rows: of a place in ``names``, an alias' type, its entity's ``type_key``, and the entity.
    """
    found: dict[int, list[Candidate]] = {}
    # Most names have one row, with the entity that is meant.
    entities: dict[int, Entity | _Row] = {}
    for row in rows:
        place, alias_type, type_key, entity = row[0], row[1], row[2], row[3]
        found.setdefault(place, []).append(Candidate(alias_type, entity, type_key, bool(row[-1])))
        entities[entity] = row
    results: list[Entity | Exception | None] = []
    for place, wanted in enumerate(names):
        id = meant(found.get(place, ()), wanted)
        if not isinstance(id, int):
            results.append(id)
            continue
        known = entities[id]
        if not isinstance(known, Entity):
            known = entities[id] = entity_of(*tuple(known)[3:])
        results.append(known)
    return results
