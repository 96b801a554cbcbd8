"""The rules of the reference server, @modelcontextprotocol/server-memory, in our words: what each of its nine tools
answers. Texts are byte for byte as its are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Rules"]

_Entity = dict[str, Any]
_Relation = dict[str, str]


class Rules:
    """A graph in two lists, in the order in which things were added."""

    def __init__(self) -> None:
        self.entities: list[_Entity] = []
        self.relations: list[_Relation] = []

    def call(self, tool: str, asked: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None, bool]:
        """(text, what a program gets, whether it failed)"""
        try:
            found = getattr(self, f"_{tool}")(asked)
        except LookupError as error:
            return error.args[0], None, True
        if isinstance(found, str):
            return found, {"success": True, "message": found}, False
        text = json.dumps(found, indent=2, ensure_ascii=False)
        names = {"create_entities": "entities", "create_relations": "relations", "add_observations": "results"}
        return text, {names[tool]: found} if tool in names else found, False

    def _create_entities(self, asked: Mapping[str, Any]) -> list[_Entity]:
        there = {entity["name"] for entity in self.entities}
        new = [_copy(entity) for entity in asked["entities"] if entity["name"] not in there]
        self.entities += [_copy(entity) for entity in new]
        return new

    def _create_relations(self, asked: Mapping[str, Any]) -> list[_Relation]:
        new = [_ordered(relation) for relation in asked["relations"] if relation not in self.relations]
        self.relations += new
        return new

    def _add_observations(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        changed = [_copy(entity) for entity in self.entities]
        results = []
        for one in asked["observations"]:
            entity = next((each for each in changed if each["name"] == one["entityName"]), None)
            if entity is None:
                raise LookupError(f"Entity with name {one['entityName']} not found")
            new = [text for text in one["contents"] if text not in entity["observations"]]
            entity["observations"] += new
            results.append({"entityName": one["entityName"], "addedObservations": new})
        self.entities = changed
        return results

    def _delete_entities(self, asked: Mapping[str, Any]) -> str:
        gone = asked["entityNames"]
        self.entities = [entity for entity in self.entities if entity["name"] not in gone]
        self.relations = [one for one in self.relations if one["from"] not in gone and one["to"] not in gone]
        return "Entities deleted successfully"

    def _delete_observations(self, asked: Mapping[str, Any]) -> str:
        for one in asked["deletions"]:
            for entity in self.entities:
                if entity["name"] == one["entityName"]:
                    entity["observations"] = [t for t in entity["observations"] if t not in one["observations"]]
                    break
        return "Observations deleted successfully"

    def _delete_relations(self, asked: Mapping[str, Any]) -> str:
        self.relations = [relation for relation in self.relations if relation not in asked["relations"]]
        return "Relations deleted successfully"

    def _read_graph(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._around(self.entities, self.relations)

    def _search_nodes(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        sought = asked["query"].lower()
        found = [
            entity
            for entity in self.entities
            if any(sought in text.lower() for text in (entity["name"], entity["entityType"], *entity["observations"]))
        ]
        return self._around(found)

    def _open_nodes(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._around([entity for entity in self.entities if entity["name"] in asked["names"]])

    def _around(self, entities: Sequence[_Entity], relations: Sequence[_Relation] | None = None) -> dict[str, Any]:
        names = {entity["name"] for entity in entities}
        if relations is None:
            relations = [one for one in self.relations if one["from"] in names or one["to"] in names]
        return {"entities": [_copy(entity) for entity in entities], "relations": [dict(one) for one in relations]}


def _ordered(relation: Mapping[str, str]) -> _Relation:
    return {key: relation[key] for key in ("from", "to", "relationType")}


def _copy(entity: Mapping[str, Any]) -> _Entity:
    return {"name": entity["name"], "entityType": entity["entityType"], "observations": list(entity["observations"])}
