"""The verb that stores many texts: drafted, looked up and embedded ahead of the writer, in jobs of a size that leaves
room for others.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence, Sized
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from ..errors import AiomemdbError, EmbedderError
from .bulk import Document, Loaded, NotLoaded, Progress
from .core import Core
from .deciding.remembering import changes_nothing, known_texts
from .drafter import Drafter
from .drafts import Draft, Scope
from .view import View

__all__ = ["LoadingVerbs", "Pace", "ahead", "draft_into", "load", "others_first"]

T = TypeVar("T")

# Seconds that a job of many rows may keep the writer: another's write waits for one of them at most.
_JOB = 0.012
# Rows of a job, at first and at the least and the most.
_FIRST_SIZE, _LEAST, _MOST = 100, 10, 2_000
# Characters of a text that weigh as much as a row.
_CHARACTERS = 2_000
# Seconds after which a long turn of the loop lets others have one.
_TURN = 0.005

_END = object()


class Pace:
    """How many rows the next job may have, by how long those before ran on the writer: ``with pace`` around each.

    Their COMMIT and the way back to the caller are no part of that. They last as long for few rows, so fewer rows a
    job would not shorten them.
    """

    def __init__(self) -> None:
        self.size: float = _FIRST_SIZE
        self._began = self._took = 0.0

    def __enter__(self) -> None:
        """A job begins on the writer; one that runs again begins again."""
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._took = time.monotonic() - self._began

    def end(self, weight: float) -> None:
        """It is committed. Half as much at least and twice as much at most: one measurement may be an accident."""
        wanted = weight * _JOB / max(self._took, 1e-6)
        # A small job says little of a large one, so that it lets the size grow no further than it was.
        if wanted < self.size or weight >= self.size / 2:
            self.size = min(max(wanted, self.size / 2, _LEAST), self.size * 2, _MOST)


@dataclass(slots=True)
class _One:
    """A document under way."""

    place: int
    document: Document
    draft: Draft


@dataclass(slots=True)
class _Batch:
    """Documents of one job.

    Attributes:
        failed: those of the same stretch that are no drafts, or have no vectors.
        known: whether all of them are there already, with all that they say.
    """

    ones: list[_One] = field(default_factory=list)
    failed: list[NotLoaded] = field(default_factory=list)
    weight: float = 0.0
    known: bool = False


class LoadingVerbs(View):
    """The verb that stores many texts."""

    async def remember_many(
        self,
        documents: Iterable[Document] | AsyncIterable[Document],
        *,
        progress: Progress | None = None,
        on_error: Literal["stop", "collect"] = "stop",
    ) -> Loaded:
        """Store many texts with their facts, each as ``remember`` does: whole or not at all, in the order given.

        Several documents are one job. Jobs have the size that keeps the writer for about 12 ms, so writes of others
        go on meanwhile. The memory that it takes does not depend on how many documents there are. With an embedder,
        the texts of the next job are embedded while this one is written.

        Run it again after it was cut short: a document that is there under its key, with all its facts, costs a read.
        One without a key is stored again.

        Args:
            documents: taken one after the other, on the event loop. Let those that come from slow files or from the
                network be an async iterable.
            progress: called on the loop as ``progress(done, total)`` after each job; ``total`` is None where
                ``documents`` has no length.
            on_error: "stop" raises the first error of a document, and its note says which document it was. Those
                before it are stored then, and of those behind it the ones in the same job may be. "collect" goes on
                and returns all of these in ``Loaded.failed``.

        Returns: how many documents were stored and how many were there.
        Raises:
            What ``remember`` raises for a document.
            ValueError, TypeError: another ``on_error``; something that is no ``Document``; what is no iterable.
            What ``documents`` and ``progress`` raise. What came before is stored.
        Cancellation: a job that has begun is finished, and no other begins.
        """
        if on_error not in ("stop", "collect"):
            raise ValueError(f"on_error={on_error!r}: 'stop' or 'collect'")
        if not isinstance(documents, Iterable | AsyncIterable) or isinstance(documents, str | bytes):
            raise TypeError(f"documents must be an iterable of Document, not {type(documents).__name__}")
        return await load(self._core, self._scope, documents, progress, stops=on_error == "stop")


async def load(
    core: Core,
    scope: Scope,
    documents: Iterable[Document] | AsyncIterable[Document],
    progress: Progress | None,
    *,
    stops: bool = True,
) -> Loaded:
    """What ``remember_many`` does."""
    return await _Loading(core, scope, documents, stops=stops).run(progress)


class _Loading:
    """One call."""

    def __init__(
        self, core: Core, scope: Scope, documents: Iterable[Document] | AsyncIterable[Document], *, stops: bool
    ) -> None:
        self._core, self._scope = core, scope
        self._store = core.writable_store
        self._documents = documents
        self._total = len(documents) if isinstance(documents, Sized) else None
        self._stops = stops
        self._pace = Pace()
        self._stored = self._known = 0
        self._failed: list[NotLoaded] = []

    async def run(self, progress: Progress | None) -> Loaded:
        batches = self._batches()
        # Within a transaction each step is its caller's: nothing runs ahead of it.
        coming = ahead(batches) if self._core.works_ahead else batches
        async with aclosing(coming):
            async for batch in coming:
                await self._write(batch)
                for failure in sorted(batch.failed, key=lambda failure: failure.place):
                    if self._stops:
                        raise _named(failure)
                    self._failed.append(failure)
                if progress is not None:
                    progress(self._stored + self._known + len(self._failed), self._total)
        await self._store.loaded(self._stored)
        return Loaded(stored=self._stored, known=self._known, failed=tuple(self._failed))

    async def _write(self, batch: _Batch) -> None:
        if not batch.ones:
            return
        if batch.known:
            self._known += len(batch.ones)
            return
        drafts = [one.draft for one in batch.ones]
        try:
            answers = await self._store.write([(self._scope, draft) for draft in drafts], timed=self._pace)
        except asyncio.CancelledError:
            for draft in drafts:
                draft.unwanted = True
            raise
        self._pace.end(batch.weight)
        await others_first()
        for one, answer in zip(batch.ones, answers, strict=True):
            if isinstance(answer, Exception):
                batch.failed.append(NotLoaded(one.place, one.document, answer))
            elif isinstance(answer, list) or answer.created:
                self._stored += 1
            else:
                self._known += 1

    # -- ahead of the writer

    async def _batches(self) -> AsyncGenerator[_Batch, None]:
        batch, turn = _Batch(), time.monotonic()
        ended: Exception | None = None
        async with aclosing(_taken(self._documents)) as documents:
            for place in itertools.count(1):
                try:
                    document = await anext(documents, _END)
                    if document is _END:
                        break
                    self._draft(batch, place, document)
                except Exception as error:  # of what brings the documents: those before it are stored first
                    ended = error
                    break
                if batch.weight + len(batch.failed) >= self._pace.size or (batch.failed and self._stops):
                    yield await self._prepared(batch)
                    batch = _Batch()
                if time.monotonic() - turn > _TURN:
                    await asyncio.sleep(0)
                    turn = time.monotonic()
        if batch.ones or batch.failed:
            yield await self._prepared(batch)
        if ended is not None:
            raise ended

    def _draft(self, batch: _Batch, place: int, document: object) -> None:
        if not isinstance(document, Document):
            raise TypeError(f"document {place} is no Document but {type(document).__name__}")
        drafter = self._core.drafter()
        try:
            draft_into(drafter, document)
        except (TypeError, ValueError) as error:
            batch.failed.append(NotLoaded(place, document, error))
            return
        batch.ones.append(_One(place, document, drafter.draft))
        batch.weight += 1 + len(document.facts) + len(document.content) / _CHARACTERS

    async def _prepared(self, batch: _Batch) -> _Batch:
        """Look which are there already, and embed the others."""
        calls: Sequence[tuple[Scope, Draft]] = [(self._scope, one.draft) for one in batch.ones]
        if calls:
            batch.known = await self._store.follow(known_texts, calls)
        if batch.known:
            batch.known = await self._store.follow(changes_nothing, calls)
        if not batch.known:
            await self._embed(batch)
        return batch

    async def _embed(self, batch: _Batch) -> None:
        """In one call of the embedder; where that fails, one by one, as it may be one text that it can't take."""
        try:
            await self._core.embed_all(self._scope, [one.draft for one in batch.ones])
            return
        except Exception as error:
            if isinstance(error, AiomemdbError) and not isinstance(error, EmbedderError):
                raise  # not of one document
            if len(batch.ones) == 1:
                [one] = batch.ones
                batch.failed.append(NotLoaded(one.place, one.document, error))
                batch.ones = []
                return
        ones, batch.ones = batch.ones, []
        for one in ones:
            alone = _Batch([one])
            await self._embed(alone)
            batch.ones += alone.ones
            batch.failed += alone.failed
            if alone.failed and self._stops:
                return


