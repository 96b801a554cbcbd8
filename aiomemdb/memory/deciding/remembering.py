"""Texts with the facts drawn from them, facts alone, names to be found or created: several calls in one job."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from ..drafts import Draft, NameRequest, Scope
from ..questions import Model, Token
from ..values import Entity
from .documents import Answer, Begun, Deciding, KnownEpisode
from .embedding import check_model
from .facts import Facts, Identity
from .identity import Identities, KnownEntity, NewerEntities
from .moment import moment_of
from .requests import Beginning, Changes, FactsSaid, KnownFacts, KnownNames, Names, NamesOf, NewerNames, State, Texts
from .steps import UNTIMED, Steps

__all__ = ["changes_nothing", "find_or_create", "known_texts", "title", "write"]

_Call: TypeAlias = tuple[Scope, Draft]


def title(calls: Sequence[_Call]) -> str | None:
    """The call that made a draft, as the log names it. Several that are one job are that by the library's choice."""
    if len(calls) != 1:
        return None
    _, draft = calls[0]
    if draft.added is not None:
        return f"add_entities() of {len(draft.added):,} names"
    verb = "remember()" if draft.episode is not None else "add_facts()" if len(draft.facts) != 1 else "add_fact()"
    return verb if verb == "add_fact()" else f"{verb} of {len(draft.facts):,} facts"


def write(calls: Sequence[_Call], timed: AbstractContextManager[object] = UNTIMED) -> Steps[list[Answer | Exception]]:
    """Write drafts in order, all ``with timed``. One that is unwanted by now is left out."""
    # Asked once: a caller may leave while the job runs.
    wanted = {place: call for place, call in enumerate(calls) if not call[1].unwanted}
    answers: dict[int, Answer | Exception] = {}
    if wanted:
        with timed:
            answers = yield from _write(wanted)
    return [answers.get(place, []) for place in range(len(calls))]


def known_texts(calls: Sequence[_Call]) -> Steps[bool]:
    """Whether each of the drafts is a text that is there, word for word, under its key."""
    texts = [(scope.namespace, draft.episode) for scope, draft in calls if draft.episode is not None]
    keys = [(namespace, text.key) for namespace, text in texts if text.key is not None]
    if len(keys) < len(calls):
        return False
    current = yield from Texts(list(dict.fromkeys(keys)))
    return all(
        key in current and current[key].content == text.content for key, (_, text) in zip(keys, texts, strict=True)
    )


def changes_nothing(calls: Sequence[_Call]) -> Steps[bool]:
    """Whether the drafts, written in the present state, would change nothing."""
    steps = write(calls)
    answer = None
    try:
        while not isinstance(request := steps.send(answer), Changes):
            answer = yield request
    except StopIteration:
        return True
    return request.is_empty


def _write(calls: dict[int, _Call]) -> Steps[dict[int, Answer | Exception]]:
    drafts = list(calls.values())
    model = next((draft.model for _, draft in drafts if draft.model is not None), None)
    texts = [(scope.namespace, draft.episode) for scope, draft in drafts if draft.episode is not None]
    state = yield from Beginning(
        list(dict.fromkeys(scope.namespace for scope, _ in drafts)),
        model is not None,
        [draft.evidence for _, draft in drafts if draft.evidence is not None],
        [(namespace, text.session) for namespace, text in texts if text.session is not None],
    )
    current = state.texts.current
    keys = list(dict.fromkeys((namespace, text.key) for namespace, text in texts if text.key is not None))
    if keys:
        current.update((yield from Texts(keys)))
    again = [
        known
        for namespace, text in texts
        if text.key is not None
        and (known := current.get((namespace, text.key))) is not None
        and known.content == text.content
    ]
    asked = [(scope.namespace, one) for scope, draft in drafts for one in draft.who]
    identities, mentions = yield from _identities(state, asked, model, again)
    state.texts.mentions.update(mentions)
    decided = Deciding(identities, state.texts, state.episode)

    answers: dict[int, Answer | Exception] = {}
    begun: dict[int, Begun] = {}
    used: Model | None = None
    for place, (scope, draft) in calls.items():
        error = decided.check(scope, draft)
        if error is not None:
            answers[place] = error
            continue
        check_model(state.model, draft.model)
        used = used or draft.model
        begun[place] = decided.begin(moment_of(scope, state.at), draft)
    met = KnownFacts([], [])
    request = _facts_said(list(begun.values()), {entity.id for entity in identities.made})
    if request is not None:
        met = yield from request
    facts = Facts(met.facts, state.fact, state.texts.outdated)
    for fact, text in met.evidence:
        facts.evidenced(fact, text)
    for place, call in begun.items():
        answers[place] = decided.finish(call, facts)
    yield from _changes(state, decided, facts, used)
    return answers


