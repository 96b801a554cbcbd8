"""The tests' server for memories on PostgreSQL, how its database is emptied, and how a memory must be afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support import postgres

__all__ = ["assert_sound", "database", "emptied"]


@contextmanager
def database() -> Iterator[str]:
    """The URL of a database of its own."""
    if postgres.RUNNING is not None:
        url = postgres.create(postgres.RUNNING)
        yield url
        postgres.drop(url)
        return
    with postgres.Server.started("fsync=off", "synchronous_commit=off", "full_page_writes=off") as server:
        yield server.create()


def emptied(url: str) -> str:
    """The URL, of a database without a row of a memory: that takes a twentieth of the time of a new one."""
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'aiomemdb'").fetchall()
        # What has rows is deleted: TRUNCATE makes new files for each.
        deletes = [f"DELETE FROM aiomemdb.{name}" for (name,) in tables if name != "memory_migration"]
        sequences = connection.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'aiomemdb'").fetchall()
        restarts = [f"ALTER SEQUENCE aiomemdb.{name} RESTART" for (name,) in sequences]
        if deletes:
            connection.execute("; ".join([*deletes, *restarts]))
    return url


_KINDS = ("entity", "fact", "episode")
_BY_ID = "x.namespace = {0}.namespace AND x.id = {0}.{1}"


def _without(table: str, column: str, of: str, where: str = "TRUE") -> str:
    """Rows that refer to no row."""
    return (
        f"SELECT t.* FROM aiomemdb.{table} t WHERE t.{column} IS NOT NULL AND {where} AND NOT EXISTS "
        f"(SELECT 1 FROM aiomemdb.{of} x WHERE {_BY_ID.format('t', column)})"
    )


def assert_sound(url: str) -> None:
    """The memory is whole: no row is without what it belongs to, and its words are those that it has."""
    checks = (
        _without("entity_alias", "entity", "entity"),
        _without("entity", "merged_into", "entity"),
        _without("mention", "entity", "entity"),
        _without("mention", "episode", "episode"),
        _without("entity_similar", "a", "entity"),
        _without("entity_similar", "b", "entity"),
        _without("fact", "subject", "entity"),
        _without("fact", "object", "entity"),
        _without("fact_evidence", "fact", "fact"),
        _without("fact_evidence", "episode", "episode"),
        *(_without("vector", "ref", kind, f"t.kind = '{kind}'") for kind in _KINDS),
        *(_without(f"{kind}_word", "ref", kind) for kind in _KINDS),
        # Below 0 they are times: what was imported is known since then.
        *(_without(kind, "created_event", "memory_event", "t.created_event >= 0") for kind in _KINDS),
        *(_without(kind, "expired_event", "memory_event", "t.expired_event >= 0") for kind in ("fact", "episode")),
        "SELECT * FROM aiomemdb.entity e WHERE merged_into IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM aiomemdb.entity_alias a WHERE a.namespace = e.namespace AND a.entity = e.id)",
        "SELECT * FROM aiomemdb.fact f WHERE expired_at IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM aiomemdb.fact_evidence v WHERE v.namespace = f.namespace AND v.fact = f.id)",
        "SELECT * FROM (SELECT namespace, id, at < lag(at) OVER (PARTITION BY namespace ORDER BY id) AS back "
        "FROM aiomemdb.memory_event WHERE id > 0) e WHERE back AND NOT EXISTS "
        "(SELECT 1 FROM aiomemdb.memory_clock_back b WHERE b.namespace = e.namespace AND b.event = e.id)",
        "SELECT * FROM aiomemdb.memory_namespace n WHERE last_event <> coalesce("
        "(SELECT max(id) FROM aiomemdb.memory_event e WHERE e.namespace = n.id), 0)",
        *map(_words_differ, _KINDS),
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for check in checks:
            assert connection.execute(check).fetchall() == [], check


def _words_differ(kind: str) -> str:
    """Rows and words that don't agree on each other, and counts that are not those of the rows."""
    believed = "merged_into IS NULL" if kind == "entity" else "expired_at IS NULL"
    return (
        f"SELECT 'row', t.id FROM aiomemdb.{kind} t JOIN LATERAL (SELECT array_agg(w.word ORDER BY w.word) AS words, "
        f"bool_and(w.believed = (t.{believed})) AS agrees, bool_and(w.length = t.length) AS long, "
        f"sum(cardinality(w.positions)) AS length FROM aiomemdb.{kind}_word w WHERE w.namespace = t.namespace "
        "AND w.ref = t.id) w ON TRUE WHERE w.words IS DISTINCT FROM (SELECT array_agg(u ORDER BY u) "
        "FROM unnest(t.words) u) OR NOT w.agrees OR NOT w.long OR coalesce(w.length, 0) <> t.length "
        "UNION ALL SELECT 'counts', n.id FROM aiomemdb.memory_namespace n LEFT JOIN aiomemdb.memory_words m "
        f"ON m.namespace = n.id AND m.kind = '{kind}' CROSS JOIN LATERAL (SELECT count(*) AS rows, "
        f"count(*) FILTER (WHERE {believed}) AS believed, coalesce(sum(length), 0) AS words FROM aiomemdb.{kind} t "
        "WHERE t.namespace = n.id) c WHERE (coalesce(m.rows, 0), coalesce(m.believed_rows, 0), "
        "coalesce(m.words_count, 0)) <> (c.rows, c.believed, c.words)"
    )
