"""What moves between a memory and the JSON Lines of server-memory: an observation is a fact with a value, a relation is
a fact with an object.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from ..formats.server_memory import OBSERVATION, Node, Relation
from .drafter import Drafter
from .drafts import Draft
from .questions import FactQuery
from .reads import Reads
from .times import now_micros
from .values import Entity, Fact, Name, Statement

__all__ = ["drafted", "nodes_of", "relations_of"]

# Entities, and facts, that are read at once.
_SLICE = 500


def drafted(drafter: Drafter, item: Node | Relation) -> Draft:
    """Raises: ValueError: a name or a text that can't be."""
    if isinstance(item, Relation):
        # A name that relations alone have is no entity of theirs.
        drafter.draft.missing = "imply"
        drafter.facts([(item.source, item.type, item.target)])
        return drafter.draft
    name = Name(item.name, item.type or None)
    drafter.who("name", name)
    drafter.facts([Statement(subject=name, predicate=OBSERVATION, value=text) for text in item.observations])
    return drafter.draft


async def nodes_of(reads: Reads, namespaces: Sequence[str]) -> AsyncGenerator[list[Node], None]:
    """Entities with what is believed of them now: of values that are no observations, the sentence."""
    async for entities in _entities(reads, namespaces):
        said: dict[int, list[str]] = {entity.id: [] for entity in entities}
        query = FactQuery(now_micros(), subjects=list(said))
        for fact in await reads.facts(namespaces, query):
            if fact.value is not None:
                said[fact.subject].append(_observation(fact))
        yield [
            Node(entity.name, entity.type or "", tuple(said[entity.id])) for entity in entities if not entity.implied
        ]


def _observation(fact: Fact) -> str:
    return fact.value if fact.predicate == OBSERVATION and isinstance(fact.value, str) else fact.text


async def relations_of(reads: Reads, namespaces: Sequence[str]) -> AsyncGenerator[list[Relation], None]:
    """Facts with an object that are believed now."""
    after, now = 0, now_micros()
    while facts := await reads.facts(namespaces, FactQuery(now, after=after, limit=_SLICE)):
        after = facts[-1].id
        ends = {end for fact in facts for end in (fact.subject, fact.object) if end is not None}
        found = await reads.entities(namespaces, ids=ends, type_key=None, after=0, limit=-1)
        names = {entity.id: entity.name for entity in found}
        yield [
            Relation(names[fact.subject], names[fact.object], fact.predicate)
            for fact in facts
            if fact.object is not None and fact.subject in names and fact.object in names
        ]


async def _entities(reads: Reads, namespaces: Sequence[str]) -> AsyncGenerator[list[Entity], None]:
    after = 0
    while entities := await reads.entities(namespaces, ids=None, type_key=None, after=after, limit=_SLICE):
        after = entities[-1].id
        yield entities
