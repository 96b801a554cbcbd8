"""What is around an entity, and the chain of facts from one to another. Rules that only read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from ...errors import NotFound
from ..questions import FactQuery
from ..values import Fact, Subgraph
from .requests import EntitiesOf, FactsWhere, LinksOf
from .steps import Steps

__all__ = ["path", "surroundings"]

# path: an entity with more facts is about everything, and that two are linked to it says nothing.
_GONE_THROUGH = 1_000
# path: facts that are looked at in all, those that don't count included, and at most half of them from one end.
_LOOKED_AT = 20_000


def surroundings(namespaces: Sequence[str], start: Sequence[int], query: FactQuery, hops: int) -> Steps[Subgraph]:
    """All within ``hops`` facts of where it starts, nearest first; at most ``query.limit`` facts."""
    limit = query.limit
    query = replace(query, limit=limit + 1)
    frontier = [entity.id for entity in (yield from EntitiesOf(namespaces, start))]
    reached, facts = dict.fromkeys(frontier), dict[int, Fact]()
    for _ in range(hops):
        if not frontier or len(facts) > limit:
            break
        next_frontier: dict[int, None] = {}
        for fact in (yield from FactsWhere(namespaces, replace(query, around=frontier))):
            facts.setdefault(fact.id, fact)
            if len(facts) > limit:
                break
            for end in (fact.subject, fact.object):
                if end is not None and end not in reached:
                    reached[end] = next_frontier[end] = None
        frontier = list(next_frontier)
    found = {entity.id: entity for entity in (yield from EntitiesOf(namespaces, list(reached)))}
    return Subgraph(
        tuple(found[id] for id in reached if id in found), tuple(facts.values())[:limit], len(facts) > limit
    )


def path(
    namespaces: Sequence[str], source: Sequence[int], target: Sequence[int], query: FactQuery, max_hops: int
) -> Steps[list[Fact] | None]:
    """The shortest chain of facts between entities, of at most ``max_hops``; None: there is none.

    Breadth first from both ends, the side with fewer entities first: two half circles are smaller than a whole one.
    Of several chains, the one that is found first from lower ids.

    Raises: NotFound.
    """
    edges = []
    for ids in (source, target):
        edges.append([entity.id for entity in (yield from EntitiesOf(namespaces, ids))])
        if not edges[-1]:  # forgotten just now, or of another namespace
            raise NotFound(f"no entity {', '.join(map(str, ids))} in {', '.join(map(repr, namespaces))}")
    if set(edges[0]) & set(edges[1]):
        return []
    links = _Links(namespaces, query)
    ends = {*edges[0], *edges[1]}
    ways: list[_Ways] = [dict.fromkeys(edge) for edge in edges]
    hops = 0
    while hops < max_hops and any(edges):
        side = 0 if edges[0] and (len(edges[0]) <= len(edges[1]) or not edges[1]) else 1
        reached = []
        for entity in edges[side]:
            # From an end even many are followed: it is what was asked for.
            reached += [(fact, entity, other) for fact, other in (yield from links.of(entity, entity in ends)) or ()]
        grown: _Ways = {}
        for fact, entity, other in sorted(reached):
            if other not in ways[side] and other not in grown:
                grown[other] = (entity, fact)
        ways[side].update(grown)
        for entity in grown:
            if entity in ways[1 - side] and (entity in ends or (yield from links.of(entity)) is not None):
                chain = [*reversed(_back(ways[0], entity)), *_back(ways[1], entity)]
                query = FactQuery(0, ids=chain, any_time=True, any_knowledge=True)
                facts = {fact.id: fact for fact in (yield from FactsWhere(namespaces, query))}
                return [facts[id] for id in chain]
        edges[side] = list(grown)
        hops += bool(grown)
    return None


# How each entity was reached: from which, by which fact; None: it is where the search began.
_Ways: TypeAlias = dict[int, tuple[int, int] | None]


def _back(ways: _Ways, entity: int) -> list[int]:
    """The facts from an entity back to where the search began."""
    facts = []
    while (way := ways[entity]) is not None:
        entity, fact = way
        facts.append(fact)
    return facts


class _Links:
    """What entities are linked to, looked up one by one: so it can stop before it has read too much."""

    def __init__(self, namespaces: Sequence[str], query: FactQuery) -> None:
        self._namespaces = namespaces
        self._query = query
        self._left = _LOOKED_AT
        self._known: dict[int, list[tuple[int, int]] | None] = {}

    def of(self, entity: int, end: bool = False) -> Steps[list[tuple[int, int]] | None]:
        """(fact, the other entity); None: it has too many, or too many were looked at before."""
        if entity not in self._known:
            most = min(self._left, _LOOKED_AT // 2 if end else _GONE_THROUGH)
            self._known[entity] = (yield from self._look(entity, most)) if most else None
        return self._known[entity]

    def _look(self, entity: int, most: int) -> Steps[list[tuple[int, int]] | None]:
        links = yield from LinksOf(self._namespaces, entity, self._query, most + 1)
        self._left -= min(most, len(links))
        if len(links) > most:
            return None
        return [(fact, other) for fact, other, counts in links if counts and other is not None]
