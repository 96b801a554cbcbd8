"""What is believed no longer, and what is deleted. The audit keeps operation, kind and id, never content."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import NotFound
from ..drafts import DraftFact, NameRequest, Scope
from ..questions import Kind, Token
from ..values import Entity, Fact, Forgotten
from .facts import KnownFact
from .identity import root_of
from .known import KnownEntity
from .moment import moment_of
from .requests import (
    Beginning,
    Changes,
    FactsAlike,
    FactsOnlyBy,
    FactsWith,
    Hide,
    HideNamespace,
    Names,
    OneFact,
    State,
    Versions,
)
from .steps import Steps

__all__ = ["forget", "forget_entities", "forget_namespace", "retract", "retract_entities", "retract_facts"]


def retract(scope: Scope, id: int, reason: str) -> Steps[Fact]:
    """Believe a fact no longer, from now on; one that is expired already stays as it is."""
    state = yield from Beginning([scope.namespace])
    fact = yield from OneFact(scope.namespace, id)
    if fact is None:
        raise NotFound(f"no fact {id} in namespace {scope.namespace!r}")
    if fact.expired_at is None:
        moment = moment_of(scope, state.at)
        fact.expired_at = moment.at
        moment.note("retract", "fact", id, reason=reason or None)
        yield from Changes(state, [moment], expired=[(id, moment, None)])
    return fact.value_in(scope.namespace)


def retract_facts(
    scope: Scope, who: Sequence[NameRequest | int], facts: Sequence[DraftFact], reason: str
) -> Steps[list[tuple[Fact, ...]]]:
    """Believe facts no longer, from now on: for each of ``facts`` those that are alike, whenever they begin, or when it
    begins if that is said. One that several are like is the first one's.
    """
    state = yield from Beginning([scope.namespace])
    meant = yield from _meant(scope, who)
    wanted: list[list[tuple[int, str, int | str]]] = []
    for fact in facts:
        ends = [fact.value] if fact.object is None else [entity.id for entity in meant[fact.object]]
        wanted.append([(one.id, fact.predicate, end) for one in meant[fact.subject] for end in ends if end is not None])
    alike: dict[tuple[int, str, int | str | None], list[KnownFact]] = {}
    each = list(dict.fromkeys(one for ones in wanted for one in ones))
    for known in (yield from FactsAlike(each)) if each else ():
        alike.setdefault(known.identity[:3], []).append(known)
    moment, answers = moment_of(scope, state.at), []
    for fact, ones in zip(facts, wanted, strict=True):
        found = [known for one in ones for known in alike.get(one, ()) if known.expired_at is None]
        found = [known for known in found if fact.valid_at is None or known.valid_at == fact.valid_at]
        for known in found:
            known.expired_at = moment.at
            moment.note("retract", "fact", known.id, reason=reason or None)
        answers.append(found)
    if moment.events:
        gone = [(known.id, moment, None) for found in answers for known in found]
        yield from Changes(state, [moment], expired=gone)
    return [tuple(known.value_in(scope.namespace) for known in found) for found in answers]


def retract_entities(scope: Scope, who: Sequence[NameRequest | int], reason: str) -> Steps[list[Entity]]:
    """Believe nothing of entities any more, and take them for implied; of those that were not so already."""
    state = yield from Beginning([scope.namespace])
    meant = yield from _meant(scope, who)
    entities = list(dict.fromkeys(entity for ones in meant for entity in ones))
    facts = (yield from FactsWith([entity.id for entity in entities], believed=True)) if entities else []
    there = [entity for entity in entities if not entity.implied]
    moment = moment_of(scope, state.at)
    for entity in there:
        entity.established = None
        moment.note("retract", "entity", entity.id, reason=reason or None)
    for fact in facts:
        moment.note("retract", "fact", fact, reason=reason or None)
    if moment.events:
        yield from Changes(state, [moment], changed=there, expired=[(fact, moment, None) for fact in facts])
    return [entity.value() for entity in there]


def forget_entities(scope: Scope, who: Sequence[NameRequest | int]) -> Steps[tuple[Forgotten, Token | None]]:
    """Hide entities with their facts. Returns: as ``forget``."""
    state = yield from Beginning([scope.namespace])
    meant = yield from _meant(scope, who)
    ids = list(dict.fromkeys(entity.id for ones in meant for entity in ones))
    if not ids:
        return Forgotten(), None
    facts = yield from FactsWith(ids)
    return (yield from _hide(state, scope, "entity", ids, facts))


def _meant(scope: Scope, who: Sequence[NameRequest | int]) -> Steps[list[list[KnownEntity]]]:
    """The entities that each means: of a name without a type all that have it, as nothing says which is not meant."""
    namespace = scope.namespace
    keys = [(namespace, one.key) for one in who if isinstance(one, NameRequest)]
    ids = [(namespace, one) for one in who if isinstance(one, int)]
    if not who:
        return []
    names = yield from Names(list(dict.fromkeys(keys)), list(dict.fromkeys(ids)))
    meant: list[list[KnownEntity]] = []
    for one in who:
        if isinstance(one, int):
            entity = names.roots.get((namespace, one))
            meant.append([] if entity is None else [entity])
            continue
        aliases = names.aliases.get((namespace, one.key), [])
        if one.type_key:
            picked = [alias for alias in aliases if alias.type == one.type_key]
            aliases = picked or [alias for alias in aliases if alias.type_key == one.type_key]
        meant.append(list(dict.fromkeys(alias.entity for alias in aliases)))
    return meant


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
        facts = yield from FactsWith(ids)
    elif kind == "episode":
        ids = yield from Versions(namespace, ref)
        if not ids:
            raise NotFound(f"no episode {ref} in namespace {namespace!r}")
        facts = yield from FactsOnlyBy(ids)
    else:
        if (yield from OneFact(namespace, ref)) is None:
            raise NotFound(f"no fact {ref} in namespace {namespace!r}")
        ids, facts = (), [ref]
    return (yield from _hide(state, scope, kind, ids, facts))


def _hide(
    state: State, scope: Scope, kind: Kind, ids: Sequence[int], facts: Sequence[int]
) -> Steps[tuple[Forgotten, Token | None]]:
    moment = moment_of(scope, state.at)
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
    moment = moment_of(scope, state.at)
    moment.note("forget", "namespace", id)
    yield from Changes(state, [moment])
    return (yield from HideNamespace(scope.namespace))
