"""Places in the feed, on every engine."""

from __future__ import annotations

from collections.abc import Iterable

from ..questions import FeedLine, FeedPlace
from ..times import to_micros
from ..values import Entity, Episode, Event, Fact

__all__ = ["gone_since", "not_of_this_memory", "placed"]


def not_of_this_memory() -> ValueError:
    """No line is ever deleted, and none gets another's number, except where the memory is another one."""
    return ValueError(
        "the position is of another memory, or of a later state than this one has: a backup was put in its place. "
        "Look at what is there now, and go on from memory.position()"
    )


def gone_since(place: FeedPlace, now: dict[str, int]) -> list[int]:
    """The namespaces that a reader has read, and that are forgotten by now."""
    return [id for name, id in place.spaces.items() if now.get(name) != id]


def placed(
    lines: Iterable[tuple[Event, Entity | Fact | Episode | None, int | None]], place: FeedPlace, behind: FeedPlace
) -> list[FeedLine]:
    """Lines, each with the place behind it.

    Args:
        lines: in order; with each its namespace, where lines have no order across namespaces.
        place: where the reader was.
        behind: the place behind all of them.
    """
    spaces = {**behind.spaces, **place.spaces}
    events = None if behind.events is None else dict(place.events or {})
    times = dict(place.times)
    found: list[FeedLine] = []
    for event, item, space in lines:
        if event.kind == "namespace":  # one of that name may have been made since
            for name in [name for name, id in spaces.items() if id == event.ref]:
                del spaces[name]
                if name in behind.spaces:
                    spaces[name] = behind.spaces[name]
        at = to_micros("at", event.at)
        if events is not None:
            events[str(space)], times[str(space)] = event.id, at
        known = None if events is None else dict(events)
        found.append((event, item, FeedPlace(event.id, dict(spaces), known, at, dict(times))))
    return found
