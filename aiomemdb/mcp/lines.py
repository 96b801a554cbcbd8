"""The reference server's file of JSON Lines: taken into a memory, and written as the graph is."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ..formats.files import opened_twice
from ..formats.server_memory import OBSERVATION, Node, Relation, read, write
from ..memory.memory import Memory
from ..memory.names import checked_name
from ..memory.values import Name, Statement
from .nine import graph_of

__all__ = ["exported", "import_file", "import_once"]

_LOG = logging.getLogger("aiomemdb.mcp")
_AT_ONCE = 5_000
_DONE = "CREATE TABLE IF NOT EXISTS aiomemdb_mcp_import (path TEXT PRIMARY KEY)"


async def exported(memory: Memory) -> Iterator[str]:
    """All of the graph in pieces, as the reference server writes its file."""
    graph = graph_of(await memory.graph(predicate=OBSERVATION))
    nodes = (Node(each["name"], each["entityType"], tuple(each["observations"])) for each in graph["entities"])
    relations = (Relation(each["from"], each["to"], each["relationType"]) for each in graph["relations"])
    return write(nodes, relations)


async def import_once(memory: Memory, path: Path) -> None:
    """Imports a file, unless this memory has had it: what was deleted since stays deleted.

    Raises: OSError; FormatError: a line is not what it should be; nothing was written then.
    """
    await memory.db.write(_DONE)
    key = _key(path)
    async with memory.db.transaction() as tx:
        if not await tx.read_value("SELECT count(*) FROM aiomemdb_mcp_import WHERE path = ?", (key,)):
            await _import(memory.within(tx), path)
            await tx.write("INSERT INTO aiomemdb_mcp_import (path) VALUES (?)", (key,))


async def import_file(memory: Memory, path: Path) -> None:
    """Adds what a file has and the memory does not: all of it or nothing. Raises: as ``import_once``."""
    async with memory.db.transaction() as tx:
        await _import(memory.within(tx), path)


async def _import(memory: Memory, path: Path) -> None:
    """Of a name that comes twice the first type counts, and all observations."""
    nodes, relations = _parsed(path)
    names: dict[str, Name] = {}
    for node in nodes:
        names.setdefault(memory.normaliser(node.name), Name(node.name, node.type.strip() or None))
    for some in _pieces(names.values()):
        await memory.add_entities(some, any_type=True)
    observations = (
        Statement(subject=node.name, predicate=OBSERVATION, value=text) for node in nodes for text in node.observations
    )
    for statements in _pieces(observations):
        await memory.add_facts(statements)
    stated = (Statement(subject=one.source, predicate=one.type, object=one.target) for one in relations)
    for statements in _pieces(stated):
        await memory.add_facts(statements, missing="imply")


def _key(path: Path) -> str:
    return os.path.realpath(path)


def _pieces(items: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while piece := list(islice(left, _AT_ONCE)):
        yield piece


def _parsed(path: Path) -> tuple[list[Node], list[Relation]]:
    """What a memory can hold; a name that is none is logged, and what has it left out."""
    nodes: list[Node] = []
    relations: list[Relation] = []
    with opened_twice(path) as file:
        for item in read(file):
            names = [item.name] if isinstance(item, Node) else [item.source, item.target, item.type]
            try:
                for name in names:
                    checked_name("a name", name)
            except ValueError as error:
                _LOG.warning("%s: %.100r is left out: %s", path, item, error)
                continue
            if isinstance(item, Node):
                nodes.append(item)
            else:
                relations.append(item)
    return nodes, relations
