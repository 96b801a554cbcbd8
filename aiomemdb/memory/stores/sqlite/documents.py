"""Texts and the facts drawn from them, names to be found or created: loaded, decided, written in one job."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TypeAlias

from ...deciding.documents import Answer, Begun, Deciding
from ...searching import Model
from ...store import Draft, NameRequest, Scope
from ...values import Entity
from .applying import write_decided
from .loading import load_episodes, load_facts, load_identities, load_world
from .work import adopted_model, moment_of

__all__ = ["find_or_create", "title", "write"]

_Call: TypeAlias = tuple[Scope, Draft]


def title(call: _Call) -> str:
    """The call that made a draft, as the log names it."""
    _, draft = call
    return "add_fact()" if draft.episode is None else f"remember() of {len(draft.facts):,} facts"


def write(conn: sqlite3.Connection, calls: Sequence[_Call]) -> list[Answer | Exception]:
    """Write drafts in order: texts with their facts, or facts alone."""
    # Asked once: a caller may leave while the job runs.
    wanted = {place: call for place, call in enumerate(calls) if not call[1].unwanted}
    answers: dict[int, Answer | Exception] = {}
    if wanted:
        answers = _write(conn, wanted)
    return [answers.get(place, []) for place in range(len(calls))]


def _write(conn: sqlite3.Connection, calls: dict[int, _Call]) -> dict[int, Answer | Exception]:
    drafts = list(calls.values())
    model = next((draft.model for _, draft in drafts if draft.model is not None), None)
    texts = [(scope.namespace, draft.episode) for scope, draft in drafts if draft.episode is not None]
    world = load_world(
        conn,
        [scope.namespace for scope, _ in drafts],
        with_model=model is not None,
        evidence=[draft.evidence for _, draft in drafts if draft.evidence is not None],
        sessions=[(namespace, text.session) for namespace, text in texts if text.session is not None],
    )
    keyed = [(namespace, text.key) for namespace, text in texts if text.key is not None]
    load_episodes(conn, world, list(dict.fromkeys(keyed)))
    again = {
        current.id: current
        for namespace, text in texts
        if text.key is not None
        and (current := world.texts.current.get((namespace, text.key))) is not None
        and current.content == text.content
    }
    asked = [(scope.namespace, one) for scope, draft in drafts for one in draft.who]
    identities = load_identities(conn, world, asked, model, list(again.values()))
    decided = Deciding(identities, world.texts, world.last_event, world.episode)

    answers: dict[int, Answer | Exception] = {}
    begun: dict[int, Begun] = {}
    model_id: int | None = None
    for place, (scope, draft) in calls.items():
        error = decided.check(scope, draft)
        if error is not None:
            answers[place] = error
            continue
        if draft.model is not None and model_id is None:
            model_id = adopted_model(conn, world.model, draft.model)
        begun[place] = decided.begin(moment_of(scope), draft)
    facts = load_facts(conn, world, list(begun.values()))
    for place, call in begun.items():
        answers[place] = decided.finish(call, facts)
    write_decided(conn, world, decided, facts, model_id)
    return answers


def find_or_create(
    conn: sqlite3.Connection, names: Sequence[NameRequest], scope: Scope, model: Model | None, near: float
) -> list[Entity | Exception]:
    """The entity of each name, made where there is none."""
    world = load_world(conn, [scope.namespace], with_model=model is not None)
    model_id = None if model is None else adopted_model(conn, world.model, model)
    identities = load_identities(conn, world, [(scope.namespace, name) for name in names], model)
    decided = Deciding(identities, world.texts, world.last_event, world.episode)
    answers = decided.name(moment_of(scope), names, near)
    write_decided(conn, world, decided, None, model_id)
    return list(answers)
