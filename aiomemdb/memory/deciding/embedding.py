"""Vectors of one model, while the next one's are prepared beside them; near names, found anew."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ModelChanged
from ..drafts import Scope
from ..questions import Kind, Model, NearNamesLeft, Token
from .moment import moment_of
from .requests import Beginning, Changes, CountEntities, Embeddable, EmbeddedNames, Lacking, Names, State
from .steps import Steps

__all__ = [
    "active_model",
    "check_model",
    "complete_upto",
    "near_names_left",
    "put_near_names",
    "put_vectors",
    "switch_model",
    "to_reembed",
]


def check_model(active: Model | None, model: Model | None) -> None:
    """Raises: ModelChanged: the file's vectors are another model's."""
    if active is not None and model is not None and active != model:
        raise ModelChanged(
            f"the file's vectors are of {active.name!r} ({active.dim} numbers), the embedder is {model.name!r} "
            f"({model.dim}): open it with that one, or await memory.reembed()"
        )


def put_vectors(model: Model, kind: Kind, vectors: Sequence[tuple[int, bytes]]) -> Steps[None]:
    """Store vectors of rows that are still there. Where the model is the file's, the audit says so to those that keep
    vectors, and near names are to be found again from the first of these entities on.
    """
    spaces = yield from Embeddable(kind, [ref for ref, _ in vectors])
    state = yield from Beginning(list(dict.fromkeys(spaces.values())), True, exclusive=True)
    # Some may have gone before these namespaces were the job's.
    spaces = yield from Embeddable(kind, list(spaces))
    own = [(spaces[ref], kind, ref, vector) for ref, vector in vectors if ref in spaces]
    moments = {space: moment_of(Scope(space), state.at) for space in dict.fromkeys(spaces.values())}
    left = None
    if state.model == model:
        for space, _, ref, _ in own:
            moments[space].note("embed", kind, ref)
        if kind == "entity" and spaces:
            left = _left_with(state, min(spaces))
    yield from Changes(state, list(moments.values()), vectors=own, model=model, near_left=left, adopt=False)


def _left_with(state: State, first: int) -> tuple[int, int]:
    """What is left where this entity has its vector only now: those after it may be near to it."""
    after = first - 1 if state.near_left is None else min(state.near_left[0], first - 1)
    return after, state.upto


def switch_model(model: Model, force: bool, complete_upto: Token | None) -> Steps[bool]:
    """Make it the file's model if every row has a vector of it, or by ``force`` even so; return whether every row has.

    Args:
        complete_upto: a state in which every row had one; None: there was none. So no more is looked at than what came
            since.
    """
    state = yield from Beginning([], True, exclusive=True)
    complete = complete_upto is not None and not (yield from Lacking(model, complete_upto))
    if not complete and not force:
        return False
    left = None if state.model == model else (0, state.upto)
    yield from Changes(state, [], model=model, switch=True, near_left=left)
    return complete


def put_near_names(model: Model, slice: NearNamesLeft, near: Sequence[tuple[int, int, float]]) -> Steps[None]:
    """Replace what was noted for a slice of the entities, unless others have done so since it was asked for."""
    spaces = {id: namespace for id, namespace, _ in slice.names}
    state = yield from Beginning(list(dict.fromkeys(spaces.values())), True, exclusive=True)
    check_model(state.model, model)
    if state.near_left is None or state.near_left[0] != slice.after:
        return
    ids = {(spaces[entity], id): None for older, entity, _ in near for id in (older, entity)}
    roots = (yield from Names(ids=list(ids))).roots if ids else {}
    similar: dict[tuple[int, int], float] = {}
    for older, entity, cosine in near:
        # Some may have been forgotten or merged since.
        ones = roots.get((spaces[entity], older)), roots.get((spaces[entity], entity))
        if ones[0] is not None and ones[1] is not None and ones[0] is not ones[1]:
            first, second = sorted((ones[0].id, ones[1].id))
            similar.setdefault((first, second), cosine)
    yield from Changes(
        state,
        [],
        similar_gone=(slice.after, slice.upto),
        similar=[(*pair, cosine) for pair, cosine in similar.items()],
        near_left=(slice.upto, state.near_left[1]),
    )


# -- how things are ----------------------------------------------------------------------------------------------------


def active_model() -> Steps[Model | None]:
    """The model of the file's vectors."""
    state = yield from Beginning([], True)
    return state.model


def complete_upto(model: Model) -> Steps[Token | None]:
    """The present state, if nothing lacks a vector of the model. It looks at every row."""
    state = yield from Beginning([])
    return None if (yield from Lacking(model)) else state.token


def near_names_left(model: Model, limit: int) -> Steps[NearNamesLeft | None]:
    """The next entities that have no near names by this model yet, which is the file's; None: no more."""
    state = yield from Beginning([], True)
    if state.model is None or state.near_left is None:
        return None
    check_model(state.model, model)
    after, upto = state.near_left
    names = yield from EmbeddedNames(model, after, upto, limit)
    return NearNamesLeft(after, names[-1][0] if len(names) == limit else upto, names)


def to_reembed(model: Model) -> Steps[int]:
    """How many rows lack a vector of this model, and how many names their near ones by it, together."""
    state = yield from Beginning([], True)
    lacking = yield from Lacking(model)
    left = state.near_left
    if state.model != model:
        left = (0, state.upto)
    elif "entity" in lacking:
        left = _left_with(state, lacking["entity"][1])
    names = 0 if left is None else (yield from CountEntities(*left))
    return sum(count for count, _ in lacking.values()) + names
