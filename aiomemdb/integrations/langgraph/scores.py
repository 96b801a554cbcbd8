"""How near items are to what is looked for: by their vectors, or by their words. Pure.

numpy is used where it is installed.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from .rows import Row

__all__ = ["DISTANCES", "Distance", "by_meaning", "by_words"]

Distance: TypeAlias = Literal["cosine", "l2", "inner_product"]
DISTANCES: tuple[str, ...] = get_args(Distance)

K = TypeVar("K")
_WORD = re.compile(r"\w+")
# Of BM25, the usual ones: how much a word's repetition counts, and how much a long text loses.
_REPETITION, _LENGTH = 1.2, 0.75


def by_meaning(
    query: Sequence[float], keys: Sequence[K], vectors: Sequence[bytes], distance: Distance
) -> list[tuple[K, float]]:
    """The keys by the score of the nearest of their vectors, the best first.

    Args:
        query: as many numbers as each vector has.
        keys: the key that each vector belongs to.
        vectors: float32, little endian.
        distance: "l2" scores by the negative distance, so that the greatest is the nearest here too.
    """
    size = 4 * len(query)
    pairs = [(key, vector) for key, vector in zip(keys, vectors, strict=True) if len(vector) == size]
    score = _numpy_scores if find_spec("numpy") else _plain_scores
    best: dict[K, float] = {}
    for (key, _), value in zip(pairs, score(query, [vector for _, vector in pairs], distance), strict=True):
        if value > best.get(key, -math.inf):
            best[key] = value
    return sorted(best.items(), key=lambda pair: -pair[1])


def _numpy_scores(query: Sequence[float], vectors: Sequence[bytes], distance: Distance) -> list[float]:
    import numpy as np

    one = np.asarray(query, dtype=np.float64)
    many = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(-1, len(one)).astype(np.float64)
    if distance == "l2":
        scores = -np.linalg.norm(many - one, axis=1)
    else:
        scores = many @ one
        if distance == "cosine":
            lengths = np.linalg.norm(many, axis=1) * np.linalg.norm(one)
            scores = np.divide(scores, lengths, out=np.zeros_like(scores), where=lengths > 0)
    return [float(score) for score in scores]


def _plain_scores(query: Sequence[float], vectors: Sequence[bytes], distance: Distance) -> list[float]:
    scores = []
    length = math.hypot(*query)
    for data in vectors:
        vector = array("f", data)
        if distance == "l2":
            scores.append(-math.dist(vector, query))
            continue
        product = math.fsum(a * b for a, b in zip(vector, query, strict=True))
        if distance == "cosine":
            lengths = math.hypot(*vector) * length
            product = product / lengths if lengths else 0.0
        scores.append(product)
    return scores


def by_words(text: str, rows: Iterable[Row], loads: Callable[[str | bytes], dict[str, Any]]) -> list[Row]:
    """The rows that have words of the text, the best first, with their scores (BM25); then the others as they came."""
    wanted = set(_words(text))
    found: list[tuple[Row, Counter[str], int]] = []
    others: list[Row] = []
    total = count = 0
    for row in rows:
        value = row.value if isinstance(row.value, dict) else loads(row.value)
        words = list(_words(" ".join(_texts(value))))
        total, count = total + len(words), count + 1
        row = row._replace(value=value)
        if hits := Counter(word for word in words if word in wanted):
            found.append((row, hits, len(words)))
        else:
            others.append(row)
    has = Counter(word for _, hits, _ in found for word in hits)
    rarity = {word: math.log(1 + (count - many + 0.5) / (many + 0.5)) for word, many in has.items()}
    scored = []
    for row, hits, length in found:
        norm = _REPETITION * (1 - _LENGTH + _LENGTH * length * count / total)
        score = sum(rarity[word] * many * (_REPETITION + 1) / (many + norm) for word, many in hits.items())
        scored.append(row._replace(score=score))
    scored.sort(key=lambda row: -(row.score or 0))
    return scored + others


def _words(text: str) -> Iterator[str]:
    return (match[0] for match in _WORD.finditer(text.casefold()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
