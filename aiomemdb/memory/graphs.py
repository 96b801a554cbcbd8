"""The verb that returns the graph, or a part of it."""

from __future__ import annotations

from collections.abc import Iterable

from .answers import Graph
from .questions import GraphQuery
from .substrings import lowered
from .times import micros_or_now
from .view import View

__all__ = ["GraphVerbs"]


class GraphVerbs(View):
    async def graph(
        self,
        *,
        names: Iterable[str] | None = None,
        containing: str | None = None,
        predicate: str | None = None,
        implied: bool = False,
    ) -> Graph:
        """Return entities and the facts that are believed of them now, all in one snapshot.

        There is no limit: without ``names`` and ``containing`` it is all that this view reads, in memory at once, and
        all facts with an object are among its facts.

        On a file a second question with ``containing`` reads the values of facts into memory, up to 64 MB of text,
        where later ones find it. What was forgotten leaves it with the next such question.

        Args:
            names: only entities that one of these names means, whatever their types.
            containing: only entities with this part in their name, their type or a value, without regard to case.
            predicate: of values, those of this predicate alone are looked at and returned; None: all.
            implied: whether entities are returned that facts alone have named (``Entity.implied``).

        Raises: ValueError, TypeError: a name, as ``find_or_create_entity``; ``names`` are not several.
        Cancellation: nothing happens.
        """
        drafter = self._core.drafter()
        keys: list[str] | None = None
        if names is not None:
            if isinstance(names, str):
                raise TypeError("names must be several: names=[...]")
            keys = [drafter.name("a name", name).key for name in names]
        if containing is not None and not isinstance(containing, str):
            raise TypeError(f"containing={containing!r}: a str")
        query = GraphQuery(
            micros_or_now("as_of", None),
            keys,
            None if containing is None else lowered(containing),
            None if predicate is None else drafter.predicate(predicate),
            implied,
        )
        return await self._core.store.of_one_state(lambda reads: reads.graph(self._scope.readable, query))
