"""How sure recall is that the memory knows something of a question: from 0 to 1, and the same from one question to the
next. Pure functions.

Ranking compares what one question found: the best of each leg is 1 there, also where all of it is poor. Here each leg
is measured against the question itself. Words: how much of what the question asks for the best row has, where a rare
word is much and one that no row has is most. Vectors: the cosine of the nearest row. Both are from 0 to 1, and are
combined in the shares by which they rank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from . import rank
from .questions import ByWords, Node
from .words import Asked

__all__ = ["calibrated", "covered", "sure"]


def covered(asked: Sequence[Asked], found: ByWords) -> float:
    """Which share of what a question asks for the best of the rows has, from 0 to 1, by how much its words say.

    A word that is in more of the readable rows than a store counts says nothing, nor does a common one beside others.
    """
    weighed = [_Weighed(each, found) for each in asked if not each.common]
    if not weighed:
        weighed = [_Weighed(each, found) for each in asked]
    whole = sum(each.weight for each in weighed)
    held = (sum(each.held(frozenset(words)) for each in weighed) for words in found.held.values())
    return max(held, default=0.0) / whole if whole else 0.0


def sure(covered: float | None, nearest: float | None) -> float:
    """What words and vectors say together.

    Args:
        covered: see there; None: the question has no words.
        nearest: the greatest cosine; None: there are no vectors.
    """
    if covered is None or nearest is None:
        return _from_0_to_1(covered if nearest is None else nearest)
    return _from_0_to_1((1 - rank.FUSION) * covered + rank.FUSION * max(0.0, nearest))


def calibrated(scores: Mapping[Node, float], sure: float) -> dict[Node, float]:
    """The best one gets how sure all of it is, and the others stand to it as they rank."""
    greatest = max(scores.values(), default=0.0)
    return {node: sure * (score / greatest) if score > 0 else 0.0 for node, score in scores.items()}


def _from_0_to_1(value: float | None) -> float:
    return min(1.0, max(0.0, value or 0.0))


class _Weighed:
    """How much of a question lies in what it asks for in one place.

    Attributes:
        weight: 0 where it was not looked for, since it is in so many rows.
    """

    def __init__(self, asked: Asked, found: ByWords) -> None:
        count = max(found.counts.get(whole, 0) for whole in asked.wholes)
        self._wholes = asked.wholes
        self._pieces = {piece: _rarity(found.counts.get(piece, 0), found) for piece in asked.pieces}
        words = (*asked.wholes, *asked.pieces)
        if any(found.counts.get(word) for word in words) and not any(word in found.sought for word in words):
            self.weight = 0.0
        elif count or not asked.pieces:
            self.weight = _rarity(count, found)
        else:  # no row has it as a whole
            self.weight = sum(self._pieces.values())

    def held(self, words: frozenset[str]) -> float:
        """Of its weight what a row with these words has."""
        if not words.isdisjoint(self._wholes):
            return self.weight
        pieces = sum(self._pieces.values())
        share = sum(weight for piece, weight in self._pieces.items() if piece in words)
        return self.weight * share / pieces if pieces else 0.0


def _rarity(count: int, found: ByWords) -> float:
    """How much a word says that is in so many of the readable rows, as BM25 has it; never below 0."""
    others = max(0, found.readable - count)
    return math.log(1 + (others + 0.5) / (count + 0.5))
