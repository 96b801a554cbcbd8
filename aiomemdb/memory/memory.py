"""Memory: the memory graph, and the verbs that write."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from ..connect import connect
from ..database import Database, Opened
from ..embedders import Embedder
from ..familiar import MEMORY, Familiar, suggests_options
from .asking import kind_of
from .core import Core
from .names import FOLDED, FOLDED_PREDICATE, Normaliser, checked_key, checked_text
from .naming import Naming
from .recall import Recalling
from .store import Scope
from .values import Entity, Episode, Fact, Forgotten, NameLike, Remembered, Scalar, Statement

__all__ = ["Memory"]


class Memory(Opened, Naming, Recalling, Familiar):
    """Entities, facts with two times, and the texts they were drawn from, shared by many agents.

    ``async with Memory.open("agent.db") as memory``, or ``memory = await Memory.open("agent.db")`` and
    ``await memory.close()``. Any number of tasks and processes may use one file at once.

    Each verb that writes is one job: applied whole or not at all, acknowledged after its COMMIT. Raises, beside what
    is named at each: what ``aiomemdb.Database.write_fn`` raises, and what the embedder does: then nothing was written.
    SchemaTooNew: a process with a later version of the library has migrated the file since it was opened here.
    Cancellation: a job not yet begun never runs; one that is running runs to its end. Never half, never twice.
    """

    _familiar = MEMORY

    def __init__(self, *_: object, **__: object) -> None:
        raise TypeError("a memory is made by Memory.open(path): async with Memory.open(path) as memory")

    @classmethod
    def _of(cls, core: Core, scope: Scope) -> Memory:
        memory = cls.__new__(cls)
        memory._core, memory._scope = core, scope
        return memory

    def __repr__(self) -> str:
        return f"<Memory {self._scope.namespace!r} of {self._core.db!r}>"

    @property
    def db(self) -> Database:
        """The database of the memory, for ``backup()``, ``statistics()`` and tables of your own."""
        return self._core.db

    # Opening

    @classmethod
    @suggests_options
    def open(
        cls,
        target: str | os.PathLike[str] | Database,
        *,
        namespace: str = "default",
        agent: str | None = None,
        embedder: Embedder | None = None,
        normaliser: Normaliser = FOLDED,
        predicate_normaliser: Normaliser = FOLDED_PREDICATE,
        near: float = 0.8,
        vector_cache_bytes: int = 512 * 1024 * 1024,
    ) -> Memory:
        """A memory, not open yet: ``async with`` it, or ``await`` it. Constructing does no I/O.

        Args:
            target: a path, opened and closed with the memory; or a database that is open, and stays so.
            namespace: what is written and identified is of this one alone.
            agent: who writes; kept with each row.
            embedder: turns texts into vectors; without one everything works by words, names and graph.
            normaliser: which ways to write a name are one; default: those that are equal by NFKC, case folded, without
                what shows nothing, with one apostrophe and one hyphen. The file keeps to the one that it was made with.
            near: from which cosine on two names are noted as near (never merged by that).
            vector_cache_bytes: what vectors may take in memory: four bytes a number, so that the default has room for
                half a million of 256 numbers, texts, facts and names together. Namespaces that need more are read from
                the file for each question, which takes seconds where there are a million.

        Raises:
            ImportError: an embedder, but no numpy (``aiomemdb[embeddings]``).
            SchemaTooNew, NormaliserChanged: when opened; ValueError, then: the database has tables, views, indexes or
                triggers of its own by the memory's names, those of its full-text indexes' inner tables included.
        """
        owns_db = isinstance(target, str | os.PathLike)
        if not 0 < near <= 1:
            raise ValueError(f"near={near!r}: a cosine above 0, at most 1")
        core = Core(
            connect(target) if isinstance(target, str | os.PathLike) else target,
            owns_db=owns_db,
            embedder=embedder,
            normaliser=normaliser,
            predicate_normaliser=predicate_normaliser,
            near=near,
            vector_cache_bytes=vector_cache_bytes,
        )
        return cls._of(core, _scope(namespace, agent, ()))

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _open(self) -> Self:
        await self._core.open()
        return self

    async def close(self, timeout: float = 10.0) -> None:
        """Takes no new call, for all views; writes what waits to be written; closes the database if the memory opened
        it. Idempotent.

        Within about ``timeout`` seconds. Callers that still wait for a name get ``DatabaseClosed`` at once, and so
        does, at the end, whatever could not be written; its ``applied`` says whether that may have been.
        Cancellation: the closing goes on.
        """
        await self._core.close(timeout)

    def scoped(
        self, *, namespace: str | None = None, agent: str | None = None, also_read: Iterable[str] = ()
    ) -> Memory:
        """A view of the same memory: same writer, readers and caches. It writes in ``namespace`` (default: this
        one's), as ``agent``, and its reading verbs see the namespaces in ``also_read`` too.
        """
        return Memory._of(
            self._core,
            _scope(
                self._scope.namespace if namespace is None else namespace,
                self._scope.agent if agent is None else agent,
                also_read,
            ),
        )

    # What is known

    async def remember(
        self,
        content: str,
        facts: Iterable[Statement | tuple[NameLike, str, NameLike]] = (),
        *,
        mentions: Iterable[NameLike] = (),
        key: str | None = None,
        session: str | None = None,
        seq: int | None = None,
        source: str | None = None,
        occurred_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        replace: bool = False,
    ) -> Remembered:
        """Stores a text, whom it mentions, and the facts drawn from it, in ONE job: all of it or nothing.

        Names are found or created as by ``find_or_create_entity``; whom the facts are about is mentioned too.

        Args:
            key: names the text, so that it is stored once. The same text again adds the facts and mentions that it
                did not have yet, and changes nothing else: facts that are not given this time stay, and a fact that
                was retracted or superseded meanwhile stays so. Another text: ``EpisodeExists``, or with
                ``replace=True`` its next version: facts that only the old one evidenced, and this one does not state,
                are expired.
            session: a conversation or a stream of notes; ``seq`` is its place there, None: next, or that of the
                version which it replaces.
            occurred_at: when it was said; an aware datetime, which comes back with its offset from UTC.

        Raises:
            EpisodeExists; NotFound: an ``Entity`` that is not of this namespace, or was forgotten;
            ValueError, TypeError: see ``add_fact``; EmbedderError, ModelChanged. Nothing was written.
        Cancellation: as above; calls of one session keep their order.
        """
        drafter = self._core.drafter()
        episode = drafter.episode(
            content,
            key=key,
            session=session,
            seq=seq,
            source=source,
            occurred_at=occurred_at,
            metadata=metadata,
            replace=replace,
        )
        for fact in facts:
            drafter.fact(fact)
        drafter.mentions(mentions)
        draft, core = drafter.draft, self._core
        in_session = None if episode.session is None else (self._scope.namespace, episode.session)
        async with core.in_order(in_session) as before:
            await core.embed(self._scope, draft)
            if before is not None:
                await asyncio.wait([before])  # which a cancellation leaves alone
            written = await core.write(self._scope, draft)
        assert isinstance(written, Remembered)
        return written

    async def add_episode(
        self,
        content: str,
        *,
        key: str | None = None,
        session: str | None = None,
        seq: int | None = None,
        source: str | None = None,
        occurred_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        mentions: Iterable[NameLike] = (),
        replace: bool = False,
    ) -> Episode:
        """Stores a text without facts; see ``remember``."""
        remembered = await self.remember(
            content,
            mentions=mentions,
            key=key,
            session=session,
            seq=seq,
            source=source,
            occurred_at=occurred_at,
            metadata=metadata,
            replace=replace,
        )
        return remembered.episode

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
        """States ``subject predicate object``, or ``subject predicate value`` (a JSON scalar).

        It holds from ``valid_at`` until before ``invalid_at``; None is unbounded. A fact that is believed already,
        with the same ``valid_at``, gets this evidence too and is given back; if ``invalid_at`` says otherwise, a
        corrected one takes its place.

        ``replace=True``: at each time there is one such fact of this subject and predicate. What held before ends
        where this one begins, and does not come back where this one has an end: no statement said so. This one
        ends where a later one, known already, begins.

        Args:
            text: the fact as a sentence, for word search; default: its three parts.
            evidence: the text that says so; None: the agent itself does.
            confidence: from 0 to 1, kept with the evidence.

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
        await self._core.embed(self._scope, draft)
        written = await self._core.write(self._scope, draft)
        assert isinstance(written, list)
        [fact] = written
        return fact

    async def retract(self, fact: Fact, reason: str = "") -> Fact:
        """It is believed no longer, from now on; asked ``known_at`` an earlier time, it is still there.

        ``reason`` is kept in its history. Retracting it again changes nothing. Raises: NotFound.
        """
        if not isinstance(fact, Fact):
            raise TypeError(f"{fact!r}: a Fact")
        return await self._core.writable_store.retract(self._scope, fact.id, checked_text("reason", reason))

    # Forgetting

    async def forget(self, target: Entity | Fact | Episode) -> Forgotten:
        """Deletes it for good; gives how many rows of each kind went.

        An episode takes its mentions and evidence along, all versions of its key, and facts left without evidence;
        an entity its facts, aliases and mentions; a fact itself alone: what is left of one that was superseded is a
        fact of its own. The audit keeps operation, kind and id, never content.

        One job hides all of it at once (some 3 us a fact) and deletes what little there is; more is deleted in slices,
        between which others write.

        No question finds it any more, but its bytes stay: in the word indexes until SQLite happens to merge them, in
        free pages of the file until they are written over, in the log until it is. None of it has a date; ``erase``
        ends it.

        Raises: NotFound.
        Cancellation: what is hidden stays hidden; the rest is deleted when the file is opened next.
        """
        kind, ref = kind_of(target)
        return await self._core.writable_store.forget(self._scope, kind, ref)

    async def forget_namespace(self) -> Forgotten:
        """Forgets all of this view's own namespace: at once no call finds it, then its rows are deleted in slices.

        Cancellation: it stays hidden; what is left is deleted when the file is opened next.
        """
        return await self._core.writable_store.forget_namespace(self._scope)

    async def erase(self) -> bool:
        """Leave no byte of what was forgotten, or replaced by ``update_entity``, in the file and its log.

        It is for all of the file, whatever the namespace. It deletes what still waits to be deleted, merges the word
        indexes in slices, rebuilds the file, and cuts the log. While the file is rebuilt, which needs room for
        a second one, all other writes wait. What others forget meanwhile may stay.

        Returns:
            Whether nothing is left. False: a reader keeps the log: a snapshot or a stream that is open, here or in
            another process. End that, then ``await memory.db.checkpoint()`` until it returns True.

        Backups, and what the disk itself keeps of a file that became shorter, are beyond its reach.
        Raises: what ``aiomemdb.SQLiteDatabase.vacuum`` and ``checkpoint`` raise.
        Cancellation: what was done stays; the next call does all of it.
        """
        return await self._core.writable_store.erase()

    async def reembed(self, *, progress: Callable[[int, int], object] | None = None) -> int:
        """Makes this memory's embedder the file's: gives a vector to all that lacks one of it, then switches over in
        one job and drops the others, then notes near names by it; gives how many were embedded. All namespaces, in
        slices; others work on meanwhile.

        ``progress(done, total)`` is called on the loop: texts that are embedded and names whose near ones are noted.
        Both only grow, ``total`` by what others write meanwhile; at the end they are equal.

        Raises: ValueError: no embedder; ModelChanged: another task or process has made another one the file's.
        Cancellation, a crash, an error (of ``progress`` too): what was done stays; the next call goes on from there.
        """
        return await self._core.reembed(progress)


def _scope(namespace: str, agent: str | None, also_read: Iterable[str]) -> Scope:
    if isinstance(also_read, str):
        raise TypeError("also_read must be several: also_read=[...]")
    others = tuple(checked_key("also_read", other) for other in also_read)
    return Scope(
        checked_key("namespace", namespace),
        None if agent is None else checked_key("agent", agent),
        tuple(dict.fromkeys(other for other in others if other != namespace)),
    )
