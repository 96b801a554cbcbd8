"""The lines of the audit behind a place, with what they are about as it is now."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from ...questions import FeedLine, FeedPlace
from ...records import entity_of, episode_of, event_of
from ...times import to_micros
from ...values import Entity, Episode, Event, Fact
from ..columns import ENTITY, EPISODE, EVENT
from ..feeding import gone_since, not_of_this_memory, placed
from .rows import facts_by_id, json_list

__all__ = ["lines_behind", "newest_place"]

_VALUES = "(SELECT value FROM json_each(?))"


def newest_place(conn: sqlite3.Connection, namespaces: Sequence[str]) -> FeedPlace:
    newest, at = conn.execute("SELECT ifnull(max(id), 0), at FROM memory_event").fetchone()
    return FeedPlace(newest, _ids(conn, namespaces), at=at)


def lines_behind(
    conn: sqlite3.Connection, namespaces: Sequence[str], place: FeedPlace, kinds: Sequence[str], limit: int
) -> tuple[list[FeedLine], FeedPlace]:
    """At most ``limit`` lines, in order, and the place behind them.

    All writers take turns at the file: so ids of lines are in the order of their commits, and none comes in later.
    Of a namespace that was forgotten meanwhile there is one line, which says that.

    Raises: ValueError: the line of the place is not in this file, so what is behind it can't be told.
    """
    _check(conn, place)
    now = _ids(conn, namespaces)
    gone = gone_since(place, now)
    rows = conn.execute(
        f"SELECT {EVENT} FROM memory_event v WHERE v.id > ? AND ((v.namespace IN {_VALUES} AND v.kind IN {_VALUES}) "
        f"OR (v.namespace IN {_VALUES} AND v.kind = 'namespace' AND v.operation = 'forget')) ORDER BY v.id LIMIT ?",
        (place.event, json_list(now.values()), json_list(kinds), json_list(gone), limit),
    ).fetchall()
    events = [event_of(*row) for row in rows]
    if len(events) == limit:
        upto, at = events[-1].id, to_micros("at", events[-1].at)
    else:
        upto, at = conn.execute("SELECT ifnull(max(id), 0), at FROM memory_event").fetchone()
    seen = {event.ref for event in events if event.kind == "namespace"}
    left = {name: id for name, id in place.spaces.items() if id in gone and id not in seen and len(events) == limit}
    items = _items(conn, list(now.values()), events)
    behind = FeedPlace(upto, {**now, **left}, at=at)
    return placed(((event, items.get((event.kind, event.ref)), None) for event in events), place, behind), behind


def _check(conn: sqlite3.Connection, place: FeedPlace) -> None:
    if place.event == 0:
        return
    line = conn.execute("SELECT at FROM memory_event WHERE id = ?", (place.event,)).fetchone()
    if line is None or place.at not in (None, line[0]):
        raise not_of_this_memory()


def _ids(conn: sqlite3.Connection, namespaces: Sequence[str]) -> dict[str, int]:
    rows = conn.execute(f"SELECT name, id FROM memory_namespace WHERE name IN {_VALUES}", (json_list(namespaces),))
    return {row[0]: row[1] for row in rows.fetchall()}


def _items(
    conn: sqlite3.Connection, spaces: Sequence[int], events: Sequence[Event]
) -> Mapping[tuple[str, int], Entity | Fact | Episode]:
    wanted = {kind: json_list({event.ref for event in events if event.kind == kind}) for kind in ("entity", "episode")}
    facts = [event.ref for event in events if event.kind == "fact"]
    here = json_list(spaces)
    items: dict[tuple[str, int], Entity | Fact | Episode] = {}
    for row in conn.execute(
        f"SELECT {ENTITY} FROM json_each(?) j CROSS JOIN entity e ON e.id = j.value "
        f"JOIN memory_namespace n ON n.id = e.namespace WHERE +e.namespace IN {_VALUES} AND e.merged_into IS NULL",
        (wanted["entity"], here),
    ).fetchall():
        items["entity", row[0]] = entity_of(*row)
    for row in conn.execute(
        f"SELECT {EPISODE} FROM json_each(?) j CROSS JOIN episode p ON p.id = j.value "
        f"JOIN memory_namespace n ON n.id = p.namespace WHERE +p.namespace IN {_VALUES}",
        (wanted["episode"], here),
    ).fetchall():
        items["episode", row[0]] = episode_of(*row)
    readable = conn.execute(
        f"SELECT id FROM fact WHERE id IN {_VALUES} AND +namespace IN {_VALUES}", (json_list(facts), here)
    ).fetchall()
    for fact in facts_by_id(conn, [row[0] for row in readable]):
        items["fact", fact.id] = fact
    return items
