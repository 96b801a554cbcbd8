"""What is believed no longer, and what is deleted. The audit keeps operation, kind and id, never content."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import NotFound
from ..drafts import Scope
from ..questions import Kind, Token
from ..values import Fact, Forgotten
from .identity import root_of
from .moment import moment_of
from .requests import Beginning, Changes, FactsOnlyBy, FactsWith, Hide, HideNamespace, Names, OneFact, Versions
from .steps import Steps

__all__ = ["forget", "forget_namespace", "retract"]


def retract(scope: Scope, id: int, reason: str) -> Steps[Fact]:
    """Believe a fact no longer, from now on; one that is expired already stays as it is."""
    state = yield from Beginning([scope.namespace])
    fact = yield from OneFact(scope.namespace, id)
    if fact is None:
        raise NotFound(f"no fact {id} in namespace {scope.namespace!r}")
    if fact.expired_at is None:
        moment = moment_of(scope)
        fact.expired_at = moment.at
        moment.note("retract", "fact", id, reason=reason or None)
        yield from Changes(state, [moment], expired=[(id, moment, None)])
    return fact.value_in(scope.namespace)


def forget(scope: Scope, kind: Kind, ref: int) -> Steps[tuple[Forgotten, Token | None]]:
    """Hide an entity, a fact or a text with what goes along: with an entity its facts; with a text all versions of it,
    which say much the same, and the facts that nothing else evidences.

    Returns: how many rows went at once; a token for what is left to be deleted, or None.
    """
    namespace = scope.namespace
    state = yield from Beginning([namespace])
    ids: Sequence[int]
    if kind == "entity":
        names = yield from Names(ids=[(namespace, ref)])
        ids = [root_of(names.roots, namespace, ref).id]
        facts = yield from FactsWith(ids[0])
    elif kind == "episode":
        ids = yield from Versions(namespace, ref)
        if not ids:
            raise NotFound(f"no episode {ref} in namespace {namespace!r}")
        facts = yield from FactsOnlyBy(ids)
    else:
        if (yield from OneFact(namespace, ref)) is None:
            raise NotFound(f"no fact {ref} in namespace {namespace!r}")
        ids, facts = (), [ref]
    moment = moment_of(scope)
    for id in ids:
        moment.note("forget", kind, id)
    hidden = yield from Hide(moment, kind, ids, facts)
    yield from Changes(state, [moment])
    return hidden


def forget_namespace(scope: Scope) -> Steps[Token | None]:
    """Hide a namespace. Returns: a token for its rows, which are left to be deleted; None: there was none."""
    state = yield from Beginning([scope.namespace])
    id = state.namespaces.get(scope.namespace)
    if id is None:
        return None
    moment = moment_of(scope)
    moment.note("forget", "namespace", id)
    yield from Changes(state, [moment])
    return (yield from HideNamespace(scope.namespace))
