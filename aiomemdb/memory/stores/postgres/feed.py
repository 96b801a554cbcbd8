"""The lines of the audit behind a place, with what they are about as it is now.

Within a namespace lines are in the order of their commits. Across namespaces they become visible in any order: so a
place has the line that was read last of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self

from ...questions import FeedLine, FeedPlace
from ...records import entity_of, episode_of, event_of, fact_of
from ...times import to_micros
from ...values import Entity, Episode, Event, Fact
from ..columns import ENTITY, EPISODE, EVENT, FACT
from ..feeding import gone_since, not_of_this_memory, placed
from .asking import Asking
from .statements import Statement, rows_from, statement

__all__ = ["Turns", "check", "lines_behind", "newest_place"]

# Seconds after which a watch looks for what other processes have done.
_LOOKS_AFTER = 0.2

_SPACES = (
    "SELECT id, name, last_event, last_at FROM aiomemdb.memory_namespace WHERE name = ANY (:spaces::text[]) ORDER BY id"
)


class Turns:
    """Turns in which the audit may have grown: what this process writes is one at once, and so is each look."""

    def __init__(self, turns: set[Turns]) -> None:
        self._turns = turns
        self._written = asyncio.Event()
        turns.add(self)

    def wake(self) -> None:
        self._written.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> None:
        try:
            async with asyncio.timeout(_LOOKS_AFTER):
                await self._written.wait()
        except TimeoutError:
            pass
        self._written.clear()

    async def aclose(self) -> None:
        self._turns.discard(self)


async def newest_place(asking: Asking, namespaces: Sequence[str]) -> FeedPlace:
    rows = await asking.rows(_SPACES, spaces=list(namespaces))
    return FeedPlace(
        max((row["last_event"] for row in rows), default=0),
        {row["name"]: row["id"] for row in rows},
        {str(row["id"]): row["last_event"] for row in rows},
        times={str(row["id"]): row["last_at"] for row in rows if row["last_event"]},
    )


async def check(asking: Asking, place: FeedPlace) -> None:
    """Raises: ValueError: a line of the place is not in this database, so what is behind it can't be told."""
    [result] = await asking.all([_lost(place)])
    if result.rows:
        raise not_of_this_memory()


def _lost(place: FeedPlace) -> Statement:
    """A statement that returns the lines of a place that are other ones here, or missing."""
    lines = [(int(space), (place.events or {}).get(space), at) for space, at in place.times.items()]
    source, params = rows_from("namespace event at", lines)
    return statement(
        f"SELECT r.event FROM {source} LEFT JOIN aiomemdb.memory_event v ON v.namespace = r.namespace "
        "AND v.id = r.event WHERE v.at IS DISTINCT FROM r.at",
        params,
    )


async def lines_behind(
    asking: Asking, namespaces: Sequence[str], place: FeedPlace, kinds: Sequence[str], limit: int
) -> tuple[list[FeedLine], FeedPlace]:
    """At most ``limit`` lines, and the place behind them. Of a namespace that was forgotten meanwhile there is one
    line, which says that.

    Raises: ValueError: as ``check``; where a replica answers, it may only be behind.
    """
    lost, found_spaces = await asking.all([_lost(place), statement(_SPACES, {"spaces": list(namespaces)})])
    if lost.rows:
        raise not_of_this_memory()
    rows = found_spaces.rows
    now = {row["name"]: row["id"] for row in rows}
    gone = gone_since(place, now)

    def after(space: int) -> int:
        return place.event if place.events is None else place.events.get(str(space), 0)

    # All lines up to those are there to be read: in a namespace they are committed in their order.
    source, params = rows_from(
        "namespace since last_event",
        [
            *((row["id"], after(row["id"]), row["last_event"]) for row in rows),
            *((space, after(space), 2**63 - 1) for space in gone),
        ],
    )
    lines = await asking.rows(
        f"SELECT {EVENT}, v.namespace FROM {source} JOIN aiomemdb.memory_event v ON v.namespace = r.namespace "
        "AND v.id > r.since AND v.id <= r.last_event WHERE CASE WHEN v.namespace = ANY (:gone::bigint[]) "
        "THEN v.kind = 'namespace' AND v.operation = 'forget' ELSE v.kind = ANY (:kinds::text[]) END "
        "ORDER BY v.id LIMIT :limit::bigint",
        **params,
        gone=gone,
        kinds=list(kinds),
        limit=limit,
    )
    events = [(event_of(*tuple(row)[:-1]), row["namespace"]) for row in lines]
    before = {**(place.events or {}), **{str(space): after(space) for space in (*now.values(), *gone)}}
    read, times = dict(before), dict(place.times)
    if len(events) == limit:
        read |= {str(space): event.id for event, space in events}
        times |= {str(space): to_micros("at", event.at) for event, space in events}
    else:
        read |= {str(row["id"]): row["last_event"] for row in rows}
        times |= {str(row["id"]): row["last_at"] for row in rows if row["last_event"]}
    seen = {event.ref for event, _ in events if event.kind == "namespace"}
    left = {name: id for name, id in place.spaces.items() if id in gone and id not in seen and len(events) == limit}
    behind = FeedPlace(max([place.event, *read.values()]), {**now, **left}, read, times=times)
    items = await _items(asking, namespaces, [event for event, _ in events])
    found = [(event, items.get((event.kind, event.ref)), space) for event, space in events]
    return placed(found, FeedPlace(place.event, place.spaces, before, times=place.times), behind), behind


async def _items(
    asking: Asking, namespaces: Sequence[str], events: Sequence[Event]
) -> Mapping[tuple[str, int], Entity | Fact | Episode]:
    """What lines are about, of what is there and readable."""
    kinds = {
        "entity": (ENTITY, "e", "AND e.merged_into IS NULL", entity_of),
        "episode": (EPISODE, "p", "", episode_of),
        "fact": (FACT, "f", "", fact_of),
    }
    wanted = {kind: sorted({event.ref for event in events if event.kind == kind}) for kind in kinds}
    asked = [kind for kind, ids in wanted.items() if ids]
    results = await asking.all(
        [
            statement(
                f"SELECT {columns} FROM aiomemdb.memory_namespace n JOIN aiomemdb.{kind} {letter} "
                f"ON {letter}.namespace = n.id WHERE n.name = ANY (:spaces::text[]) "
                f"AND {letter}.id = ANY (:ids::bigint[]) {more} ORDER BY {letter}.id",
                {"spaces": list(namespaces), "ids": wanted[kind]},
            )
            for kind in asked
            for columns, letter, more, _ in [kinds[kind]]
        ]
    )
    items: dict[tuple[str, int], Entity | Fact | Episode] = {}
    for kind, result in zip(asked, results, strict=True):
        for row in result.rows:
            items[kind, row[0]] = kinds[kind][3](*row)  # type: ignore[operator]
    return items
