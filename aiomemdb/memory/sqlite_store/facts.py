"""Facts: stated, said again, superseded, retracted. No row changes but in when it expired and ``superseded_by``.

A believed fact is identified by subject, predicate, object or value, and ``valid_at``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...errors import NotFound
from ..store import DraftFact, Scope
from ..values import Fact
from .rows import facts_by_id, json_list
from .schema import UNBOUNDED
from .setwise import apply, load
from .work import Work

__all__ = ["IDENTITY", "expire", "expire_unfounded", "retract", "state", "unite_evidence", "unsaid"]

_INSERT = (
    "INSERT INTO fact "
    "(id, namespace, subject, predicate, predicate_given, object, value, value_given, text, valid_at, valid_offset, "
    "invalid_at, invalid_offset, created_at, created_event, agent) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
#: What identifies a believed fact, in the words of the unique index, so that it serves.
IDENTITY = (
    f"subject = ? AND predicate = ? AND coalesce(object, value) = ? AND ifnull(valid_at, {UNBOUNDED}) = ? "
    "AND expired_at IS NULL"
)


@dataclass(slots=True)
class _Planned:
    """A fact with its entities known."""

    subject: int
    object: int | None
    draft: DraftFact

    @property
    def identity(self) -> tuple[int, str, int | str | None, int]:
        draft = self.draft
        return (
            self.subject,
            draft.predicate,
            draft.value if self.object is None else self.object,
            _begin(draft.valid_at),
        )


def _begin(valid_at: int | None) -> int:
    return UNBOUNDED if valid_at is None else valid_at


def state(
    work: Work, drafts: Sequence[DraftFact], who: Sequence[int], episode: int | None, model: int | None
) -> list[int]:
    """States facts in order, each with its evidence; gives their ids, older ones' where they were believed already.

    Evidence goes with each fact at once: a later one may supersede it, and what is left of it inherits that.
    """
    planned = [
        _Planned(who[draft.subject], None if draft.object is None else who[draft.object], draft) for draft in drafts
    ]
    if any(draft.replace for draft in drafts):
        return [_state_one(work, fact, episode, model) for fact in planned]
    return _state_together(work, planned, episode, model)


def unsaid(work: Work, drafts: Sequence[DraftFact], who: Sequence[int], episode: int) -> list[DraftFact]:
    """The drafts that a text has not stated yet. One that it has may have been retracted or superseded since: it stays
    so, however often the text comes. A fact with an end that the text did not state is a correction.
    """
    said: dict[tuple[int, str, int | str | None, int], set[int | None]] = {}
    for *identity, begin, end in load(
        work.conn,
        "f.subject, f.predicate, coalesce(f.object, f.value), f.valid_at, f.invalid_at",
        "fact_evidence v CROSS JOIN fact f ON f.id = v.fact WHERE v.episode = :episode AND f.namespace = :namespace",
        {"episode": episode, "namespace": work.namespace},
    ):
        said.setdefault((*identity, _begin(begin)), set()).add(end)
    missing = []
    for draft in drafts:
        object = None if draft.object is None else who[draft.object]
        ends = said.get(_Planned(who[draft.subject], object, draft).identity, ())
        if not ends or (draft.invalid_at is not None and draft.invalid_at not in ends):
            missing.append(draft)
    return missing


def _state_together(work: Work, planned: Sequence[_Planned], episode: int | None, model: int | None) -> list[int]:
    """Where nothing is replaced, new facts are one statement; those that were believed are looked at one by one."""
    first = work.next_id("fact")
    rows = [_row(work, first + place, fact) for place, fact in enumerate(planned)]
    inserted = work.conn.executemany(f"{_INSERT} ON CONFLICT DO NOTHING", rows).rowcount
    ids = [first + place for place in range(len(rows))]
    if inserted < len(ids):
        found = work.conn.execute("SELECT id FROM fact WHERE id BETWEEN ? AND ?", (first, ids[-1])).fetchall()
        new = {row[0] for row in found}
    else:
        new = set(ids)
    fresh = [(id, fact) for id, fact in zip(ids, planned, strict=True) if id in new]
    for id, _ in fresh:
        work.note("create", "fact", id)
    if model is not None:
        work.add_vectors(model, "fact", [(id, fact.draft.vector) for id, fact in fresh])
    _add_evidence(work, [(id, fact.draft) for id, fact in fresh], episode)
    return [id if id in new else _state_one(work, fact, episode, model) for id, fact in zip(ids, planned, strict=True)]


def _row(work: Work, id: int | None, fact: _Planned) -> tuple[object, ...]:
    draft = fact.draft
    return (
        id,
        work.namespace,
        fact.subject,
        draft.predicate,
        draft.predicate_given,
        fact.object,
        draft.value,
        draft.value_given,
        draft.text,
        draft.valid_at,
        draft.valid_offset,
        draft.invalid_at,
        draft.invalid_offset,
        work.at,
        work.event,
        work.agent,
    )


def _state_one(work: Work, fact: _Planned, episode: int | None, model: int | None) -> int:
    older: list[sqlite3.Row] = []
    if fact.draft.replace:
        older, closes_at = _overlapped(work, fact)
        if closes_at is not None:
            invalid_at, offset = closes_at
            fact = _Planned(
                fact.subject, fact.object, replace(fact.draft, invalid_at=invalid_at, invalid_offset=offset)
            )
    believed = work.conn.execute(f"SELECT id, invalid_at FROM fact WHERE {IDENTITY}", fact.identity).fetchone()
    if believed is None:
        id = _insert(work, fact, model)
    elif fact.draft.invalid_at is None or believed["invalid_at"] == fact.draft.invalid_at:
        id = believed["id"]
    else:
        # The same fact, known now to end at another time: a correction.
        expire(work, [(believed["id"], None)])
        id = _insert(work, fact, model)
        _succeed(work, believed["id"], id)
    _add_evidence(work, [(id, fact.draft)], episode)
    for row in older:
        _close(work, row, fact, id)
    return id


def _insert(work: Work, fact: _Planned, model: int | None) -> int:
    id = work.conn.execute(_INSERT, _row(work, None, fact)).lastrowid
    assert id is not None
    work.note("create", "fact", id)
    if model is not None:
        work.add_vectors(model, "fact", [(id, fact.draft.vector)])
    return id


def _overlapped(work: Work, fact: _Planned) -> tuple[list[sqlite3.Row], tuple[int, int | None] | None]:
    """The believed facts of the same subject and predicate that begin no later and still hold where this one begins,
    and when this one must end: a late arrival is closed where the next one begins.
    """
    begin, end = _begin(fact.draft.valid_at), fact.draft.invalid_at
    identity = fact.identity
    older, closes_at = [], None
    for row in work.conn.execute(
        "SELECT id, object, value, valid_at, valid_offset, invalid_at FROM fact "
        "WHERE subject = ? AND predicate = ? AND expired_at IS NULL ORDER BY id",
        (fact.subject, fact.draft.predicate),
    ).fetchall():
        other = _begin(row["valid_at"])
        if other > begin:
            if end is None or other < end:
                end, closes_at = other, (other, row["valid_offset"])
        elif (other < begin or (row["value"] if row["object"] is None else row["object"]) != identity[2]) and (
            row["invalid_at"] is None or row["invalid_at"] > begin
        ):
            older.append(row)
    return older, closes_at


def _close(work: Work, row: sqlite3.Row, fact: _Planned, successor: int) -> None:
    """Expires a superseded fact; what is left of its interval goes on as a copy with the same evidence."""
    old, begin = row["id"], _begin(fact.draft.valid_at)
    expire(work, [(old, successor)])
    if _begin(row["valid_at"]) < begin:
        copy = work.conn.execute(
            "INSERT INTO fact "
            "(namespace, subject, predicate, predicate_given, object, value, value_given, text, valid_at, "
            "valid_offset, invalid_at, invalid_offset, created_at, created_event, agent) "
            "SELECT namespace, subject, predicate, predicate_given, object, value, value_given, text, valid_at, "
            "valid_offset, ?, ?, ?, ?, agent FROM fact WHERE id = ?",
            (begin, fact.draft.valid_offset, work.at, work.event, old),
        ).lastrowid
        assert copy is not None
        work.note("create", "fact", copy, old)
        _inherit(work, old, copy)


def _succeed(work: Work, old: int, new: int) -> None:
    work.conn.execute("UPDATE fact SET superseded_by = ? WHERE id = ?", (new, old))
    _inherit(work, old, new)


def _inherit(work: Work, old: int, new: int) -> None:
    """A copy has its original's evidence and vector."""
    unite_evidence(work.conn, [(old, new)])
    work.conn.execute(
        "INSERT INTO vector (model, namespace, kind, ref, data) SELECT model, namespace, kind, ?, data FROM vector "
        "WHERE model IN (SELECT id FROM vector_model) AND namespace = ? AND kind = 'fact' AND ref = ? "
        "ON CONFLICT DO NOTHING",
        (new, work.namespace, old),
    )


