"""Texts and the facts drawn from them, written together in one job."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ...errors import EpisodeExists, NotFound
from ..store import Draft, DraftEpisode, NameRequest, Scope
from ..values import Fact, Remembered
from .facts import expire_unfounded, state, unsaid
from .identity import resolve_in_job
from .rows import EPISODE, entities_by_id, episode_of, facts_by_id
from .work import Work, namespace_id, root

__all__ = ["title", "write"]

Answer: TypeAlias = Remembered | list[Fact] | Exception


def write(conn: sqlite3.Connection, drafts: Sequence[tuple[Scope, Draft]]) -> list[Answer]:
    """Writes drafts in order: texts with their facts, or facts alone."""
    return [_write(conn, scope, draft) for scope, draft in drafts]


def title(draft: tuple[Scope, Draft]) -> str:
    """The call that made a draft, as the log names it."""
    _, written = draft
    return "add_fact()" if written.episode is None else f"remember() of {len(written.facts):,} facts"


def _write(conn: sqlite3.Connection, scope: Scope, draft: Draft) -> Answer:
    if draft.unwanted:
        return []
    # All that is expected to fail does so before anything is written, so that it does not fail the others.
    space = namespace_id(conn, scope.namespace)
    try:
        replaced = _replaced(conn, space, draft.episode)
        roots = _roots(conn, scope, space, draft)
    except (EpisodeExists, NotFound) as error:
        return error
    work = Work(conn, scope, space)
    model = None if draft.model is None else work.model(draft.model)
    who = _resolve(work, draft, roots, model)
    if replaced is not None and draft.episode is not None and replaced["content"] == draft.episode.content:
        return _add_to(work, replaced["id"], draft, who, model)
    episode = draft.evidence
    if draft.episode is not None:
        episode = _insert_episode(work, draft.episode, model, replaced)
    facts = state(work, draft.facts, who, episode, model) if draft.facts else []
    if episode is not None:
        _mention(work, draft, who, episode)
    if replaced is not None:
        outdated = conn.execute("SELECT fact FROM fact_evidence WHERE episode = ?", (replaced["id"],)).fetchall()
        expire_unfounded(work, [row[0] for row in outdated])
    work.finish()
    stated = facts_by_id(conn, facts)
    if draft.episode is None or episode is None:
        return stated
    entities = entities_by_id(conn, list(dict.fromkeys(who)))
    row = conn.execute(_EPISODE_BY_ID, (episode,)).fetchone()
    return Remembered(episode_of(row), tuple(stated), tuple(entities.values()), True)


_EPISODE_BY_ID = f"SELECT {EPISODE} FROM episode p JOIN memory_namespace n ON n.id = p.namespace WHERE p.id = ?"


def _replaced(conn: sqlite3.Connection, space: int | None, episode: DraftEpisode | None) -> sqlite3.Row | None:
    """The version of a text that is there already, if there is one: the very text, or what it is to replace.

    Raises: EpisodeExists.
    """
    if episode is None or episode.key is None:
        return None
    row: sqlite3.Row | None = conn.execute(
        "SELECT id, version, session, seq, content FROM episode WHERE namespace = ? AND key = ? AND expired_at IS NULL",
        (space, episode.key),
    ).fetchone()
    if row is not None and row["content"] != episode.content and not episode.replace:
        raise EpisodeExists(
            f"there is an episode with key {episode.key!r} and another content: replace=True makes this its "
            f"version {row['version'] + 1}"
        )
    return row


def _roots(conn: sqlite3.Connection, scope: Scope, space: int | None, draft: Draft) -> dict[int, int]:
    """What the draft's ids of entities stand for now. Raises: NotFound, also for the text that is to evidence it."""
    if draft.evidence is not None:
        row = conn.execute("SELECT namespace FROM episode WHERE id = ?", (draft.evidence,)).fetchone()
        if row is None or row[0] != space:
            raise NotFound(f"no episode {draft.evidence} in namespace {scope.namespace!r}")
    return {id: root(conn, scope, space, id) for id in draft.who if isinstance(id, int)}


