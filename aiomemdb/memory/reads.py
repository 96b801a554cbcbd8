"""What a store answers from one committed state. ``store.py`` has the theory of operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar, TypeVarTuple

from .answers import Graph
from .deciding import embedding, walking
from .deciding.recalling import answered
from .deciding.steps import Steps
from .drafts import NameRequest
from .exporting import Exports
from .pages import Place
from .questions import (
    BEFORE_ALL,
    ByWords,
    FactQuery,
    Found,
    GraphQuery,
    Kind,
    Links,
    Model,
    NearNamesLeft,
    Node,
    Token,
    VectorChanges,
    When,
)
from .substrings import shown, takes_in
from .values import Counts, Entity, Episode, Event, Evidence, Fact, Subgraph
from .words import Asked

__all__ = ["Reads"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Reads(Exports, Protocol):
    """Questions about what is in the namespaces named.

    Raises: what the engine's ``Database`` raises. Cancellation: nothing happens.
    """

    async def follow(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        """Run a rule that only reads, in one state. Raises: what it raises."""
        ...

    async def search(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        """Run a rule that makes each request by a ``recalling.Ask``, in one state. Raises: what it raises."""
        return await answered(self, rule, *args)

    # Who is who

    async def resolve(self, namespace: str, names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
        """The entity of each name; None where one is to be created or changed; or AmbiguousEntity."""
        ...

    async def named(self, namespaces: Sequence[str], keys: Sequence[str]) -> list[tuple[str, int]]:
        """The entities of normalised names: (key, id)."""
        ...

    async def entities(
        self, namespaces: Sequence[str], *, ids: Iterable[int] | None, type_key: str | None, after: int, limit: int
    ) -> list[Entity]:
        """By id; ``ids`` may be those of merged ones. ``limit`` -1 is all."""
        ...

    # What is known

    async def known_upto(self, known_at: int) -> Token:
        """The state that was known at a time, in microseconds."""
        ...

    async def facts(self, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
        """By id."""
        ...

    async def graph(self, namespaces: Sequence[str], query: GraphQuery) -> Graph:
        """Entities in the order of their creation, what is believed of them, and the other ends of that.

        A store that can look for a part of a text itself does so: this reads all of the namespaces.
        """
        entities = await self.entities(namespaces, ids=None, type_key=None, after=0, limit=-1)
        facts = await self.facts(namespaces, FactQuery(query.as_of))
        if query.predicate is not None:
            of_it = {
                fact.id for fact in await self.facts(namespaces, FactQuery(query.as_of, predicates=[query.predicate]))
            }
            facts = [fact for fact in facts if fact.object is not None or fact.id in of_it]
        wanted = {entity.id: entity for entity in entities if query.implied or not entity.implied}
        if query.keys is not None:
            named = {id for _, id in await self.named(namespaces, query.keys)}
            wanted = {id: entity for id, entity in wanted.items() if id in named}
        if query.containing is not None:
            part = query.containing
            saying = {fact.subject for fact in facts if fact.value is not None and takes_in(shown(fact.value), part)}
            wanted = {
                id: entity
                for id, entity in wanted.items()
                if id in saying or takes_in(entity.name, part) or takes_in(entity.type or "", part)
            }
        everything = query.keys is None and query.containing is None
        facts = [
            fact
            for fact in facts
            if fact.subject in wanted or (fact.object is not None and (everything or fact.object in wanted))
        ]
        ends = {end for fact in facts for end in (fact.subject, fact.object) if end is not None} - wanted.keys()
        others = [entity for entity in entities if entity.id in ends]
        return Graph(tuple(wanted.values()), tuple(facts), tuple(others))

    async def surroundings(
        self, namespaces: Sequence[str], start: Sequence[int], query: FactQuery, hops: int
    ) -> Subgraph:
        """All within ``hops`` facts of where it starts, nearest first; at most ``query.limit`` facts."""
        return await self.follow(walking.surroundings, namespaces, start, query, hops)

    async def path(
        self, namespaces: Sequence[str], source: Sequence[int], target: Sequence[int], query: FactQuery, max_hops: int
    ) -> list[Fact] | None:
        """The shortest chain of facts between entities, of at most ``max_hops``; None: none. How much of it is looked
        at is bounded. Raises: NotFound.
        """
        return await self.follow(walking.path, namespaces, source, target, query, max_hops)

    async def evidence(
        self, namespaces: Sequence[str], fact: int, *, after: int = 0, limit: int = -1
    ) -> list[Evidence]:
        """By id."""
        ...

    async def episodes(
        self,
        namespaces: Sequence[str],
        *,
        ref: int | None = None,
        key: str | None = None,
        session: str | None = None,
        after: Place | None = None,
        limit: int = -1,
    ) -> list[Episode]:
        """Of a session by (seq, id), otherwise by (id,); without ``ref`` only the latest versions."""
        ...

    async def history(
        self, namespaces: Sequence[str], kind: Kind, ref: int, *, after: int = BEFORE_ALL, limit: int = -1
    ) -> list[Event]:
        """By id."""
        ...

    async def counts(self, namespace: str) -> Counts: ...

    # Search

    async def words(
        self, namespaces: Sequence[str], kind: Kind, words: Sequence[Asked], when: When, limit: int
    ) -> ByWords:
        """The rows of a kind in which these words are, whatever they are in a query language. A word that several
        pieces make up is a phrase.

        Which words are looked for depends on in how many of the readable rows each is (``words.choose``); how much each
        counts, on the whole file.
        """
        ...

    async def around(
        self,
        namespaces: Sequence[str],
        frontier: Sequence[Node],
        turns: Sequence[int],
        when: When,
        hub: int,
        named: Sequence[int] = (),
    ) -> Links:
        """What a frontier is linked to, and the two texts before and after others in their sessions.

        An entity or a text with more than ``hub`` links is not looked through. Of an entity that is ``named`` the
        newest ``hub`` facts and mentions are followed all the same.
        """
        ...

    async def sources(self, namespaces: Sequence[str], episodes: Sequence[int]) -> dict[int, str]:
        """Where texts came from, where that is known."""
        ...

    async def there(self, namespaces: Sequence[str], kind: Kind, ids: Sequence[int], when: When) -> set[int]:
        """Those of the ids that are there, believed and readable."""
        ...

    async def read(self, namespaces: Sequence[str], nodes: Sequence[Node], when: When) -> Found:
        """The rows that are there, believed and readable, and their evidence."""
        ...

    # Vectors

    async def vector_changes(
        self, namespace: str, kind: Kind, model: Model, *, since: Token | None, most: int
    ) -> VectorChanges:
        """Vectors that changed since a state. Where that was before the namespace or the file's model were those of
        now, and where it is None, they are counted instead, up to one more than ``most``.

        Raises: ModelChanged.
        """
        ...

    async def vectors(
        self,
        namespace: str,
        kind: Kind,
        model: Model,
        *,
        refs: Sequence[int] | None = None,
        after: int = 0,
        limit: int = -1,
    ) -> list[tuple[int, bytes]]:
        """The vectors of these refs, where they have one; None: of all refs above ``after``, in order.

        Raises: ModelChanged.
        """
        ...

    async def without_vector(self, model: Model, kind: Kind, before: int | None, limit: int) -> list[tuple[int, str]]:
        """The next refs below ``before``, downwards, that have no vector of this model, and their texts; of all
        namespaces. None: from the last one on.
        """
        ...

    async def model(self) -> Model | None:
        """The model of the file's vectors; None where it has none yet."""
        return await self.follow(embedding.active_model)

    async def complete_upto(self, model: Model) -> Token | None:
        """The present state, if nothing lacks a vector of the model. It looks at every row."""
        return await self.follow(embedding.complete_upto, model)

    async def near_names_left(self, model: Model, limit: int) -> NearNamesLeft | None:
        """The next entities that have no near names by this model yet, which is the file's; None: no more.

        Raises: ModelChanged.
        """
        return await self.follow(embedding.near_names_left, model, limit)

    async def to_reembed(self, model: Model) -> int:
        """How many rows lack a vector of this model, and how many names their near ones by it, together."""
        return await self.follow(embedding.to_reembed, model)