_UNITE = (
    "ON CONFLICT (fact, ifnull(episode, 0), ifnull(agent, '')) DO UPDATE SET "
    "quote = ifnull(quote, excluded.quote), confidence = max(confidence, excluded.confidence)"
)


def unite_evidence(conn: sqlite3.Connection, pairs: Sequence[tuple[int, int]]) -> None:
    """Add to the second fact of each pair the evidence of the first."""
    apply(
        conn,
        "INSERT INTO fact_evidence SELECT NULL, j.value->>1, v.episode, v.quote, v.confidence, v.agent, v.created_at "
        f"FROM json_each(:rows) j CROSS JOIN fact_evidence v ON v.fact = j.value->>0 WHERE TRUE {_UNITE}",
        pairs,
    )


def _add_evidence(work: Work, stated: Sequence[tuple[int, DraftFact]], episode: int | None) -> None:
    """Said again by the same text or agent: the first quote stays, and the greater confidence."""
    work.conn.executemany(
        f"INSERT INTO fact_evidence VALUES (NULL, ?, ?, ?, ?, ?, ?) {_UNITE}",
        [(id, episode, draft.quote, draft.confidence, work.agent, work.at) for id, draft in stated],
    )


def expire(work: Work, facts: Sequence[tuple[int, int | None]]) -> None:
    """Expire facts, each with the one that takes its place, or None."""
    apply(
        work.conn,
        "UPDATE fact SET expired_at = :at, expired_event = :event, superseded_by = j.value->>1 FROM json_each(:rows) j "
        "WHERE fact.id = j.value->>0",
        facts,
        at=work.at,
        event=work.event,
    )
    for fact, successor in facts:
        work.note("expire" if successor is None else "supersede", "fact", fact, successor)


