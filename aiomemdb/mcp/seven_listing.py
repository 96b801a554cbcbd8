"""What clients are told of our own seven tools. A description says when to call a tool, when not and which other one
then, and has one example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LISTED"]

_TIME = "ISO 8601, such as 2026-03-01 or 2026-03-01T12:00:00Z; without an offset it is UTC"


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _whole(description: str, low: int = 1, high: int | None = None) -> dict[str, Any]:
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return {"type": "integer", "description": description, **bounds}


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


_VALUE = {
    "type": ["string", "number", "boolean"],
    "description": "A literal, where the fact is about no second entity: a number, a date, a text",
}
_FACT = _object(
    {
        "subject": _text("The entity that the fact is about"),
        "predicate": _text("What is said of it, such as 'works at'"),
        "object": _text("The other entity; either this or value"),
        "value": _VALUE,
        "valid_at": _text(f"Since when it holds. {_TIME}"),
        "invalid_at": _text(f"Until when it holds. {_TIME}"),
    },
    "subject",
    "predicate",
)


def _tool(
    name: str, title: str, description: str, schema: dict[str, Any], *, reads: bool = False, destroys: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": {
            "readOnlyHint": reads,
            "destructiveHint": destroys,
            "idempotentHint": reads,
            "openWorldHint": False,
        },
    }


LISTED: Sequence[Mapping[str, Any]] = (
    _tool(
        "recall",
        "Recall",
        "Ask the memory a question in plain words: it returns the facts and texts that fit best, each with its id. "
        "Call it before you answer from memory. To see what there is at all, call overview; for how two entities are "
        'connected, path. Example: {"question": "Where does Ada live?", "limit": 5}',
        _object(
            {
                "question": _text("In plain words"),
                "limit": _whole("How many hits at most; default 10", 1, 200),
                "budget": _whole("How many tokens the answer may have", 50),
                "as_of": _text(f"What held at that time; default: now. {_TIME}"),
                "known_at": _text(f"What was believed at that time; default: now. {_TIME}"),
            },
            "question",
        ),
        reads=True,
    ),
    _tool(
        "remember",
        "Remember",
        "Store a text, word for word, with the facts that you draw from it; entities are made where there are none. "
        "Call it when you learn something that will matter later. To change what is believed already, call correct. "
        'Example: {"text": "Ada moved to Ockham.", "facts": [{"subject": "Ada", "predicate": "lives in", "object": '
        '"Ockham"}]}',
        _object(
            {
                "text": _text("What was said, read or observed"),
                "facts": {"type": "array", "items": _FACT, "description": "What it states, one fact each"},
                "session": _text("The conversation that it belongs to"),
                "key": _text("A name for the text: the same text under its key is stored once"),
                "occurred_at": _text(f"When it was said. {_TIME}"),
            },
            "text",
        ),
    ),
    _tool(
        "correct",
        "Correct",
        "Take back or replace one fact; its history stays. Name it by its id, or by subject, predicate and object or "
        "value. With new_object or new_value that takes its place; without, it is believed no longer. With since, the "
        "old fact was true until then; without, it never was. To add a fact, call remember; to delete for good, "
        'forget. Example: {"fact": 7, "new_object": "London", "since": "2026-03-01", "reason": "she moved"}',
        _object(
            {
                "fact": _whole("Its id, as answers show it: [fact 7]"),
                "subject": _text("The entity that it is about, where you have no id"),
                "predicate": _text("What it says"),
                "object": _text("The other entity of it"),
                "value": _VALUE,
                "new_object": _text("The entity that is right"),
                "new_value": {**_VALUE, "description": "The literal that is right"},
                "since": _text(f"Since when the new one holds. {_TIME}"),
                "reason": _text("Why, for the history"),
            },
        ),
    ),
    _tool(
        "path",
        "Path",
        "Find the shortest chain of facts between two entities. Call it for how two people or things are connected. "
        'For what is known of one entity, call recall. Example: {"source": "Ada", "target": "London"}',
        _object(
            {
                "source": _text("An entity's name"),
                "target": _text("Another one's"),
                "max_hops": _whole("How many facts at most; default 4", 1, 10),
                "as_of": _text(f"What held at that time; default: now. {_TIME}"),
            },
            "source",
            "target",
        ),
        reads=True,
    ),
    _tool(
        "history",
        "History",
        "List what was done to an entity, a fact or a text, by which agent and when, oldest first. Call it to see who "
        "said something, or what was believed before. Give exactly one of the three. For what is believed now, call "
        'recall. Example: {"fact": 7}',
        _object(
            {
                "entity": _text("Its name"),
                "fact": _whole("Its id, as answers show it: [fact 7]"),
                "episode": _whole("A text's id, as answers show it: [episode 3]"),
                "limit": _whole("How many lines at most; default 50", 1, 1000),
            },
        ),
        reads=True,
    ),
    _tool(
        "overview",
        "Overview",
        "Show how large the memory is, which types of entities it has, which of them are connected best, and what is "
        "new. Call it first in a memory that you don't know, instead of read_graph, which returns all of it. For a "
        "question, call recall. Example: {}",
        _object({}),
        reads=True,
    ),
    _tool(
        "forget",
        "Forget",
        "Delete an entity with its facts, a single fact, or a text for good: nothing brings it back. Call it only when "
        "the person asks for that. For what is wrong or over, call correct, which keeps the history. Give exactly one "
        'of the three. Example: {"entity": "Ada"}',
        _object(
            {
                "entity": _text("Its name"),
                "fact": _whole("Its id, as answers show it: [fact 7]"),
                "episode": _whole("A text's id, as answers show it: [episode 3]"),
            },
        ),
        destroys=True,
    ),
)