def _add_to(work: Work, episode: int, draft: Draft, who: list[int], model: int | None) -> Remembered:
    """The very text is there: it gets what it lacks of the draft, and all that it has now is handed out."""
    conn = work.conn
    if facts := unsaid(work, draft.facts, who, episode):
        state(work, facts, who, episode, model)
    _mention(work, draft, who, episode)
    work.finish()
    row = conn.execute(_EPISODE_BY_ID, (episode,)).fetchone()
    stated = conn.execute(
        "SELECT DISTINCT v.fact FROM fact_evidence v JOIN fact f ON f.id = v.fact "
        "WHERE v.episode = ? AND f.namespace = ? AND f.expired_at IS NULL ORDER BY v.fact",
        (episode, work.namespace),
    ).fetchall()
    mentioned = conn.execute(
        "SELECT m.entity FROM mention m JOIN entity e ON e.id = m.entity WHERE m.episode = ? AND e.namespace = ? "
        "ORDER BY m.entity",
        (episode, work.namespace),
    ).fetchall()
    return Remembered(
        episode_of(row),
        tuple(facts_by_id(conn, [fact[0] for fact in stated])),
        tuple(entities_by_id(conn, [entity[0] for entity in mentioned]).values()),
        False,
    )


def _resolve(work: Work, draft: Draft, roots: Mapping[int, int], model: int | None) -> list[int]:
    names = [wanted for wanted in draft.who if isinstance(wanted, NameRequest)]
    found = iter(resolve_in_job(work, names, model, draft.model, draft.near))
    who = []
    for wanted in draft.who:
        id = roots[wanted] if isinstance(wanted, int) else next(found)
        assert isinstance(id, int)  # nothing is ambiguous, as no draft is strict
        who.append(id)
    return who


def _insert_episode(work: Work, episode: DraftEpisode, model: int | None, replaced: sqlite3.Row | None) -> int:
    conn, version = work.conn, 1
    if replaced is not None:
        version = replaced["version"] + 1
        conn.execute(
            "UPDATE episode SET expired_at = ?, expired_event = ? WHERE id = ?", (work.at, work.event, replaced["id"])
        )
    seq = episode.seq
    if replaced is not None and seq is None and replaced["session"] == episode.session:
        seq = replaced["seq"]  # corrected, it stays in its place
    elif episode.session is not None and seq is None:
        seq = conn.execute(
            "SELECT ifnull(max(seq), 0) + 1 FROM episode WHERE namespace = ? AND session = ?",
            (work.namespace, episode.session),
        ).fetchone()[0]
    id = conn.execute(
        "INSERT INTO episode (namespace, key, version, session, seq, agent, source, content, metadata, occurred_at, "
        "occurred_offset, created_at, created_event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            work.namespace,
            episode.key,
            version,
            episode.session,
            seq,
            work.agent,
            episode.source,
            episode.content,
            episode.metadata,
            episode.occurred_at,
            episode.occurred_offset,
            work.at,
            work.event,
        ),
    ).lastrowid
    assert id is not None
    work.note("create", "episode", id)
    if replaced is not None:
        work.note("supersede", "episode", replaced["id"], id)
    if model is not None:
        work.add_vectors(model, "episode", [(id, episode.vector)])
    return id


def _mention(work: Work, draft: Draft, who: list[int], episode: int) -> None:
    """A text mentions whom its facts are about, beside whom it was said to mention."""
    places = [*draft.mentions, *(fact.subject for fact in draft.facts)]
    places += [fact.object for fact in draft.facts if fact.object is not None]
    work.conn.executemany(
        "INSERT INTO mention VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(entity, episode) for entity in dict.fromkeys(who[place] for place in places)],
    )
