"""The verbs of facts: stated, retracted, found by what they are about, and followed from one entity to another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ..errors import NotFound
from .answers import AddedFact
from .drafts import Draft, Missing
from .names import checked_text
from .pages import Page, page
from .questions import FactQuery
from .times import micros_or_now, optional_micros
from .values import Entity, Episode, Evidence, Fact, NameLike, Scalar, Statement, Subgraph
from .view import View, after_id, by_id, checked_count, observed, one_more

__all__ = ["FactVerbs"]


class FactVerbs(View):
    """The verbs of facts."""

    @observed("upsert_memory")
    async def add_fact(
        self,
        subject: NameLike,
        predicate: str,
        object: NameLike | None = None,
        *,
        value: Scalar | None = None,
        text: str | None = None,
        evidence: Episode | None = None,
        quote: str | None = None,
        valid_at: datetime | None = None,
        invalid_at: datetime | None = None,
        confidence: float = 1.0,
        replace: bool = False,
    ) -> Fact:
        """State ``subject predicate object``, or ``subject predicate value`` (a JSON scalar), and return the fact.

        A fact that is believed already, with the same ``valid_at``, gets this evidence too and is returned. If its
        ``invalid_at`` differs, a corrected fact takes its place.

        Args:
            text: the fact as a sentence, for word search; default: its three parts.
            evidence: the text that says so; None: the agent itself says so.
            valid_at, invalid_at: it holds from the first until before the second; None is unbounded.
            confidence: from 0 to 1, kept with the evidence.
            replace: at each time there is one fact of this subject and predicate. The fact that held before ends where
                this one begins, and does not come back where this one ends, as no statement said so. This one ends
                where a later one, known already, begins.

        Raises:
            ValueError: object and value, or neither; ``confidence`` out of range; a naive time; ``invalid_at`` not
                after ``valid_at``; a name, as ``find_or_create_entity``.
            TypeError: a bare number where an entity belongs.
            NotFound: an ``Entity`` or ``Episode`` that is not of this namespace, or was forgotten.
        """
        drafter = self._core.drafter()
        drafter.fact(
            Statement(
                subject=subject,
                predicate=predicate,
                object=object,
                value=value,
                text=text,
                quote=quote,
                valid_at=valid_at,
                invalid_at=invalid_at,
                confidence=confidence,
                replace=replace,
            )
        )
        draft = drafter.draft
        if evidence is not None:
            if not isinstance(evidence, Episode):
                raise TypeError(f"evidence={evidence!r}: an Episode (a bare number is never an id)")
            draft.evidence = evidence.id
        [added] = await self._write_facts(draft)
        return added.fact

    @observed("upsert_memory")
    async def add_facts(
        self,
        statements: Iterable[Statement | tuple[NameLike, str, NameLike]],
        *,
        missing: Missing = "create",
    ) -> list[AddedFact]:
        """State many facts in ONE job, all of them or none, and return for each the fact and whether it is new.

        Each is stated as by ``add_fact``, one after another: a later one meets what an earlier one has made. The number
        of statements of SQL is the same for any number of facts::

            await memory.add_facts([("Ann", "knows", "Bob"), Statement(subject="Ann", predicate="age", value=7)])

        Args:
            statements: facts, as ``remember`` takes them.
            missing: what becomes of names that no entity has. "create": the entities are made. "imply": they are made,
                and ``implied`` until a call creates them or says something of them in another way. "error": none is
                made, and nothing is written; an implied entity is missing too.

        Returns: one for each statement, in their order.
        Raises:
            NotFound: with ``missing="error"``: a name is missing, the first of them is the error's ``name``. An
                ``Entity`` is not of this namespace, or was forgotten.
            ValueError, TypeError: a statement can't be, see ``add_fact``; ``missing`` is none of the three.
            EmbedderError, ModelChanged: the embedder's vectors can't be used; nothing was written.
        Cancellation: the job runs whole or not at all.
        """
        if missing not in ("create", "imply", "error"):
            raise ValueError(f'missing={missing!r}: "create", "imply" or "error"')
        drafter = self._core.drafter()
        drafter.draft.missing = missing
        drafter.facts(statements)
        return await self._write_facts(drafter.draft)

    async def _write_facts(self, draft: Draft) -> list[AddedFact]:
        await self._core.embed(self._scope, draft)
        written = await self._core.write(self._scope, draft)
        assert isinstance(written, list)
        return [one for one in written if isinstance(one, AddedFact)]

    @observed("update_memory")
    async def retract(self, fact: Fact, reason: str = "") -> Fact:
        """Stop believing a fact, from now on, and return it. Asked ``known_at`` an earlier time, it is still there.

        Its history keeps ``reason``. To retract it again changes nothing.

        Raises: NotFound: it is not of this namespace, or was forgotten.
        """
        if not isinstance(fact, Fact):
            raise TypeError(f"{fact!r}: a Fact")
        return await self._core.writable_store.retract(self._scope, fact.id, checked_text("reason", reason))

    @observed("update_memory")
    async def retract_facts(
        self,
        statements: Iterable[Statement | tuple[NameLike, str, NameLike]],
        reason: str = "",
    ) -> list[tuple[Fact, ...]]:
        """Stop believing many facts in ONE job, all of them or none, found by what they say::

            await memory.retract_facts([("Ann", "knows", "Bob"), Statement(subject="Ann", predicate="age", value=7)])

        Args:
            statements: facts as ``add_facts`` takes them. What counts of each is its subject, its predicate, its object
                or value, and ``valid_at`` where that is given: otherwise the fact is meant whenever it begins. A name
                without a type means all entities that have it.
            reason: kept in the history of each.

        Returns: for each statement the facts that were believed, as they are now; () where there was none, or an
            earlier statement has retracted it. Names that no entity has are no error.
        Raises: ValueError, TypeError: a statement can't be, see ``add_fact``.
        Cancellation: the job runs whole or not at all.
        """
        drafter = self._core.drafter()
        drafter.facts(statements)
        draft, why = drafter.draft, checked_text("reason", reason)
        return await self._core.writable_store.retract_facts(self._scope, draft.who, draft.facts, why)

    async def fact(self, id: int) -> Fact | None:
        """Return a fact by its id, or None: believed or expired, whenever it holds."""
        found = await self._core.store.facts(
            self._scope.readable, FactQuery(0, any_time=True, any_knowledge=True, ids=[id])
        )
        return found[0] if found else None

    @observed("search_memory")
    async def facts(
        self,
        subject: str | Entity | None = None,
        predicate: str | None = None,
        object: str | Entity | None = None,
        *,
        value: Scalar | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Page[Fact]:
        """Return a page of the facts that fit all that is given, by id.

        Args:
            subject, object: an entity, or a name; a name that no entity has fits no fact.
            value: a JSON scalar, as an alternative to ``object``.
            as_of: facts that held then; default: now.
            known_at: facts that were believed then; default: now.
            after, limit: as ``entities``.

        Raises: ValueError: a naive time; ValueError, TypeError: as ``entities``.
        """
        query = FactQuery(
            micros_or_now("as_of", as_of),
            optional_micros("known_at", known_at),
            subjects=None if subject is None else await self._ids(subject),
            objects=None if object is None else await self._ids(object),
            predicates=None if predicate is None else [self._core.drafter().predicate(predicate)],
            value=None if value is None else self._core.drafter().value(value),
            after=after_id("facts", after),
            limit=one_more(limit),
        )
        return page("facts", await self._core.store.facts(self._scope.readable, query), limit, by_id)

    async def evidence(self, fact: Fact, *, after: str | None = None, limit: int = 1000) -> Page[Evidence]:
        """Return a page of why a fact is, or was, believed, in the order in which it was said.

        ``after`` and ``limit``: as ``entities``.

        Raises: ValueError, TypeError: as ``entities``.
        """
        if not isinstance(fact, Fact):
            raise TypeError(f"{fact!r}: a Fact (a bare number is never an id)")
        found = await self._core.store.evidence(
            self._scope.readable, fact.id, after=after_id("evidence", after), limit=one_more(limit)
        )
        return page("evidence", found, limit, by_id)

    @observed("search_memory")
    async def neighbors(
        self,
        entity: str | Entity,
        *,
        hops: int = 1,
        predicates: Sequence[str] | None = None,
        as_of: datetime | None = None,
        limit: int = 200,
    ) -> Subgraph:
        """Return what is believed around an entity: all within ``hops`` facts of it, at most ``limit`` facts.

        Raises: NotFound: no such entity; ValueError, TypeError: ``hops`` or ``limit`` is no count from 1.
        """
        if checked_count("hops", hops) < 1 or checked_count("limit", limit) < 1:
            raise ValueError(f"hops={hops}, limit={limit}: both at least 1")
        start = await self._ids(entity)
        if not start:
            raise NotFound(f"no entity {entity!r}")
        drafter = self._core.drafter()
        chosen = None if predicates is None else [drafter.predicate(predicate) for predicate in predicates]
        query = FactQuery(micros_or_now("as_of", as_of), predicates=chosen, limit=limit)
        found = await self._core.store.surroundings(self._scope.readable, start, query, hops)
        if not found.entities:  # forgotten just now, or of another namespace
            raise NotFound(f"no entity {entity!r}")
        return found

    @observed("search_memory")
    async def path(
        self, source: str | Entity, target: str | Entity, *, max_hops: int = 4, as_of: datetime | None = None
    ) -> list[Fact] | None:
        """Return the shortest chain of facts from one entity to another, whichever way each fact points.

        The chain leads through no entity with more than 1,000 facts: a link of two entities to such a one says nothing.
        It looks at 20,000 facts at most, 10,000 from one end: it takes no longer in a larger memory. A chain
        beyond those is not found. All is read in one snapshot.

        Returns: the facts, in order; [] from an entity to itself; None: there is no chain of at most ``max_hops``.
        Raises: NotFound: no such entity in what is read; ValueError: ``max_hops`` below 1, a naive time.
        Cancellation: nothing happens.
        """
        if checked_count("max_hops", max_hops) < 1:
            raise ValueError(f"max_hops={max_hops}: at least 1")
        query = FactQuery(micros_or_now("as_of", as_of))
        ends = []
        for who in (source, target):
            ends.append(await self._ids(who))
            if not ends[-1]:
                raise NotFound(f"no entity {who!r} in {', '.join(map(repr, self._scope.readable))}")
        return await self._core.store.path(self._scope.readable, ends[0], ends[1], query, max_hops)