def retract(conn: sqlite3.Connection, scope: Scope, fact: int, reason: str) -> Fact:
    """Believed no longer, from now on; one that is expired already stays as it is."""
    work = Work(conn, scope)
    row = conn.execute("SELECT namespace, expired_at FROM fact WHERE id = ?", (fact,)).fetchone()
    if row is None or row["namespace"] != work.namespace:
        raise NotFound(f"no fact {fact} in namespace {work.scope.namespace!r}")
    if row["expired_at"] is None:
        conn.execute("UPDATE fact SET expired_at = ?, expired_event = ? WHERE id = ?", (work.at, work.event, fact))
        work.note("retract", "fact", fact, reason=reason or None)
    work.finish()
    return facts_by_id(conn, [fact])[0]


def expire_unfounded(work: Work, facts: Sequence[int]) -> None:
    """Expires those of the facts that only superseded texts still evidence."""
    rows = work.conn.execute(
        "SELECT f.id FROM json_each(?) j CROSS JOIN fact f ON f.id = j.value WHERE f.expired_at IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM fact_evidence v LEFT JOIN episode p ON p.id = v.episode "
        "WHERE v.fact = f.id AND p.expired_at IS NULL)",
        (json_list(facts),),
    ).fetchall()
    expire(work, [(row[0], None) for row in rows])
