"""Rows as they move: all that a namespace has, in slices by id. Numbers are the ids of the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from ....formats.rows import EntityRow, EpisodeRow, EventRow, EvidenceRow, FactRow, Row
from ...exporting import Contents, Part
from ...questions import Model
from .rows import json_list
from .states import active_model, clocks

__all__ = ["contents", "evidence_of_texts", "rows"]

_VALUES = "(SELECT value FROM json_each(:{0}))"
# What is known since ever: a row that an early version of the library wrote before any line of the audit.
_EVER = -62_135_596_800_000_000


def contents(conn: sqlite3.Connection, namespaces: Sequence[str] | None) -> Contents:
    """What there is; None: of all namespaces, by name."""
    there = [row[0] for row in conn.execute("SELECT name FROM memory_namespace WHERE name IS NOT NULL ORDER BY name")]
    chosen = there if namespaces is None else [name for name in dict.fromkeys(namespaces) if name in there]
    here = {"spaces": json_list(chosen)}
    counts = {
        words: conn.execute(
            f"SELECT count(*) FROM {table} WHERE namespace IN (SELECT id FROM memory_namespace "
            f"WHERE name IN {_VALUES.format('spaces')})",
            here,
        ).fetchone()[0]
        for words, table in (("entities", "entity"), ("episodes", "episode"), ("facts", "fact"))
    }
    normalisers = conn.execute("SELECT key, value FROM memory_meta WHERE key LIKE '%normaliser'").fetchall()
    model = active_model(conn)
    return Contents(chosen, {row[0]: row[1] for row in normalisers}, None if model is None else model[1], counts)


def _at(event: str) -> str:
    """What the clock said at a line of the audit."""
    return f"(SELECT v.at FROM memory_event v WHERE v.id >= {event} ORDER BY v.id LIMIT 1)"


def _known(known: Callable[[int, int], int | None], event: int, at: int | None, row_at: int) -> int:
    since = known(event, row_at if at is None else at)
    return _EVER if since is None else since


def _until(
    known: Callable[[int, int], int | None], event: int | None, at: int | None, row_at: int | None
) -> int | None:
    return None if event is None or row_at is None else _known(known, event, at, row_at)


def rows(
    conn: sqlite3.Connection, part: Part, namespaces: Sequence[str], after: int, limit: int, model: Model | None
) -> list[Row]:
    """The next rows of a part, with the vectors of a model."""
    spaces = json_list(
        row[0]
        for row in conn.execute(
            f"SELECT id FROM memory_namespace WHERE name IN {_VALUES.format('spaces')}",
            {"spaces": json_list(namespaces)},
        )
    )
    params = {"spaces": spaces, "after": after, "limit": limit}
    found = _PARTS[part](conn, params)
    if part == "event" or not found:
        return found
    kind = "entity" if part == "merged" else part
    by_id = {row.number: row for row in found if isinstance(row, EntityRow | EpisodeRow | FactRow)}
    _note_made(conn, kind, by_id)
    if model is not None:
        vectors = conn.execute(
            "SELECT v.ref, v.data FROM memory_namespace n CROSS JOIN vector v "
            "ON v.model = (SELECT id FROM vector_model WHERE name = :model AND dim = :dim) "
            "AND v.namespace = n.id AND v.kind = :kind "
            f"AND v.ref IN {_VALUES.format('ids')} WHERE n.id IN {_VALUES.format('spaces')}",
            {"model": model.name, "dim": model.dim, "kind": kind, "ids": json_list(by_id), "spaces": spaces},
        )
        for ref, data in vectors.fetchall():
            by_id[ref].vector = data
    return found


def _note_made(conn: sqlite3.Connection, kind: str, by_id: dict[int, EntityRow | EpisodeRow | FactRow]) -> None:
    """Whether the first line of each in the audit is the usual one."""
    firsts = conn.execute(
        "SELECT j.value, v.operation, v.at, v.agent, v.other, v.reason FROM json_each(?) j LEFT JOIN memory_event v "
        "ON v.id = (SELECT min(w.id) FROM memory_event w WHERE w.ref = j.value AND w.kind = ? "
        "AND w.operation <> 'import')",
        (json_list(by_id), kind),
    )
    for id, *first in firsts.fetchall():
        row = by_id[id]
        row.created = first == ["create", row.created_at, row.agent, None, None]


_ENTITY = (
    "e.id, n.name, e.name, e.key, e.type, e.type_key, e.description, e.attributes, e.agent, e.created_at, "
    f"e.created_event, {_at('e.created_event')}, e.merged_into, e.established, {_at('e.established')}"
)
# Lines of one moment have one time. Where ids may not be in the order of lines, as one line established an entity that
# was there, or made one that was merged, microseconds tell them apart: so the order of creation is that of the lines.
_PLACE = """
    SELECT s.line - s.first FROM (SELECT :line AS line, ifnull((SELECT max(w.id) FROM memory_event w
        WHERE w.id < :line AND w.at <> :at), 0) + 1 AS first) s
    WHERE EXISTS (SELECT 1 FROM memory_event w LEFT JOIN entity m ON m.id = w.ref
        WHERE w.id BETWEEN s.first AND s.line AND w.kind = 'entity'
        AND (w.operation = 'establish' OR m.merged_into IS NOT NULL))"""


def _entities(conn: sqlite3.Connection, params: dict[str, object], merged: bool = False) -> list[Row]:
    known = clocks(conn)
    found: dict[int, EntityRow] = {}
    for row in conn.execute(
        f"SELECT {_ENTITY} FROM entity e JOIN memory_namespace n ON n.id = e.namespace WHERE e.id > :after "
        f"AND e.namespace IN {_VALUES.format('spaces')} AND e.merged_into IS {'NOT' if merged else ''} NULL "
        "ORDER BY e.id LIMIT :limit",
        params,
    ).fetchall():
        id, space, name, key, type, type_key, description, attributes, agent, created_at, event, at, *more = row
        into, established, established_at = more
        found[id] = EntityRow(
            number=id,
            namespace=space,
            name=name,
            key=key,
            type=type,
            type_key=type_key,
            description=description,
            attributes=attributes,
            agent=agent,
            created_at=created_at,
            known_from=_known(known, event, at, created_at),
            established=_established(conn, known, established, established_at, created_at),
            merged_into=into,
        )
    ids = (json_list(found),)
    for id, key, type in conn.execute(
        "SELECT a.entity, a.key, a.type FROM json_each(?) j CROSS JOIN entity_alias a ON a.entity = j.value "
        "ORDER BY a.key, a.type",
        ids,
    ).fetchall():
        found[id].aliases.append((key, type))
    for id, other, cosine in conn.execute(
        "SELECT s.b, s.a, s.cosine FROM json_each(?) j CROSS JOIN entity_similar s ON s.b = j.value ORDER BY s.a", ids
    ).fetchall():
        found[id].near.append((other, cosine))
    return list(found.values())


def _established(
    conn: sqlite3.Connection,
    known: Callable[[int, int], int | None],
    line: int | None,
    at: int | None,
    created_at: int,
) -> int | None:
    since = _until(known, line, at, created_at)
    if since is None or line is None or line <= 0:
        return since
    place = conn.execute(_PLACE, {"line": line, "at": at}).fetchone()
    return since if place is None else since + int(place[0])


def _merged(conn: sqlite3.Connection, params: dict[str, object]) -> list[Row]:
    return _entities(conn, params, merged=True)


_EPISODE = (
    "p.id, n.name, p.key, p.version, p.session, p.seq, p.agent, p.source, p.content, p.metadata, p.occurred_at, "
    f"p.occurred_offset, p.created_at, p.created_event, {_at('p.created_event')}, p.expired_at, p.expired_event, "
    f"{_at('p.expired_event')}"
)


def _episodes(conn: sqlite3.Connection, params: dict[str, object]) -> list[Row]:
    known = clocks(conn)
    found: dict[int, EpisodeRow] = {}
    for row in conn.execute(
        f"SELECT {_EPISODE} FROM episode p JOIN memory_namespace n ON n.id = p.namespace WHERE p.id > :after "
        f"AND p.namespace IN {_VALUES.format('spaces')} ORDER BY p.id LIMIT :limit",
        params,
    ).fetchall():
        id, space, key, version, session, seq, agent, source, content, metadata, *times = row
        occurred_at, offset, created_at, event, at, expired_at, expired_event, expired = times
        found[id] = EpisodeRow(
            number=id,
            namespace=space,
            content=content,
            key=key,
            version=version,
            session=session,
            seq=seq,
            agent=agent,
            source=source,
            metadata=metadata,
            occurred_at=occurred_at,
            occurred_offset=offset,
            created_at=created_at,
            known_from=_known(known, event, at, created_at),
            expired_at=expired_at,
            known_until=_until(known, expired_event, expired, expired_at),
        )
    for id, entity in conn.execute(
        "SELECT m.episode, m.entity FROM json_each(?) j CROSS JOIN mention m ON m.episode = j.value ORDER BY m.entity",
        (json_list(found),),
    ).fetchall():
        found[id].mentions.append(entity)
    return list(found.values())


_FACT = (
    "f.id, n.name, f.subject, f.predicate, f.predicate_given, f.object, f.value, f.value_given, f.text, f.valid_at, "
    "f.valid_offset, f.invalid_at, f.invalid_offset, f.agent, f.created_at, f.created_event, "
    f"{_at('f.created_event')}, f.expired_at, f.expired_event, {_at('f.expired_event')}, f.superseded_by"
)
_EVIDENCE = "v.fact, v.episode, v.quote, v.confidence, v.agent, v.created_at"


def _facts(conn: sqlite3.Connection, params: dict[str, object]) -> list[Row]:
    known = clocks(conn)
    found: dict[int, FactRow] = {}
    for row in conn.execute(
        f"SELECT {_FACT} FROM fact f JOIN memory_namespace n ON n.id = f.namespace WHERE f.id > :after "
        f"AND f.namespace IN {_VALUES.format('spaces')} ORDER BY f.id LIMIT :limit",
        params,
    ).fetchall():
        id, space, subject, predicate, predicate_given, object, value, value_given, text, *others = row
        valid_at, valid_offset, invalid_at, invalid_offset, agent, created_at, event, at, *ended = others
        expired_at, expired_event, expired, superseded_by = ended
        found[id] = FactRow(
            number=id,
            namespace=space,
            subject=subject,
            predicate=predicate,
            predicate_given=predicate_given,
            object=object,
            value=value,
            value_given=value_given,
            text=text,
            valid_at=valid_at,
            valid_offset=valid_offset,
            invalid_at=invalid_at,
            invalid_offset=invalid_offset,
            agent=agent,
            created_at=created_at,
            known_from=_known(known, event, at, created_at),
            expired_at=expired_at,
            known_until=_until(known, expired_event, expired, expired_at),
            superseded_by=superseded_by,
        )
    for fact, *said in conn.execute(
        f"SELECT {_EVIDENCE} FROM json_each(?) j CROSS JOIN fact_evidence v ON v.fact = j.value ORDER BY v.fact, v.id",
        (json_list(found),),
    ).fetchall():
        found[fact].evidence.append(_evidence(0, *said))
    return list(found.values())


def _evidence(
    fact: int, episode: int | None, quote: str | None, confidence: float, agent: str | None, created_at: int
) -> EvidenceRow:
    return EvidenceRow(
        fact=fact, episode=episode, quote=quote, confidence=confidence, agent=agent, created_at=created_at
    )


def evidence_of_texts(conn: sqlite3.Connection, texts: Sequence[int]) -> list[EvidenceRow]:
    """What texts evidence, in the order in which it was said."""
    rows = conn.execute(
        f"SELECT {_EVIDENCE} FROM json_each(?) j CROSS JOIN fact_evidence v ON v.episode = j.value ORDER BY v.id",
        (json_list(texts),),
    )
    return [_evidence(*row) for row in rows.fetchall()]


def _events(conn: sqlite3.Connection, params: dict[str, object]) -> list[Row]:
    """``number`` is the id of the last one that was looked at, whatever it is about."""
    rows = conn.execute(
        "SELECT v.id, n.name, v.at, v.operation, v.kind, v.ref, v.other, v.agent, v.reason FROM memory_event v "
        f"JOIN memory_namespace n ON n.id = v.namespace WHERE v.id > :after AND v.namespace IN "
        f"{_VALUES.format('spaces')} AND v.kind <> 'namespace' AND v.operation <> 'import' ORDER BY v.id LIMIT :limit",
        params,
    )
    return [
        EventRow(
            namespace=space,
            at=at,
            operation=operation,
            kind=kind,
            ref=ref,
            other=other,
            agent=agent,
            reason=reason,
            line=id,
        )
        for id, space, at, operation, kind, ref, other, agent, reason in rows.fetchall()
    ]


_PARTS: dict[Part, Callable[[sqlite3.Connection, dict[str, object]], list[Row]]] = {
    "entity": _entities,
    "merged": _merged,
    "episode": _episodes,
    "fact": _facts,
    "event": _events,
}
