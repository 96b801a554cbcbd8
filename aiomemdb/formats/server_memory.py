"""The JSON Lines of npm's ``@modelcontextprotocol/server-memory``: a line an entity or a relation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import FormatError

__all__ = ["OBSERVATION", "Node", "Relation", "read", "write"]

#: The predicate of the facts that observations are.
OBSERVATION = "observation"

# As JSON.stringify prints it: no spaces, and no character escaped that need not be.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Node:
    """An entity with its observations."""

    name: str
    type: str
    observations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """``source`` is the format's "from", ``target`` its "to", ``type`` its "relationType"."""

    source: str
    target: str
    type: str


def read(lines: Iterable[str | bytes]) -> Iterator[Node | Relation]:
    """Read lines, in order. As the server does, it skips blank lines, objects of other types and further fields.

    Raises: FormatError: a line is no JSON object, or a field of it is missing or of a wrong type.
    """
    for number, line in enumerate(lines, start=1):
        read_line = _read(line, number)
        if read_line is not None:
            yield read_line


def _read(line: str | bytes, number: int) -> Node | Relation | None:
    if not line.strip():
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"this is not JSON: {error}", line=number) from None
    if not isinstance(row, dict):
        raise FormatError("this is not a JSON object", line=number)
    if row.get("type") == "entity":
        observations = row.get("observations")
        if not isinstance(observations, list) or not all(isinstance(one, str) for one in observations):
            raise FormatError('"observations" must be a list of texts', line=number)
        return Node(_text(row, "name", number), _text(row, "entityType", number), tuple(observations))
    if row.get("type") == "relation":
        source, target, type = (_text(row, name, number) for name in ("from", "to", "relationType"))
        return Relation(source, target, type)
    return None


def _text(row: dict[str, Any], name: str, number: int) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise FormatError(f'"{name}" must be a text, not {json.dumps(value)[:40]}', line=number)
    return value


def write(nodes: Iterable[Node], relations: Iterable[Relation]) -> Iterator[str]:
    """Write entities, then relations. The pieces, joined by nothing, are byte for byte what the server writes: a
    newline between two lines, and none at the end.
    """
    between = ""
    for node in nodes:
        row: dict[str, object] = {"type": "entity", "name": node.name, "entityType": node.type}
        yield between + _ENCODER.encode({**row, "observations": list(node.observations)})
        between = "\n"
    for relation in relations:
        row = {"type": "relation", "from": relation.source, "to": relation.target, "relationType": relation.type}
        yield between + _ENCODER.encode(row)
        between = "\n"
