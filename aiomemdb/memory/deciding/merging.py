"""Two entities become one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..drafts import Scope
from ..values import Entity
from .identity import Identities, KnownEntity, root_of
from .moment import moment_of
from .requests import Beginning, BelievedFact, Changes, FactsOf, Names, NamesOf
from .steps import Steps

__all__ = ["Moves", "decide_moves", "merge"]


def merge(scope: Scope, keep: int, duplicate: int) -> Steps[Entity]:
    """Move all that a duplicate has to the entity that stays; its id goes on resolving."""
    namespace = scope.namespace
    state = yield from Beginning([namespace])
    names = yield from Names(ids=[(namespace, keep), (namespace, duplicate)])
    into, other = root_of(names.roots, namespace, keep), root_of(names.roots, namespace, duplicate)
    if into is other:
        if duplicate == other.id:
            raise ValueError(
                f"entity {keep} was merged into {duplicate} before: the other way round they would be a circle"
                if keep != duplicate
                else f"entity {keep} can't be merged with itself"
            )
        return into.value()
    identities = Identities((yield from NamesOf([into.id, other.id])), names.roots, {}, state.entity)
    moving, in_the_way = yield from FactsOf(other.id, into.id)
    moves = decide_moves(into.id, other.id, moving, in_the_way)
    moment = moment_of(scope, state.at)
    for fact, same in moves.expired:
        moment.note("expire" if same is None else "supersede", "fact", fact, same)
    _take_over(into, other)
    identities.move_names(other, into)
    moment.note("merge", "entity", other.id, into.id)
    moment.note("update", "entity", into.id, other.id)
    yield from Changes(
        state,
        [moment],
        changed=[into],
        renamed=identities.renamed,
        aliases_gone=identities.aliases_gone(),
        aliases=identities.aliases(),
        merged=[(other.id, into.id)],
        vectors_gone=[(namespace, "entity", other.id)],
        expired=[(fact, moment, same) for fact, same in moves.expired],
        united=moves.united,
    )
    return into.value()


def _take_over(into: KnownEntity, other: KnownEntity) -> None:
    """The one that stays takes over what it lacks: a type, a description, attributes, and the time since which there is
    one of the two.
    """
    if not into.type_key:
        into.type, into.type_key = other.type, other.type_key
    into.description = into.description or other.description
    attributes: dict[str, Any] = {**json.loads(other.attributes), **json.loads(into.attributes)}
    into.attributes = json.dumps(attributes, ensure_ascii=False) if attributes else "{}"
    assert into.since is not None and other.since is not None  # both were there before
    if other.since < into.since:
        into.since, into.created_at = other.since, other.created_at
    if other.established is not None and (into.established is None or other.established < into.established):
        into.established = other.established


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
