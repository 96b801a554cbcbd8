"""Ids of new rows, which a rule takes by itself: a process has many at once, and each job its own of them."""

from __future__ import annotations

from dataclasses import dataclass

from ....errors import AiomemdbError
from .asking import Asking
from .schema import ID_RANGE, KINDS

__all__ = ["Ids", "Range"]

_TAKE = "SELECT " + ", ".join(f"nextval('aiomemdb.{kind}_id') AS {kind}" for kind in KINDS)


@dataclass(slots=True, order=True)
class Range:
    """The first ids that were never used, and where they end."""

    entity: int
    episode: int
    fact: int
    entity_end: int
    episode_end: int
    fact_end: int

    def use(self, entities: int, episodes: int, facts: int) -> None:
        """Count ids as used: they are given to rows now. Raises: AiomemdbError: there were not so many."""
        self.entity += entities
        self.episode += episodes
        self.fact += facts
        if self.entity > self.entity_end or self.episode > self.episode_end or self.fact > self.fact_end:
            raise AiomemdbError(f"one job makes {ID_RANGE:,} new rows of a kind at most: make several of it")


class Ids:
    """Ranges that no job has now. The lowest is lent first, so that the ids of one process leave no gaps."""

    def __init__(self) -> None:
        self._free: list[Range] = []

    async def take(self, asking: Asking) -> Range:
        if self._free:
            self._free.sort()
            return self._free.pop(0)
        [row] = await asking.rows(_TAKE)
        first = [row[kind] for kind in KINDS]
        return Range(*first, *(id + ID_RANGE for id in first))

    def give_back(self, range: Range) -> None:
        """What is left of a range, which the next job takes."""
        if range.entity < range.entity_end and range.episode < range.episode_end and range.fact < range.fact_end:
            self._free.append(range)
