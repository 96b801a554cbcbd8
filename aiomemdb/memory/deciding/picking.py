"""What a name means, of all that it may mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ...errors import AmbiguousEntity
from ..drafts import NameRequest

__all__ = ["Candidate", "Named", "meant", "pick"]


class Named(Protocol):
    """An alias that has the wanted key: its type, the id of its entity, that one's type, and whether it is implied."""

    @property
    def type(self) -> str: ...
    @property
    def id(self) -> int: ...
    @property
    def type_key(self) -> str: ...
    @property
    def implied(self) -> bool: ...


class Candidate(NamedTuple):
    """An alias as a row."""

    type: str
    id: int
    type_key: str
    implied: bool = False


def pick(candidates: Sequence[Named], wanted: NameRequest) -> tuple[Named, bool] | AmbiguousEntity | None:
    """Return the alias that a name means, and whether its entity adopts the type; None: there is none.

    No type: the oldest entity of that name, of those that are not implied if there are any. A type: the same,
    otherwise one without a type, which adopts it. ``any_type``: as without a type, unless all are implied.
    """
    if not candidates:
        return None
    if not wanted.type_key or (wanted.any_type and not all(candidate.implied for candidate in candidates)):
        ids = {candidate.id for candidate in candidates}
        if wanted.strict and len(ids) > 1:
            return AmbiguousEntity(
                f"{len(ids)} entities are called {wanted.name!r} ({', '.join(map(str, sorted(ids)))}): give type="
            )
        return min(candidates, key=lambda candidate: (candidate.implied, candidate.id)), False
    for candidate in candidates:
        if candidate.type == wanted.type_key:
            return candidate, False
    for candidate in candidates:
        if candidate.type_key == wanted.type_key:
            return candidate, False
    untyped = [candidate for candidate in candidates if not candidate.type_key]
    return (min(untyped, key=lambda candidate: candidate.id), True) if untyped else None


def meant(candidates: Sequence[Named], wanted: NameRequest) -> int | AmbiguousEntity | None:
    """Return the id of the entity that a name means as it is; None: there is none, or it is to adopt the type."""
    picked = pick(candidates, wanted)
    return (None if picked[1] else picked[0].id) if isinstance(picked, tuple) else picked