async def others_first() -> None:
    """Let the writer take what waits for it before the next job of a load is there: a write of another then waits for
    the job that runs, and not for the next one too, which would be in its transaction.
    """
    await asyncio.sleep(0)


def draft_into(drafter: Drafter, document: Document) -> None:
    """Raises: TypeError, ValueError: a part of it can't be."""
    drafter.episode(
        document.content,
        key=document.key,
        session=document.session,
        seq=document.seq,
        source=document.source,
        occurred_at=document.occurred_at,
        metadata=document.metadata,
        replace=document.replace,
    )
    for fact in document.facts:
        drafter.fact(fact)
    drafter.mentions(document.mentions)


def _named(failure: NotLoaded) -> Exception:
    """The error, with a note that names the document."""
    key = failure.document.key
    failure.error.add_note(f"document {failure.place}" if key is None else f"document {failure.place}, key {key!r}")
    return failure.error


async def _taken(documents: Iterable[Document] | AsyncIterable[Document]) -> AsyncGenerator[object, None]:
    if isinstance(documents, AsyncIterable):
        async for document in documents:
            yield document
    else:
        for document in documents:
            yield document


async def ahead(source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same, with the next one made while this one is used. It raises what the source raises, in its turn."""

    async def step() -> T | None:
        return await anext(source, None)

    task = asyncio.create_task(step(), name="aiomemdb:memory:ahead")
    try:
        while (item := await task) is not None:
            task = asyncio.create_task(step(), name="aiomemdb:memory:ahead")
            yield item
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it is its reader's, who has left
        await source.aclose()
