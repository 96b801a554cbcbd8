"""Memory: opened, viewed, closed; its verbs by subject, and those that concern all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Literal, Self

from ..database import Database, Opened, Transaction
from ..embedders import Embedder
from ..engines import connect
from ..familiar import MEMORY, Familiar, suggests_options
from .agents import AgentVerbs
from .changes import ChangeVerbs
from .core import Core
from .drafts import Scope
from .entities import EntityVerbs
from .episodes import EpisodeVerbs
from .facts import FactVerbs
from .graphs import GraphVerbs
from .loading import LoadingVerbs
from .moving import MovingVerbs
from .names import Normaliser, checked_key
from .pages import Page, page
from .questions import BEFORE_ALL
from .recall import RecallVerbs
from .seeing import SeeingVerbs
from .sharing import SharedCore
from .values import Counts, Entity, Episode, Event, Fact, Forgotten
from .view import after_id, by_id, kind_of, observed, one_more

__all__ = ["Memory"]


class Memory(
    Opened,
    EntityVerbs,
    FactVerbs,
    GraphVerbs,
    EpisodeVerbs,
    LoadingVerbs,
    MovingVerbs,
    RecallVerbs,
    AgentVerbs,
    ChangeVerbs,
    SeeingVerbs,
    Familiar,
):
    """Entities, facts with two times, and the texts they were drawn from, shared by many agents.

    ``async with Memory.open("agent.db") as memory``, or ``memory = await Memory.open("agent.db")`` and
    ``await memory.close()``. Any number of tasks and processes may use one file at once.

    Each verb that writes is one job: applied whole or not at all, acknowledged after its COMMIT.

    Raises, beside the errors that are named at each verb:
        What ``aiomemdb.Database.write_fn`` raises, and what the embedder raises: then nothing was written.
        SchemaTooNew: a process with a later version of the library has migrated the file since it was opened here.
    Cancellation: a job not yet begun never runs. A job that is running runs to its end. Never half, never twice.
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

    @property
    def normaliser(self) -> Normaliser:
        """What says which spellings of a name are equal, as the file has recorded it.

        Raises: DatabaseClosed: the memory is not open.
        """
        _ = self._core.store
        return self._core.normalisers.names

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
        normaliser: Normaliser | Literal["folded", "exact"] | None = None,
        predicate_normaliser: Normaliser | None = None,
        near: float = 0.8,
        vector_cache_bytes: int = 512 * 1024 * 1024,
    ) -> Memory:
        """Make a memory, not open yet: ``async with`` it, or ``await`` it. Making it does no I/O.

        Args:
            target: a path, opened and closed with the memory; or an open database, which stays open.
            namespace: names, facts and texts are written to this namespace alone, and names identified in it.
            agent: the name of the writing agent, kept with each row.
            embedder: turns texts into vectors. Without an embedder everything works by words, names and graph.
            normaliser: says which spellings of a name or a type are equal. The file records it, and it can't change.
                None: as the file has it, a new one "folded". "folded": those that are equal by NFKC, case folded,
                without invisible characters, with one kind of apostrophe and of hyphen. "exact": those that are equal
                byte for byte; so are predicates and string values then. A ``Normaliser`` of your own is given each
                time.
            predicate_normaliser: the same for predicates; None: as the file has it, a new one like its names, "folded"
                where these have one of your own.
            near: the least cosine at which two names are noted as near. They are never merged by that.
            vector_cache_bytes: the memory for vectors of texts, facts and names together. A namespace's vectors of one
                kind are held whole, four bytes a number, while they take a quarter of it (by default 131,072 vectors of
                256 numbers). Otherwise they are held in nine bits a number (1.8 million of them), and the vectors of
                the best candidates are read from the file. If they have no room even so, each question reads all of
                them from the file, which takes seconds where there are a million.

        Raises:
            ImportError: an embedder, but no numpy (``aiomemdb[embeddings]``).
            ValueError: there is no normaliser of that name.
            SchemaTooNew: when it is opened.
            NormaliserChanged: when it is opened: the file has another normaliser than this one, or one of your own
                that is not given.
            ValueError: when it is opened: the database has tables, views, indexes or triggers of its own by the
                memory's names, those of its full-text indexes' inner tables included.
        """
        owns_db = isinstance(target, str | os.PathLike)
        if not 0 < near <= 1:
            raise ValueError(f"near={near!r}: a cosine above 0, at most 1")
        core = SharedCore(
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
        """Close all views: refuse new calls, write what waits, close the database if the memory opened it. Idempotent.

        It takes about ``timeout`` seconds at most. Callers that still wait for a name get ``DatabaseClosed`` at once.
        What could not be written gets it at the end; its ``applied`` says whether it may have been written.

        Cancellation: the closing goes on.
        """
        await self._core.close(timeout)

    def scoped(
        self, *, namespace: str | None = None, agent: str | None = None, also_read: Iterable[str] = ()
    ) -> Memory:
        """Make a view of the same memory: same writer, readers and caches.

        Args:
            namespace: where it writes; default: this view's.
            agent: the name of the writing agent; default: this view's.
            also_read: further namespaces that its reading verbs see.
        """
        return Memory._of(
            self._core,
            _scope(
                self._scope.namespace if namespace is None else namespace,
                self._scope.agent if agent is None else agent,
                also_read,
            ),
        )

    def within(self, tx: Transaction) -> Memory:
        """Make a view with verbs that are steps of a transaction: your rows and the memory's are written together or
        not at all::

            async with memory.db.transaction() as tx:
                await tx.write("UPDATE task SET done = 1 WHERE id = ?", (task,))
                await memory.within(tx).remember(answer, facts)

        What it writes is committed, and others see it, when the transaction commits. What it reads is as the
        transaction has left it so far.

        Nothing is embedded inside, as all writers would wait for that. So what it writes has no vectors until the next
        ``reembed()``, and ``recall`` finds by words, names and links alone. ``similarity=`` is a ValueError.
        ``erase``, ``reembed`` and ``close`` are the memory's own: ``ReentrancyError``.

        Args:
            tx: of the memory's database, by ``transaction()`` or ``begin()``.

        Raises:
            TypeError: it is no transaction of the memory's database.
            From its verbs, beside their own errors: TransactionEnded, and what else ends a transaction.
        Cancellation: as of the transaction's verbs; a call that has run stays in the transaction.
        """
        return Memory._of(self._core.within(tx), self._scope)

    # Forgetting

    @observed("delete_memory")
    async def forget(self, target: Entity | Fact | Episode) -> Forgotten:
        """Delete an entity, a fact or a text for good.

        A text takes along its mentions, its evidence, all versions of its key, and facts left without evidence. An
        entity takes along its facts, aliases and mentions. A fact goes alone: what is left of a fact that was
        superseded is a fact of its own. The audit keeps operation, kind and id, never content.

        One job hides all of it at once and deletes it where it is little. More is deleted in slices, between which
        others write. No question finds it any more, but its bytes stay, for no fixed time: in the word indexes until
        they are merged, in free pages of the file and in the log until they are overwritten. ``erase`` removes them.

        Returns: how many rows of each kind were deleted.
        Raises: NotFound: it is not of this namespace, or was forgotten before.
        Cancellation: what is hidden stays hidden. The rest is deleted when the file is opened next.
        """
        kind, ref = kind_of(target)
        return await self._core.writable_store.forget(self._scope, kind, ref)

    @observed("delete_memory")
    async def forget_namespace(self) -> Forgotten:
        """Forget all of this view's own namespace: at once no call finds it, then its rows are deleted in slices.

        Returns: how many rows of each kind were deleted.
        Cancellation: it stays hidden. The rest is deleted when the file is opened next.
        """
        return await self._core.writable_store.forget_namespace(self._scope)

    async def erase(self) -> bool:
        """Leave no byte of what was forgotten, or replaced by ``update_entity``, in the file and its log.

        It works on the whole file, all namespaces: it deletes what still waits to be deleted, merges the word indexes
        in slices, rebuilds the file and cuts the log. What others forget meanwhile may stay. Backups, and what
        the disk itself keeps of a file that became shorter, are beyond its reach.

        While the file is rebuilt, all writers of all processes wait: about 25 s a gigabyte, as bench/README.md measured
        it. A writer of another process that waits longer than its ``lock_timeout`` gets ``LockTimeout``. Readers don't
        wait. The rebuilding needs free disk for two further copies of the file: among temporary files, and in the log.

        Returns:
            Whether nothing is left. False: a reader keeps the log, by a snapshot or a stream that is open, here or in
            another process. End that, then call ``memory.db.checkpoint()`` until it returns True.
        Raises: what ``vacuum`` and ``checkpoint`` of its database raise.
        Cancellation: what was done stays. The next call does all of it.
        """
        return await self._core.erase()

    async def history(
        self, target: Entity | Fact | Episode, *, after: str | None = None, limit: int = 1000
    ) -> Page[Event]:
        """Return a page of what was done to it, by which agent and when, oldest first.

        Of what is forgotten these lines alone are kept. ``after`` and ``limit``: as ``entities``.

        Raises: ValueError, TypeError: as ``entities``.
        """
        kind, ref = kind_of(target)
        found = await self._core.store.history(
            self._scope.readable, kind, ref, after=after_id("history", after, first=BEFORE_ALL), limit=one_more(limit)
        )
        return page("history", found, limit, by_id)

    async def counts(self) -> Counts:
        """Return how many rows of each kind this view's own namespace has."""
        return await self._core.store.counts(self._scope.namespace)

    async def reembed(self, *, progress: Callable[[int, int], object] | None = None) -> int:
        """Make this memory's embedder the file's, for all namespaces, in slices between which others work.

        It embeds all texts, facts and names that have no vector of this embedder. Then one job switches the file over
        and drops the other vectors. Then it notes near names anew.

        Args:
            progress: called on the loop as ``progress(done, total)``, with texts that are embedded and names that have
                their near names. Both only grow, ``total`` by what others write meanwhile. At the end they are equal.

        Returns: how many texts, facts and names it embedded.
        Raises:
            ValueError: the memory has no embedder.
            ModelChanged: another task or process has made another embedder the file's.
        Cancellation, a crash, an error (of ``progress`` too): what was done stays. The next call goes on from there.
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
