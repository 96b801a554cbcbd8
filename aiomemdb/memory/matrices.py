"""All that was embedded, in memory: one matrix a namespace and kind, which catches up before each search.

A large one is coarse (see ``coarse``): it finds the candidates, and the file has their vectors.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..embedders import Embedder
from ..errors import EmbedderError
from .coarse import CoarseRows, Rows, WholeRows, bytes_of_coarse
from .drafts import Near
from .names import checked_key
from .questions import Kind, Model, Token, VectorChanges
from .store import Reads, Store
from .vectors import Matrix, nearest, pack, require_numpy, unpack

__all__ = ["Vectors"]

# Rows of one read where vectors are read from the file one after another.
_SLICE = 1024
# The share of the memory for vectors that one matrix may take before it is coarse: so all of them together have room
# whenever they had as coarse ones, and at half a gigabyte a search of a coarse one is the faster one.
_WHOLE = 4
# Of a coarse matrix so many more candidates are compared by their whole vectors, by parts of those that are wanted.
_MORE = 4
# Changes that a matrix remembers, for searches in a snapshot from before them: more are not made during a question.
_REMEMBERED = 10_000
# Multiplications above which a search goes to a thread: fewer take less than a millisecond.
_LONG = 5_000_000


class Vectors:
    """An embedder, and all that was embedded.

    Args:
        cache_bytes: what matrices may take together. One that takes more than a quarter is coarse; one that has no
            room as that is read slice by slice.
    """

    def __init__(self, store: Store, embedder: Embedder, cache_bytes: int) -> None:
        require_numpy()
        self._store = store
        self._embedder = embedder
        self._cache_bytes = cache_bytes
        if isinstance(embedder.dim, bool) or not isinstance(embedder.dim, int) or embedder.dim < 1:
            raise ValueError(f"the embedder's dim={embedder.dim!r}: how many numbers its vectors have")
        self.model: Model = Model(checked_key("the embedder's model", embedder.model), embedder.dim)
        self._whole: int = cache_bytes // _WHOLE // (4 * embedder.dim)
        self._coarse: int = cache_bytes // bytes_of_coarse(embedder.dim)
        self._matrices: dict[tuple[str, Kind], _CachedMatrix] = {}  # the one used last is the last

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Raises: EmbedderError; what the embedder raises."""
        if not texts:
            return []
        try:
            vectors = await self._embedder.embed(list(texts))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():  # this task was not cancelled: an error like another
                raise EmbedderError("the embedder was cancelled from within") from None
            raise
        return pack(vectors, count=len(texts), dim=self.model.dim)

    async def nearest(
        self,
        namespace: str,
        kind: Kind,
        vectors: Sequence[bytes],
        *,
        top: int,
        at_least: float,
        below: Sequence[int] | None = None,
        reads: Reads | None = None,
    ) -> tuple[list[Near], Token]:
        """For each vector the ``top`` nearest ids (of those ``below`` its own bound, where that is given), and the
        state in which they were found: that of ``reads``, or the present one.

        Raises: ModelChanged.
        """
        reads = reads or self._store
        wanted = _Wanted(unpack(vectors, self.model.dim), top, at_least, below)
        cached = self._matrices.pop((namespace, kind), None) or _CachedMatrix()
        self._matrices[namespace, kind] = cached
        async with cached.lock:
            changes = await reads.vector_changes(namespace, kind, self.model, since=cached.state, most=self._coarse)
            if changes.count > self._coarse:
                self._matrices.pop((namespace, kind), None)
                found = await self._scan(reads, namespace, kind, wanted)
            elif cached.state is not None and not changes.complete and changes.state < cached.state:
                # It has caught up with a later state than that of ``reads``, for another call.
                changed = cached.changed_after(changes.state)
                if changed is None:
                    found = await self._scan(reads, namespace, kind, wanted)
                else:
                    found = await self._among(cached, changed, reads, namespace, kind, wanted)
            else:
                if changes.complete:
                    await self._load(cached, changes, reads, namespace, kind)
                else:
                    cached.apply(changes, self._most(cached))
                if len(cached.refs) > self._most(cached):
                    cached.state = None  # it has grown out of its room: the next search looks again
                self._make_room(cached)
                found = await self._among(cached, set(), reads, namespace, kind, wanted)
        return [tuple(near) for near in found], changes.state

    def _most(self, cached: _CachedMatrix) -> int:
        """Vectors that it may hold."""
        return self._coarse if isinstance(cached.rows, CoarseRows) else self._whole

    async def _load(
        self, cached: _CachedMatrix, changes: VectorChanges, reads: Reads, namespace: str, kind: Kind
    ) -> None:
        """Slice by slice: it takes little more memory than the matrix."""
        made = WholeRows if changes.count <= self._whole else CoarseRows
        cached.begin(made(changes.count, self.model.dim))
        after = 0
        while rows := await reads.vectors(namespace, kind, self.model, after=after, limit=_SLICE):
            cached.put(*self._unpacked(rows))
            after = rows[-1][0]
        # Where reads are no snapshot, each slice was of a state of its own: what has changed meanwhile is looked up.
        since = await reads.vector_changes(namespace, kind, self.model, since=changes.state, most=0)
        if not since.complete:  # else it is another model's by now: the next search looks again
            cached.apply(since)
            cached.loaded()

    async def _scan(self, reads: Reads, namespace: str, kind: Kind, wanted: _Wanted) -> list[list[tuple[int, float]]]:
        """Slice by slice."""
        best = wanted.nothing()
        after = 0
        while rows := await reads.vectors(namespace, kind, self.model, after=after, limit=_SLICE):
            best = wanted.best(best, await wanted.among(*self._unpacked(rows)))
            after = rows[-1][0]
        return best

    async def _among(
        self, cached: _CachedMatrix, changed: set[int], reads: Reads, namespace: str, kind: Kind, wanted: _Wanted
    ) -> list[list[tuple[int, float]]]:
        """Among its vectors, and those of ``reads`` where they have ``changed``."""
        if cached.rows is None:
            return wanted.nothing()
        whole = isinstance(cached.rows, WholeRows)
        top = wanted.top + len(changed) + (0 if whole else wanted.top // _MORE)
        found = await replace(wanted, top=top).among_rows(cached.refs, cached.rows)
        same = [[near for near in of_one if near[0] not in changed] for of_one in found]
        if whole and not changed:
            return same
        read = set(changed) if whole else changed.union(*({ref for ref, _ in of_one} for of_one in same))
        rows = await reads.vectors(namespace, kind, self.model, refs=sorted(read))
        compared = await wanted.among(*self._unpacked(rows))
        return wanted.best(same, compared) if whole else compared

    def _unpacked(self, rows: Sequence[tuple[int, bytes]]) -> tuple[list[int], Matrix]:
        return [ref for ref, _ in rows], unpack([data for _, data in rows], self.model.dim)

    def _make_room(self, used: _CachedMatrix) -> None:
        for key, cached in list(self._matrices.items()):
            if sum(matrix.nbytes for matrix in self._matrices.values()) <= self._cache_bytes:
                break
            if cached is not used and not cached.lock.locked():
                del self._matrices[key]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is looked for: see ``nearest``."""

    queries: Matrix
    top: int
    at_least: float
    below: Sequence[int] | None

    def nothing(self) -> list[list[tuple[int, float]]]:
        return [[] for _ in range(len(self.queries))]

    async def among(self, refs: Sequence[int], matrix: Matrix) -> list[list[tuple[int, float]]]:
        if not len(refs):
            return self.nothing()
        search = partial(nearest, matrix, refs, self.queries, top=self.top, at_least=self.at_least, below=self.below)
        return await self._searched(search, matrix.size)

    async def among_rows(self, refs: Sequence[int], rows: Rows) -> list[list[tuple[int, float]]]:
        if not len(refs):
            return self.nothing()
        search = partial(rows.nearest, refs, self.queries, top=self.top, at_least=self.at_least, below=self.below)
        return await self._searched(search, len(refs) * self.queries.shape[1])

    async def _searched(
        self, search: Callable[[], list[list[tuple[int, float]]]], numbers: int
    ) -> list[list[tuple[int, float]]]:
        return await asyncio.to_thread(search) if len(self.queries) * numbers >= _LONG else search()

    def best(
        self, some: Sequence[Sequence[tuple[int, float]]], others: Sequence[Sequence[tuple[int, float]]]
    ) -> list[list[tuple[int, float]]]:
        """Of two answers."""
        return [
            sorted([*one, *other], key=lambda near: -near[1])[: self.top]
            for one, other in zip(some, others, strict=True)
        ]


class _CachedMatrix:
    """Vectors by row; a row that goes is filled by the last one.

    Attributes:
        state: the one that it is of; None: nothing is known.
    """

    def __init__(self) -> None:
        self.lock: asyncio.Lock = asyncio.Lock()
        self.state: Token | None = None
        self.refs: list[int] = []
        self._places: dict[int, int] = {}
        self.rows: Rows | None = None
        self._changes: deque[tuple[Token, list[int]]] = deque()  # (state, what had changed in it since the one before)
        self._changed = 0  # all of these
        self._oldest: Token | None = None  # the state from which on they are known

    def changed_after(self, state: Token) -> set[int] | None:
        """What may have another vector now than in that state; None: it was too much to be kept."""
        if self._oldest is None or state < self._oldest:
            return None
        return {ref for later, refs in self._changes if state < later for ref in refs}

    @property
    def nbytes(self) -> int:
        return 0 if self.rows is None else self.rows.nbytes

    def begin(self, rows: Rows) -> None:
        """Empties it."""
        self.state = None
        self.refs, self._places = [], {}
        self.rows = rows
        self._changes.clear()

    def loaded(self) -> None:
        self._changes.clear()
        self._changed, self._oldest = 0, self.state

    def apply(self, changes: VectorChanges, most: int | None = None) -> None:
        """Brings it up to date; it makes room for no more than ``most`` vectors, unless that many have come."""
        assert self.rows is not None
        self.state = changes.state
        self._note(changes)
        for ref in changes.gone:
            place = self._places.pop(ref, None)
            if place is None:
                continue
            last = self.refs.pop()
            if last != ref:
                self.rows.move(len(self.refs), to=place)
                self.refs[place] = last
                self._places[last] = place
        self.put(changes.refs, unpack(changes.data, self.rows.dim), most)

    def put(self, refs: Sequence[int], vectors: Matrix, most: int | None = None) -> None:
        assert self.rows is not None
        used = len(self.refs)
        places = []
        for ref in refs:
            place = self._places.get(ref)
            if place is None:
                place = self._places[ref] = len(self.refs)
                self.refs.append(ref)
            places.append(place)
        if len(self.refs) > self.rows.capacity:
            rows = used + max(64, used // 4)
            self.rows.grow(max(len(self.refs), rows if most is None else min(rows, most)), used)
        self.rows.put(places, vectors)

    def _note(self, changes: VectorChanges) -> None:
        changed = [*changes.gone, *changes.refs]
        if changed:
            self._changes.append((changes.state, changed))
            self._changed += len(changed)
        while self._changed > _REMEMBERED:
            self._oldest, forgotten = self._changes.popleft()
            self._changed -= len(forgotten)
