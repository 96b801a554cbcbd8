"""What the verbs of a view stand on: its memory, its namespaces, and what a caller may hand to it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, SupportsFloat, TypeAlias, TypeVar

from ..observing import around_verbs
from .core import Core
from .drafts import Scope
from .pages import Place, place_of
from .questions import Kind
from .values import Entity, Episode, Event, Evidence, Fact

__all__ = ["View", "after_id", "by_id", "checked_count", "id_of", "kind_of", "observed", "one_more"]

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V", bound="View")

Verb: TypeAlias = Callable[Concatenate[V, P], Coroutine[Any, Any, R]]


class View:
    """A view of the memory: its own namespace, which its verbs write, and those that they read too.

    Cancellation of a verb that reads: nothing happens. One that writes is one job: see ``Memory``.
    """

    _core: Core
    _scope: Scope

    async def _ids(self, who: str | Entity) -> list[int]:
        """The ids of a name or a handle, in all namespaces that are read. They may be merged away until they are used:
        the store follows that.
        """
        if isinstance(who, Entity):
            return [who.id]
        if not isinstance(who, str):
            raise TypeError(f"{who!r}: a name or an Entity (a bare number is never an id)")
        wanted = self._core.drafter().name("name", who)
        found = [await self._core.find(Scope(namespace), wanted) for namespace in self._scope.readable]
        return [entity.id for entity in found if entity is not None]


def observed(operation: str) -> Callable[[Verb[V, P, R]], Verb[V, P, R]]:
    """A verb that observers may be around; ``operation`` is what OpenTelemetry calls it."""

    def decorate(verb: Verb[V, P, R]) -> Verb[V, P, R]:
        @wraps(verb)
        async def call(self: V, /, *args: P.args, **kwargs: P.kwargs) -> R:
            around = around_verbs.get(self._core.db) if around_verbs else None
            if around is None:
                return await verb(self, *args, **kwargs)
            with around(operation, self._scope.namespace, args) as done:
                result = await verb(self, *args, **kwargs)
                done(result)
                return result

        return call

    return decorate


def kind_of(target: Entity | Fact | Episode) -> tuple[Kind, int]:
    """Raises: TypeError: none of the three; a bare number is never an id."""
    for kind, of in (("entity", Entity), ("fact", Fact), ("episode", Episode)):
        if isinstance(target, of):
            return kind, target.id
    raise TypeError(f"{target!r}: an Entity, a Fact or an Episode")


def checked_count(what: str, limit: int) -> int:
    """Raises: TypeError, ValueError: no count."""
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"{what}={limit!r}: a whole number")
    if not 0 <= limit < 2**62:
        raise ValueError(f"{what}={limit}: from 0 to 2**62 - 1")
    return limit


def checked_share(what: str, share: float) -> float:
    """Raises: TypeError: no number; ValueError: it is not from 0 to 1."""
    if isinstance(share, bool) or not isinstance(share, SupportsFloat):
        raise TypeError(f"{what}={share!r}: a number from 0 to 1")
    number = float(share)
    if not 0 <= number <= 1:  # nor is NaN
        raise ValueError(f"{what}={share!r}: a number from 0 to 1")
    return number


def one_more(limit: int) -> int:
    """By which it shows whether there is a next page. Raises: as ``checked_count``; ValueError: 0."""
    if checked_count("limit", limit) < 1:
        raise ValueError(f"limit={limit}: at least 1")
    return limit + 1


def after_id(listing: str, cursor: str | None, *, first: int = 0) -> int:
    """The id after which a page begins; ``first`` is that of the first page."""
    place = place_of(listing, cursor, 1)
    return first if place is None else place[0]


def by_id(item: Entity | Fact | Episode | Event | Evidence) -> Place:
    return (item.id,)


def id_of(entity: Entity) -> int:
    if not isinstance(entity, Entity):
        raise TypeError(f"{entity!r}: an Entity (a bare number is never an id)")
    return entity.id