def find_or_create(
    names: Sequence[NameRequest], scope: Scope, model: Model | None, near: float
) -> Steps[list[Entity | Exception]]:
    """The entity of each name, made where there is none."""
    state = yield from Beginning([scope.namespace], model is not None)
    check_model(state.model, model)
    identities, _ = yield from _identities(state, [(scope.namespace, name) for name in names], model)
    decided = Deciding(identities, state.texts, state.episode)
    moment = moment_of(scope, state.at)
    decided.moments.append(moment)
    found = identities.resolve(moment, names, near)
    answers: list[Entity | Exception] = [one.value() if isinstance(one, KnownEntity) else one for one in found]
    yield from _changes(state, decided, None, model)
    return answers


def _identities(
    state: State,
    asked: Sequence[tuple[str, NameRequest | int]],
    model: Model | None,
    again: Iterable[KnownEpisode] = (),
) -> Steps[tuple[Identities, dict[int, dict[int, KnownEntity]]]]:
    """Who is who, as far as it is asked for, and what the texts mention that come again."""
    keys: dict[tuple[str, str], None] = {}
    ids: dict[tuple[str, int], None] = {}
    since: dict[str, Token | None] = {}
    typed: list[tuple[str, NameRequest]] = []
    for namespace, one in asked:
        if isinstance(one, int):
            ids[namespace, one] = None
            continue
        keys[namespace, one.key] = None
        if one.type_key:
            typed.append((namespace, one))
        if one.vector is not None and model is not None:
            ids.update(((namespace, id), None) for id, _ in one.near)
            since[namespace] = _earlier(one.seen, since[namespace]) if namespace in since else one.seen
    texts = {(text.namespace, text.id): None for text in again}
    names = KnownNames()
    if keys or ids or texts:
        names = yield from Names(list(keys), list(ids), list(texts))
    newer: dict[str, NewerEntities] = {}
    if model is not None and since:
        found = yield from NewerNames(model, since)
        newer = {namespace: NewerEntities(model.dim, found.get(namespace, ())) for namespace in since}
    identities = Identities(names.aliases, names.roots, newer, state.entity)
    if typed and (untyped := identities.may_adopt(typed)):
        identities.learn((yield from NamesOf(untyped)))
    return identities, names.mentions


def _earlier(one: Token | None, other: Token | None) -> Token | None:
    return None if one is None or other is None else min(one, other)


def _facts_said(calls: Sequence[Begun], made: Collection[int]) -> FactsSaid | None:
    """What is to be known of the facts that the calls state, and of those that their texts evidence.

    Args:
        made: the entities that the job makes.
    """
    outdated = [call.replaced for call in calls if call.replaced is not None]
    touched = [call.text for call in calls if call.again and call.text is not None]
    touched += [text.id for text in outdated if text.made is None]
    pairs: dict[tuple[int, str], dict[int | None, None]] = {}
    identities: dict[Identity, None] = {}
    quoted = False
    for call in calls:
        for stated in call.stated:
            subject, predicate, _, since = stated.identity
            if subject in made:
                continue  # of a new entity there is nothing yet
            draft = stated.draft
            if draft.replace:
                pairs.setdefault((subject, predicate), {})[since] = None
            if stated.object not in made:
                identities[stated.identity] = None
                quoted = quoted or draft.quote is not None or draft.invalid_at is not None
    if not (identities or pairs or touched):
        return None
    texts = list(dict.fromkeys(touched))
    return FactsSaid(list(identities), pairs, texts, bool(outdated), quoted or bool(pairs))


def _changes(state: State, decided: Deciding, facts: Facts | None, model: Model | None) -> Changes:
    identities = decided.identities
    changes = Changes(
        state,
        decided.moments,
        entities=identities.made,
        changed=identities.changed.values(),
        renamed=identities.renamed,
        aliases_gone=identities.aliases_gone(),
        aliases=identities.aliases(),
        similar=identities.similar,
        episodes=decided.made,
        outdated=decided.outdated,
        mentions=decided.mentioned,
        model=model,
    )
    if model is not None:
        changes.vectors = decided.vectors(facts)
    if facts is not None:
        changes.facts, changes.supported = facts.made, facts.supported.values()
        changes.expired = [
            (fact.id, fact.ended, fact.superseded_by) for fact in facts.expired if fact.ended is not None
        ]
    return changes
