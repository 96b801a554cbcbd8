"""Two entities become one: what happens to the facts of the duplicate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["BelievedFact", "Moves", "decide_moves"]


class BelievedFact(NamedTuple):
    """A fact that is believed. ``value`` is canonical JSON; times are in microseconds."""

    id: int
    subject: int
    predicate: str
    object: int | None
    value: str | None
    valid_at: int | None


@dataclass(slots=True)
class Moves:
    """What a merge does to believed facts.

    Attributes:
        expired: (fact, the fact that it became one with, or None), in the order in which they expire.
        united: (from, to): the second gets the evidence of the first.
    """

    expired: list[tuple[int, int | None]] = field(default_factory=list)
    united: list[tuple[int, int]] = field(default_factory=list)


def decide_moves(into: int, other: int, moving: Iterable[BelievedFact], in_the_way: Iterable[BelievedFact]) -> Moves:
    """Decide which believed facts of ``other`` expire when they move to ``into``.

    Facts that become the same unite their evidence, and the one that moves expires. A fact that becomes one about
    itself expires.

    Args:
        moving: the facts of ``other``, by id.
        in_the_way: facts that are now what one of those becomes.
    """
    moves = Moves()
    believed = {(fact.subject, fact.predicate, _end(fact), fact.valid_at): fact.id for fact in in_the_way}
    for fact in moving:
        subject, end = into if fact.subject == other else fact.subject, _end(fact)
        if end == other:
            end = into
        if end == subject and fact.subject != fact.object:
            moves.expired.append((fact.id, None))
            continue
        same = believed.setdefault((subject, fact.predicate, end, fact.valid_at), fact.id)
        if same != fact.id:
            moves.united.append((fact.id, same))
            moves.expired.append((fact.id, same))
    return moves


def _end(fact: BelievedFact) -> int | str | None:
    """An id or canonical JSON, which never compare equal."""
    return fact.value if fact.object is None else fact.object
