"""The state that a job begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..questions import Model, Token
from .documents import KnownTexts

__all__ = ["State"]


@dataclass(slots=True, eq=False)
class State:
    """The state that a job begins with.

    Attributes:
        entity, episode, fact: the first ids that were never used.
        last_at: what the clock said at the newest line of the audit.
        last_at_of: the same by namespace, where a store has an order of lines for each.
        at: what the store's own clock says, in microseconds; None: this process's counts.
        last_entity: the highest id of an entity, where that is not the one before ``entity``; see ``upto``.
        token: the state itself.
        texts: those that evidence facts, and the last places of sessions, as far as they were asked for.
        namespaces: what the audit calls those that are there.
        model: that of the file's vectors, where it was asked for.
        near_left: (after, upto), the ids between which entities need their near names anew; asked for with it.
    """

    entity: int
    episode: int
    fact: int
    last_at: int
    token: Token
    texts: KnownTexts
    namespaces: Mapping[str, int]
    model: Model | None = None
    near_left: tuple[int, int] | None = None
    last_at_of: Mapping[str, int] | None = None
    at: int | None = None
    last_entity: int | None = None

    @property
    def upto(self) -> int:
        """The highest id of an entity."""
        return self.entity - 1 if self.last_entity is None else self.last_entity
