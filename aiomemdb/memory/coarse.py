"""Vectors row by row, and the search for the nearest: whole ones, and ones of a bit and a byte a number. Pure.

Many vectors are sought in two steps without the whole ones. The bits say which numbers are above the mean of all; the
rows in which most of them agree with the question's are compared by their bytes, and what is best by these may be
compared by the whole vectors, which the file has. A number takes nine bits instead of 32, and a search a tenth of the
time, in few calls: each call of numpy's may wait for Python's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .vectors import Matrix, nearest

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CoarseRows", "Rows", "WholeRows", "bytes_of_coarse"]

_Places: TypeAlias = "Sequence[int] | np.ndarray[Any, np.dtype[np.int64]]"
#: For each query (ref, cosine), best first.
_Near: TypeAlias = list[list[tuple[int, float]]]

# Rows that the bits leave, and the share of all where that is more.
_LEFT, _SHARE = 8192, 64
# More bits than a vector has.
_NEVER = 65_535
# How far a cosine by bytes may be off: ten times the standard deviation, whatever the vector.
_OFF = 0.02


class Rows(Protocol):
    """Vectors of length 1 by place. Their owner knows which places are taken."""

    @property
    def dim(self) -> int: ...

    @property
    def capacity(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def grow(self, capacity: int, used: int) -> None:
        """Make room for more, and keep those in use."""
        ...

    def put(self, places: _Places, vectors: Matrix) -> None: ...

    def move(self, place: int, to: int) -> None: ...

    def nearest(
        self, refs: Sequence[int], queries: Matrix, *, top: int, at_least: float, below: Sequence[int] | None
    ) -> _Near:
        """As ``vectors.nearest``, of the first places."""
        ...


class WholeRows:
    """As they are in the file, in 32 bits a number."""

    def __init__(self, capacity: int, dim: int) -> None:
        import numpy as np

        self._room: Matrix = np.empty((capacity, dim), dtype=np.float32)

    @property
    def dim(self) -> int:
        return int(self._room.shape[1])

    @property
    def capacity(self) -> int:
        return len(self._room)

    @property
    def nbytes(self) -> int:
        return self._room.nbytes

    def grow(self, capacity: int, used: int) -> None:
        self._room = _larger(self._room, capacity, used)

    def put(self, places: _Places, vectors: Matrix) -> None:
        self._room[places] = vectors

    def move(self, place: int, to: int) -> None:
        self._room[to] = self._room[place]

    def nearest(
        self, refs: Sequence[int], queries: Matrix, *, top: int, at_least: float, below: Sequence[int] | None
    ) -> _Near:
        return nearest(self._room[: len(refs)], refs, queries, top=top, at_least=at_least, below=below)


class CoarseRows:
    """A bit and a byte a number.

    The cosines that it finds are off by some thousandths; and it may miss a row that is near, if most others are nearer
    by their bits.
    """

    def __init__(self, capacity: int, dim: int) -> None:
        import numpy as np

        self._mean: Matrix | None = None  # of the first that come: many, as they are read from the file
        self._bytes = np.empty((capacity, dim), dtype=np.int8)
        self._scales = np.empty(capacity, dtype=np.float32)
        self._bits = np.empty((_words(dim), capacity), dtype=np.uint64)

    @property
    def dim(self) -> int:
        return int(self._bytes.shape[1])

    @property
    def capacity(self) -> int:
        return len(self._bytes)

    @property
    def nbytes(self) -> int:
        return self._bytes.nbytes + self._scales.nbytes + self._bits.nbytes

    def grow(self, capacity: int, used: int) -> None:
        import numpy as np

        self._bytes = _larger(self._bytes, capacity, used)
        self._scales = _larger(self._scales, capacity, used)
        bits = np.empty((len(self._bits), capacity), dtype=np.uint64)
        bits[:, :used] = self._bits[:, :used]
        self._bits = bits

    def put(self, places: _Places, vectors: Matrix) -> None:
        import numpy as np

        if not len(vectors):
            return
        if self._mean is None:
            self._mean = vectors.mean(axis=0)
        scales = np.abs(vectors).max(axis=1) / np.float32(127)
        scales[scales == 0] = 1
        self._scales[places] = scales
        self._bytes[places] = np.rint(vectors / scales[:, None])
        self._bits[:, places] = self._bits_of(vectors)

    def move(self, place: int, to: int) -> None:
        self._bytes[to] = self._bytes[place]
        self._scales[to] = self._scales[place]
        self._bits[:, to] = self._bits[:, place]

    def nearest(
        self, refs: Sequence[int], queries: Matrix, *, top: int, at_least: float, below: Sequence[int] | None
    ) -> _Near:
        import numpy as np

        if not len(refs):
            return [[] for _ in queries]
        ids = None if below is None else np.asarray(refs, dtype=np.int64)
        left = max(_LEFT, top, len(refs) // _SHARE)
        found: _Near = []
        for query, bits in enumerate(self._bits_of(queries).T):
            different = self._different(bits, len(refs))
            if ids is not None and below is not None:
                different[ids >= below[query]] = _NEVER
            places = np.argpartition(different, left)[:left] if len(different) > left else np.arange(len(different))
            places = places[different[places] < _NEVER]
            rows = self._bytes[places].astype(np.float32)
            rows *= self._scales[places, None]
            of_rows = [refs[place] for place in places.tolist()]
            found += nearest(rows, of_rows, queries[query : query + 1], top=top, at_least=at_least - _OFF)
        return found

    def _different(self, bits: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
        """In how many bits the first rows differ from these."""
        import numpy as np

        different = np.zeros(count, dtype=np.uint16)
        for word, of_rows in zip(bits, self._bits, strict=True):
            different += np.bitwise_count(of_rows[:count] ^ word)
        return different

    def _bits_of(self, vectors: Matrix) -> np.ndarray[Any, Any]:
        """Of shape (words, vectors): a word of all rows lies together."""
        import numpy as np

        assert self._mean is not None
        packed = np.packbits(vectors > self._mean, axis=1)
        filled = np.zeros((len(vectors), 8 * len(self._bits)), dtype=np.uint8)
        filled[:, : packed.shape[1]] = packed
        return filled.view(np.uint64).T


def bytes_of_coarse(dim: int) -> int:
    """What a vector takes in ``CoarseRows``."""
    return dim + 4 + 8 * _words(dim)


def _words(dim: int) -> int:
    return -(-dim // 64)


def _larger(room: np.ndarray[Any, Any], capacity: int, used: int) -> np.ndarray[Any, Any]:
    import numpy as np

    larger = np.empty((capacity, *room.shape[1:]), dtype=room.dtype)
    larger[:used] = room[:used]
    return larger
