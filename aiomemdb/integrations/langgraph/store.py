"""AiomemdbStore: LangGraph's store of what agents keep beyond one thread."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self

from langgraph.store.base import BaseStore, IndexConfig, Op, Result, SearchOp, TTLConfig, ensure_embeddings

from ...engines import connect
from ...errors import DatabaseClosed, EmbedderError
from ...sqlite.engine.database import SQLiteDatabase
from .._checks import checked_count
from .._tables import checked_database
from .._threads import Synchronously
from . import items
from .items import TABLES, Delete, Put
from .operations import Fields, Planner, check, paths_of, result_of, texts_of
from .scores import DISTANCES, Distance

__all__ = ["AiomemdbStore"]

_logger = logging.getLogger(__name__)
_SWEEP_MINUTES = 5.0


class AiomemdbStore(BaseStore):
    """A store on an aiomemdb database, for any number of graphs and agents at once::

        async with AiomemdbStore.from_conn_string("agents.db") as store:
            graph = builder.compile(store=store)

    All operations of one ``abatch`` are one job, in the order given, all or nothing; where none writes they see one
    state. The synchronous methods are for other threads; on the loop's own thread they raise ``ReentrancyError``, which
    is an ``asyncio.InvalidStateError`` too.

    ``query`` is compared by vectors where there is an ``index``, otherwise by words: items with matches stand first,
    then the others, the latest first. Both look at each item of the namespace that passes the filter.

    Args:
        db: an open database of ``aiomemdb.connect``, or one that is opened before the first call.
        index: ``dims``, ``embed``, ``fields`` (``text_fields`` is another name for it), and ``distance_type``:
            "cosine", "l2" or "inner_product". Texts are embedded before the job begins.
        ttl: ``default_ttl`` in minutes, ``refresh_on_read`` (default: true), ``omit_expired``,
            ``sweep_interval_minutes``.

    Raises, from each call: ``InvalidNamespaceError``, ``ValueError``, ``TypeError``: what an operation holds can't be
    kept or looked for; ``EmbedderError``: the embedder returned no vectors of ``dims`` finite numbers; what the
    embedder and the database's verbs raise. Nothing of the batch is applied then.
    Cancellation, of each call: the job never runs, or runs wholly.
    """

    supports_ttl = True

    def __init__(self, db: SQLiteDatabase, *, index: IndexConfig | None = None, ttl: TTLConfig | None = None) -> None:
        super().__init__()
        self.db: SQLiteDatabase = checked_database(db, self)
        self.index_config = index
        self.ttl_config = ttl
        self._synchronously = Synchronously(type(self).__name__)
        self._sweeping: asyncio.Task[None] | None = None
        self.embeddings: Any = None
        self._distance: Distance | None = None
        self._fields: Fields = []
        self._dims = 0
        if index is not None:
            distance: Any = index.get("distance_type") or "cosine"
            if distance not in DISTANCES:
                raise ValueError(f"index: distance_type={distance!r}: one of {', '.join(DISTANCES)}")
            self._distance = distance
            self._dims = checked_count("index: dims", index.get("dims"))
            self.embeddings = ensure_embeddings(index.get("embed"))
            fields = index.get("text_fields") or index.get("fields") or ["$"]
            self._fields = paths_of([fields] if isinstance(fields, str) else fields)

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls, conn_string: str, *, index: IndexConfig | None = None, ttl: TTLConfig | None = None, **options: Any
    ) -> AsyncIterator[Self]:
        """Open a database; at the end of the block stop the sweeper and close it.

        Args:
            conn_string: a path, or ":memory:".
            index: as for the class.
            ttl: as for the class.
            options: of ``aiomemdb.connect``.
        """
        async with connect(conn_string, **options) as db, cls(db, index=index, ttl=ttl) as store:
            yield store

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop_ttl_sweeper()

    async def setup(self) -> None:
        """Make the tables, where they are missing. Each method does so first."""
        self._synchronously.note_loop()
        await TABLES.made_in(self.db)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations as one job, in the order given, and return the result of each."""
        ops = list(ops)
        for op in ops:
            check(op)
        texts = [texts_of(op, self._fields) for op in ops]
        planner = Planner(
            self.ttl_config,
            self._distance,
            iter(await self._vectors_of([text for named in texts for text in named.values()])),
            iter(await self._vectors_of_queries(ops)),
            datetime.now(UTC),
        )
        steps = [planner.step(op, named) for op, named in zip(ops, texts, strict=True)]
        await self.setup()
        if any(isinstance(step, Put | Delete) for step in steps):
            results = await self.db.write_fn(items.run, steps)
        else:
            results = await self.db.read_fn(items.run, steps)
            if (read := items.refreshed(steps, results)) is not None and not self._is_read_only():
                await self.db.write(items.REFRESH, (read,))
        return [result_of(op, found) for op, found in zip(ops, results, strict=True)]

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """As ``abatch``, from another thread. The other synchronous methods stand on it."""
        return self._synchronously.run(self.abatch, ops)

    # What expires

    async def sweep_ttl(self) -> int:
        """Delete what has expired, a slice a job; return how many items it were."""
        await self.setup()
        swept, more = await self.db.write_fn(items.sweep)
        while more:
            slice_, more = await self.db.write_fn(items.sweep)
            swept += slice_
        return swept

    async def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> asyncio.Task[None]:
        """Sweep from time to time, and return the task that does; one that runs already goes on.

        Args:
            sweep_interval_minutes: default: ``sweep_interval_minutes`` of ``ttl``, otherwise 5. A store that was made
                without ``ttl`` sweeps nothing: the task ends at once.
        """
        if self.ttl_config is None:
            return asyncio.create_task(asyncio.sleep(0))
        if self._sweeping is None or self._sweeping.done():
            minutes = sweep_interval_minutes or self.ttl_config.get("sweep_interval_minutes") or _SWEEP_MINUTES
            self._sweeping = asyncio.create_task(self._sweep_often(60 * minutes), name="aiomemdb:sweeper")
        return self._sweeping

    async def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop the sweeper; return whether it has ended within the timeout, in seconds."""
        if (task := self._sweeping) is None:
            return True
        task.cancel()
        await asyncio.wait([task], timeout=timeout)
        if task.done():
            self._sweeping = None
        return task.done()

    async def _sweep_often(self, seconds: float) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(seconds)
                try:
                    await self.sweep_ttl()
                except DatabaseClosed:
                    return
                except Exception:
                    _logger.exception("expired items of the store were not removed; the next try is in %s s", seconds)

    def _is_read_only(self) -> bool:
        try:
            self.db.check_writable()
        except sqlite3.OperationalError:
            return True
        return False

    # Texts are embedded here, before the job

    async def _vectors_of(self, texts: Sequence[str]) -> list[list[float]]:
        return self._checked(await self.embeddings.aembed_documents(list(texts)), len(texts)) if texts else []

    async def _vectors_of_queries(self, ops: Sequence[Op]) -> list[list[float]]:
        if self.embeddings is None:
            return []
        queries = [op.query for op in ops if isinstance(op, SearchOp) and op.query]
        return self._checked([await self.embeddings.aembed_query(query) for query in queries], len(queries))

    def _checked(self, vectors: Iterable[Iterable[float]], count: int) -> list[list[float]]:
        """Raises: EmbedderError: these are not so many vectors of so many finite numbers."""
        checked = [[float(number) for number in vector] for vector in vectors]
        if len(checked) != count:
            raise EmbedderError(f"the embedder returned {len(checked)} vectors for {count} texts")
        for vector in checked:
            if len(vector) != self._dims:
                raise EmbedderError(
                    f"the embedder returned a vector of {len(vector)} numbers; the index has {self._dims}"
                )
            if not all(map(math.isfinite, vector)):
                raise EmbedderError("the embedder returned a vector with NaN or infinity")
        return checked
