"""Vectors: checked, made of length 1, compared. Pure.

numpy is an extra (``aiomemdb[embeddings]``), needed where there is an embedder; so it is imported by the functions that
use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import EmbedderError

if TYPE_CHECKING:
    import numpy as np

#: float32, a vector a row.
Matrix: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"

# Queries up to which BLAS is no faster: eight take the same CPU, one a third to a twentieth (500 to 100,000 rows).
_FEW = 8

__all__ = ["Matrix", "nearest", "pack", "require_numpy", "unpack", "unpack_all"]


def require_numpy() -> None:
    """Raises: ImportError, which names the extra."""
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise ImportError("an embedder needs numpy: pip install 'aiomemdb[embeddings]'") from error


def pack(vectors: Sequence[Sequence[float]], *, count: int, dim: int) -> list[bytes]:
    """What an embedder gave, as it is stored: float32, little endian, of length 1; one of zeros is near to nothing.

    Raises: EmbedderError: not ``count`` of them, or one that has not ``dim`` finite numbers.
    """
    import numpy as np

    try:
        matrix = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:  # of different lengths, or no numbers
        raise EmbedderError(f"the embedder returned no {count} vectors of {dim} numbers: {error}") from error
    if matrix.shape != (count, dim):
        raise EmbedderError(f"the embedder returned vectors of shape {matrix.shape}, not ({count}, {dim})")
    if not np.isfinite(matrix).all():
        raise EmbedderError("the embedder returned a vector with NaN or infinity")
    for norm in (np.inf, 2):  # by the greatest number first, since squares of numbers overflow
        lengths = np.linalg.norm(matrix, norm, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        matrix = matrix / lengths
    return [row.tobytes() for row in matrix.astype("<f4")]


def unpack(data: Sequence[bytes], dim: int) -> Matrix:
    """Rows of a matrix, float32, of shape (len(data), dim)."""
    return unpack_all(b"".join(data), dim)


def unpack_all(data: bytes | bytearray | memoryview, dim: int) -> Matrix:
    """The same of vectors one behind the other. It shares their memory."""
    import numpy as np

    return np.frombuffer(data, dtype="<f4").reshape(-1, dim)


def _cosines(queries: Matrix, matrix: Matrix) -> Iterable[Any]:
    """Of each query those of all rows.

    A few queries read the matrix faster than they multiply it, so one thread is as fast as several, at any size. BLAS
    takes several, which spin while they wait for each other: beside another busy one 43 to 60 ms instead of 0.4.
    """
    import numpy as np

    if len(queries) <= _FEW:
        return (np.einsum("ij,j->i", matrix, query) for query in queries)
    return queries @ matrix.T


def nearest(
    matrix: Matrix,
    refs: Sequence[int],
    queries: Matrix,
    *,
    top: int,
    at_least: float,
    below: Sequence[int] | None = None,
) -> list[list[tuple[int, float]]]:
    """For each query the ``top`` rows of the greatest cosine, not below ``at_least``: (ref, cosine), best first; where
    ``below`` is given, of those rows alone that have a ref below the query's.

    All vectors are of length 1. Shapes: matrix (n, dim), refs n, queries (q, dim), below q.
    """
    import numpy as np

    if not len(refs):
        return [[] for _ in range(len(queries))]
    found: list[list[tuple[int, float]]] = []
    ids = None if below is None else np.asarray(refs, dtype=np.int64)
    for query, cosines in enumerate(_cosines(queries, matrix)):
        near = cosines >= at_least
        if ids is not None and below is not None:
            near &= ids < below[query]
        best = np.flatnonzero(near)
        if len(best) > top:
            best = best[np.argpartition(-cosines[best], top)[:top]]
        best = best[np.argsort(-cosines[best], kind="stable")]
        found.append([(refs[int(place)], float(cosines[place])) for place in best])
    return found
