"""The feed: what was done in a memory, as it is committed."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Iterable

from .questions import FeedPlace
from .values import Change
from .view import View

__all__ = ["KINDS", "ChangeVerbs", "place_of", "position_of"]

_AT_ONCE = 100
KINDS = ("entity", "fact", "episode", "namespace")


class ChangeVerbs(View):
    def changes(self, after: str | None = None, *, kinds: Iterable[str] = KINDS) -> AsyncGenerator[Change, None]:
        """Iterate over what is done in the namespaces that this view reads, by all processes, in commit order.

        ``async for change in memory.changes(after=position): ...`` Each change comes once, after its commit, with no
        gap. Its ``position`` can be stored; the next iteration takes it up from there, after a restart too. What it is
        about comes as it is now, or None where it was forgotten or merged since. A namespace that was forgotten
        meanwhile is one change: its kind is "namespace", its operation "forget". A slow reader costs no memory.

        Args:
            after: the position of the latest change that you have handled. None: only what is done from the first
                iteration on; "start": all that the audit has.
            kinds: of "entity", "fact", "episode", "namespace"; default: all.

        Raises: ValueError, TypeError: no such kind; ``after`` is not the position of a change. From the iteration:
            ValueError: it is a position of another file, or of a later state than a restored backup has;
            DatabaseClosed, what reads raise; AiomemdbError: in a transaction.

        Cancellation: nothing is left, and nothing is lost: go on from the latest position.
        """
        wanted = tuple(kinds)
        if isinstance(kinds, str) or not set(wanted) <= set(KINDS):
            raise ValueError(f"kinds={kinds!r}: several of {', '.join(KINDS)}")
        return self._changes(place_of(after), after is None, wanted)

    async def position(self) -> str:
        """Return the position behind all that was done so far: ``changes(after=position)`` goes on from there.

        So a program that reads first, or reports that it watches, misses nothing that is done meanwhile.

        Raises: what reads raise; AiomemdbError: in a transaction.
        Cancellation: nothing happens.
        """
        return position_of(await self._core.store.newest_place(self._scope.readable))

    async def _changes(self, place: FeedPlace, from_now: bool, kinds: tuple[str, ...]) -> AsyncGenerator[Change, None]:
        store, readable = self._core.store, self._scope.readable
        watch = store.watch()
        try:
            if from_now:
                place = await store.newest_place(readable)
            while True:
                found, behind = await store.lines_behind(readable, place, kinds, _AT_ONCE)
                for event, item, at in found:
                    yield Change(event, item, position_of(at))
                place = behind
                if not found:
                    await anext(watch)
        finally:
            await watch.aclose()


def position_of(place: FeedPlace) -> str:
    """A place as callers keep it."""
    text = json.dumps(
        ["changes", place.event, place.spaces, place.events, place.at, place.times], separators=(",", ":")
    )
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(after: str | None) -> FeedPlace:
    """Raises: ValueError, TypeError: it is no position."""
    if after is None or after == "start":
        return FeedPlace(0, {})
    if not isinstance(after, str):
        raise TypeError(f"after={after!r}: the position of a change, or 'start'")
    try:
        of, event, spaces, *more = json.loads(base64.b64decode(after + "=" * (-len(after) % 4), b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        of, event, spaces, more = None, None, None, []
    events, at, times = (*more, None, None, None)[:3]
    if of != "changes" or type(event) is not int or not (isinstance(spaces, dict) and isinstance(events, dict | None)):
        raise ValueError(f"after={after!r} is not the position of a change")
    if not (isinstance(times, dict) and all(space.isdecimal() and type(at) is int for space, at in times.items())):
        times = {}
    return FeedPlace(event, spaces, events, at if type(at) is int else None, times)
