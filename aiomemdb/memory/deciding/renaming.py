"""What an entity is called: renamed, given another type, an alias more or less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import NotFound
from ..drafts import Scope
from ..questions import Kind, Model
from ..values import Entity
from .embedding import check_model
from .identity import Identities, KnownEntity, root_of
from .moment import moment_of
from .requests import Beginning, Changes, Names, NamesOf, State
from .steps import Steps

__all__ = ["add_alias", "remove_alias", "update_entity"]


def update_entity(
    scope: Scope, id: int, changes: Mapping[str, Any], vector: bytes | None, model: Model | None
) -> Steps[Entity]:
    """Change what is given; its names follow a new type, and a new name is an alias too.

    Args:
        changes: of ``name`` and ``key``, ``type`` and ``type_key``, ``description``, ``attributes``.
    """
    state, entity, identities = yield from _known(scope, id, changes.get("key"), model is not None)
    moment, before = moment_of(scope, state.at), entity.type_key
    for part, value in changes.items():
        setattr(entity, part, value)
    if "type_key" in changes:
        identities.change_type(entity, before)
    gone: list[tuple[str, Kind, int]] = []
    vectors: list[tuple[str, Kind, int, bytes]] = []
    if "key" in changes:
        identities.give_name(entity, entity.key, entity.type_key)
        gone = [(scope.namespace, "entity", entity.id)]  # those of other models too: they are of the old name
        if vector is not None and model is not None:
            check_model(state.model, model)
            vectors = [(scope.namespace, "entity", entity.id, vector)]
    moment.note("update", "entity", entity.id)
    identities.establish(moment, entity)
    yield from Changes(
        state,
        [moment],
        changed=[entity],
        renamed=[entity.id] if "key" in changes else (),
        aliases_gone=identities.aliases_gone(),
        aliases=identities.aliases(),
        vectors_gone=gone,
        vectors=vectors,
        model=model if vectors else None,
    )
    return entity.value()


def add_alias(scope: Scope, id: int, key: str) -> Steps[Entity]:
    """Let a key mean an entity too, in the entity's type. Raises: ValueError: it means another one."""
    state, entity, identities = yield from _known(scope, id, key)
    if identities.give_name(entity, key, entity.type_key):
        yield from _renamed(state, scope, entity, identities, "alias")
    return entity.value()


def remove_alias(scope: Scope, id: int, key: str) -> Steps[Entity]:
    """Take a name from an entity, in whatever type it has it. Raises: NotFound; ValueError: it is its own name."""
    state, entity, identities = yield from _known(scope, id, key)
    if key == entity.key:
        raise ValueError(
            f"{key!r} is what entity {entity.id} is called: rename it first, by memory.update_entity(name=...)"
        )
    if not identities.take_name(entity, key):
        raise NotFound(f"entity {entity.id} has no alias {key!r}")
    yield from _renamed(state, scope, entity, identities, "unalias")
    return entity.value()


def _known(
    scope: Scope, id: int, key: str | None, with_model: bool = False
) -> Steps[tuple[State, KnownEntity, Identities]]:
    """An entity, with all its names and what else a key means. Raises: NotFound."""
    namespace = scope.namespace
    state = yield from Beginning([namespace], with_model)
    names = yield from Names([] if key is None else [(namespace, key)], [(namespace, id)])
    entity = root_of(names.roots, namespace, id)
    identities = Identities(names.aliases, names.roots, {}, state.entity)
    identities.learn((yield from NamesOf([entity.id])))
    return state, entity, identities


def _renamed(state: State, scope: Scope, entity: KnownEntity, identities: Identities, operation: str) -> Changes:
    moment = moment_of(scope, state.at)
    moment.note(operation, "entity", entity.id)
    return Changes(
        state,
        [moment],
        renamed=identities.renamed,
        aliases_gone=identities.aliases_gone(),
        aliases=identities.aliases(),
    )
