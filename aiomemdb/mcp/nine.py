"""The nine tools of the reference server, over the memory graph.

An entity is an entity, an observation is a fact ``observation`` with a value, a relation is a fact with an object. Each
call that writes is one job, and each that reads one snapshot. An entity that only a relation names stays out of all
answers, until a call creates it.

Where the answers differ from those of the reference server by intention, docs/guides/mcp.md says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import NotFound
from ..formats.server_memory import OBSERVATION
from ..memory.answers import Graph
from ..memory.memory import Memory
from ..memory.names import checked_name
from ..memory.substrings import shown
from ..memory.values import Fact, Name, Statement
from .answers import json_text, noted
from .service import Answer

__all__ = ["DELETING", "TOOLS", "WRITING", "How", "graph_of"]

#: Tools that write, and of them those that take something away.
WRITING = frozenset(
    (
        "create_entities",
        "create_relations",
        "add_observations",
        "delete_entities",
        "delete_observations",
        "delete_relations",
    )
)
DELETING = frozenset(name for name in WRITING if name.startswith("delete"))


async def _create_entities(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    names: dict[str, Name] = {}
    facts: list[Statement] = []
    for one in asked["entities"]:
        checked_name("an entity's name", one["name"])
        key = memory.normaliser(one["name"])
        if key in names:
            continue  # a name twice in one call is one entity, the first
        names[key] = Name(one["name"], one["entityType"].strip() or None)
        facts += [
            Statement(subject=one["name"], predicate=OBSERVATION, value=text)
            for text in dict.fromkeys(one["observations"])
        ]
    added = await memory.add_entities(names.values(), facts=facts, any_type=True)
    made = [
        {"name": each.entity.name, "entityType": each.entity.type or "", "observations": _texts(each.facts)}
        for each in added
        if each.new
    ]
    return Answer(json_text(made), {"entities": made})


async def _create_relations(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    relations = asked["relations"]
    added = await memory.add_facts(map(_triple, relations), missing="imply")
    made = [relation for relation, each in zip(relations, added, strict=True) if each.new]
    return Answer(json_text(made), {"relations": made})


async def _add_observations(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    wanted: Sequence[Mapping[str, Any]] = asked["observations"]
    if all(one["contents"] for one in wanted):
        results = await _add(memory, wanted)
    else:  # no fact asks for the entity of those that add nothing
        async with memory.db.transaction() as tx:
            within = memory.within(tx)
            for one in wanted:
                entity = await within.entity(one["entityName"])
                if entity is None or entity.implied:
                    raise _not_found(one["entityName"])
            results = await _add(within, wanted)
    return Answer(json_text(results), {"results": results})


async def _add(memory: Memory, wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    statements = [
        Statement(subject=one["entityName"], predicate=OBSERVATION, value=text)
        for one in wanted
        for text in one["contents"]
    ]
    try:
        added = iter(await memory.add_facts(statements, missing="error"))
    except NotFound as error:
        raise _not_found(error.name) from None
    return [
        {
            "entityName": one["entityName"],
            "addedObservations": [text for text, each in zip(one["contents"], added, strict=False) if each.new],
        }
        for one in wanted
    ]


def _not_found(name: str | None) -> NotFound:
    return NotFound(f"Entity with name {name} not found")


async def _delete_entities(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    names = _possible(asked["entityNames"])
    if how.retracts:
        await memory.retract_entities(names)
    else:
        await memory.forget_entities(names)
    return _done("Entities deleted successfully")


async def _delete_observations(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    await memory.retract_facts(
        Statement(subject=name, predicate=OBSERVATION, value=text)
        for one in asked["deletions"]
        for name in _possible([one["entityName"]])
        for text in one["observations"]
        if _is_text(text)
    )
    return _done("Observations deleted successfully")


async def _delete_relations(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    await memory.retract_facts(
        _triple(one) for one in asked["relations"] if len(_possible([one["from"], one["to"], one["relationType"]])) == 3
    )
    return _done("Relations deleted successfully")


def _done(text: str) -> Answer:
    return Answer(text, {"success": True, "message": text})


async def _read_graph(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    return _shown(await memory.graph(predicate=OBSERVATION), how)


async def _search_nodes(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    return _shown(await memory.graph(containing=asked["query"], predicate=OBSERVATION), how)


async def _open_nodes(memory: Memory, asked: Mapping[str, Any], how: How) -> Answer:
    return _shown(await memory.graph(names=_possible(asked["names"]), predicate=OBSERVATION), how)


def _shown(graph: Graph, how: How) -> Answer:
    found = graph_of(graph)
    return noted(json_text(found), found, how.max_answer)


def graph_of(graph: Graph) -> dict[str, Any]:
    """Entities with what was observed of them, and relations, as the reference server writes them."""
    observed: dict[int, list[Fact]] = {}
    relations: dict[tuple[str, str, str], None] = {}
    names = {entity.id: entity.name for entity in (*graph.entities, *graph.others)}
    for fact in graph.facts:
        if fact.object is None:
            observed.setdefault(fact.subject, []).append(fact)
        else:
            relations[names[fact.subject], names[fact.object], fact.predicate] = None
    return {
        "entities": [
            {
                "name": entity.name,
                "entityType": entity.type or "",
                "observations": _texts(observed.get(entity.id, ())),
            }
            for entity in graph.entities
        ],
        "relations": [{"from": one, "to": other, "relationType": type} for one, other, type in relations],
    }


def _texts(facts: Iterable[Fact]) -> list[str]:
    """What facts state; one that holds in two periods is two facts."""
    return list(dict.fromkeys(shown(fact.value) for fact in facts if fact.value is not None))


def _triple(relation: Mapping[str, str]) -> Statement:
    return Statement(subject=relation["from"], predicate=relation["relationType"], object=relation["to"])


def _possible(names: Iterable[str]) -> list[str]:
    """Those that an entity can have: of the others there is none."""
    return [name for name in names if _is_name(name)]


def _is_name(name: str) -> bool:
    try:
        checked_name("a name", name)
    except ValueError:
        return False
    return True


def _is_text(text: str) -> bool:
    return "\0" not in text


class How:
    """How the tools do their work.

    Attributes:
        max_answer: from how many tokens on an answer has a note of its size.
        retracts: whether what is deleted stays in the history, entities too.
    """

    __slots__ = ("max_answer", "retracts")

    def __init__(self, max_answer: int, retracts: bool) -> None:
        self.max_answer: int = max_answer
        self.retracts: bool = retracts


TOOLS: Mapping[str, Callable[[Memory, Mapping[str, Any], How], Awaitable[Answer]]] = {
    "create_entities": _create_entities,
    "create_relations": _create_relations,
    "add_observations": _add_observations,
    "delete_entities": _delete_entities,
    "delete_observations": _delete_observations,
    "delete_relations": _delete_relations,
    "read_graph": _read_graph,
    "search_nodes": _search_nodes,
    "open_nodes": _open_nodes,
}
