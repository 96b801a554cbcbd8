"""Rows as they move, made of what a store has read; and which columns that takes, in the SQL that all engines have.

When something is known is said by the clock: ``Since`` turns a line of the audit into that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from ...formats.rows import EntityRow, EpisodeRow, EventRow, EvidenceRow, FactRow
from ...values import Row
from ..pictures import Since

__all__ = [
    "APART",
    "EVENT",
    "EVIDENCE",
    "OF_ROWS",
    "SPACES",
    "At",
    "entity_columns",
    "entity_row",
    "episode_columns",
    "episode_row",
    "event_row",
    "evidence_row",
    "fact_columns",
    "fact_row",
    "moments",
    "note_made",
    "note_moments",
]

_Row: TypeAlias = Sequence[Any] | Row
#: An expression for what the clock said at the line in a column of a table.
At: TypeAlias = Callable[[str, str], str]

# What is known since ever: a row that an early version of the library wrote before any line of the audit.
_EVER = -62_135_596_800_000_000

_ENTITY = "name key type type_key description attributes agent created_at merged_into"
_EPISODE = "content key version session seq agent source metadata occurred_at occurred_offset created_at expired_at"
_FACT = (
    "subject predicate predicate_given object value value_given text valid_at valid_offset invalid_at invalid_offset "
    "agent created_at expired_at superseded_by"
)
_EVENT = "at operation kind ref other agent reason"

#: Namespaces that hold something, by name: a file has no word of those that hold nothing any more.
SPACES = (
    "SELECT n.name FROM {0}memory_namespace n WHERE n.name IS NOT NULL AND (EXISTS (SELECT 1 FROM {0}entity e "
    "WHERE e.namespace = n.id) OR EXISTS (SELECT 1 FROM {0}episode p WHERE p.namespace = n.id)) ORDER BY n.name"
)
#: The tables are called e, p, f, v and n (memory_namespace), as in ``columns``.
EVIDENCE = "v.fact, v.episode, v.quote, v.confidence, v.agent, v.created_at"
EVENT = "v.id, n.name, " + ", ".join(f"v.{name}" for name in _EVENT.split())
#: Lines of the audit that are about rows, and are not of an import.
OF_ROWS = "v.kind <> 'namespace' AND v.operation <> 'import'"
#: A line ``w`` of the audit by which ids may not be in the order of lines: it established an entity that was there, or
#: made one that was merged. ``m`` is the entity that it is about.
APART = "w.kind = 'entity' AND (w.operation = 'establish' OR m.merged_into IS NOT NULL)"


def _columns(letter: str, at: At, lines: Sequence[str], names: str) -> str:
    clocks = ", ".join(f"{letter}.{line}, {at(letter, line)}" for line in lines)
    return f"{letter}.id, n.name, {clocks}, " + ", ".join(f"{letter}.{name}" for name in names.split())


def entity_columns(at: At) -> str:
    return _columns("e", at, ["created_event", "established"], _ENTITY)


def episode_columns(at: At) -> str:
    return _columns("p", at, ["created_event", "expired_event"], _EPISODE)


def fact_columns(at: At) -> str:
    return _columns("f", at, ["created_event", "expired_event"], _FACT)


def _from(since: Since, space: str, line: int, at: int | None, row_at: int) -> int:
    known = since(space, line, row_at if at is None else at)
    return _EVER if known is None else known


def _until(since: Since, space: str, line: int | None, at: int | None, row_at: int | None) -> int | None:
    return None if line is None or row_at is None else _from(since, space, line, at, row_at)


def entity_row(row: _Row, since: Since) -> EntityRow:
    """An entity without its names, and since when it is established, by the clock alone (``note_moments``)."""
    id, space, line, at, established, established_at, *others = row
    named: dict[str, Any] = dict(zip(_ENTITY.split(), others, strict=True))
    return EntityRow(
        number=id,
        namespace=space,
        known_from=_from(since, space, line, at, named["created_at"]),
        established=_until(since, space, established, established_at, named["created_at"]),
        **named,
    )


def episode_row(row: _Row, since: Since) -> EpisodeRow:
    """A text without what it mentions."""
    return EpisodeRow(**_lasting(row, _EPISODE, since))


def fact_row(row: _Row, since: Since) -> FactRow:
    """A fact without its evidence."""
    return FactRow(**_lasting(row, _FACT, since))


def _lasting(row: _Row, names: str, since: Since) -> dict[str, Any]:
    id, space, line, at, expired, expired_line_at, *others = row
    named: dict[str, Any] = dict(zip(names.split(), others, strict=True))
    return {
        "number": id,
        "namespace": space,
        "known_from": _from(since, space, line, at, named["created_at"]),
        "known_until": _until(since, space, expired, expired_line_at, named["expired_at"]),
        **named,
    }


def evidence_row(row: _Row, *, stands_with_its_fact: bool = False) -> EvidenceRow:
    fact, episode, quote, confidence, agent, created_at = row
    return EvidenceRow(
        fact=0 if stands_with_its_fact else fact,
        episode=episode,
        quote=quote,
        confidence=confidence,
        agent=agent,
        created_at=created_at,
    )


def event_row(row: _Row) -> EventRow:
    """``line`` is its id."""
    id, space, *others = row
    return EventRow(line=id, namespace=space, **dict(zip(_EVENT.split(), others, strict=True)))


def note_made(rows: Iterable[EntityRow | EpisodeRow | FactRow], firsts: Iterable[_Row]) -> None:
    """Note whether the audit's first line about each row is the usual one.

    Args:
        firsts: of each row its id, and of that line operation, at, agent, other and reason.
    """
    by_id = {row.number: row for row in rows}
    for id, *first in firsts:
        row = by_id[id]
        row.created = first == ["create", row.created_at, row.agent, None, None]


# What several lines made known may be known since one time: they are of one moment, or the clock went back behind them.
# Where ids may not be in the order of lines, microseconds tell them apart: the order of creation is that of the lines.


def moments(entities: Iterable[EntityRow], rows: Iterable[_Row]) -> list[tuple[str, int, int, int]]:
    """The times since when entities are established: (namespace, time, the first line of them here, the last one).
    All lines between that one and the last one with an earlier clock are of that time.

    Args:
        rows: those that the entities were made of, in their order.
    """
    found: dict[tuple[str, int], list[int]] = {}
    for entity, (_, space, _, _, line, *_) in zip(entities, rows, strict=True):
        if entity.established is not None and line > 0:
            found.setdefault((space, entity.established), []).append(line)
    return [(space, since, min(lines), max(lines)) for (space, since), lines in found.items()]


def note_moments(entities: Iterable[EntityRow], rows: Iterable[_Row], lines: Iterable[_Row]) -> None:
    """Add to since when entities are established their place among the lines of that time.

    Args:
        rows: those that the entities were made of, in their order.
        lines: of each time namespace, time, its first line of all, and the first one that is ``APART``.
    """
    of_time = {(space, since): (first, apart) for space, since, first, apart in lines}
    for entity, (_, space, _, _, line, *_) in zip(entities, rows, strict=True):
        if entity.established is not None and line > 0:
            first, apart = of_time[space, entity.established]
            entity.established += line - first if apart is not None and apart <= line else 0
