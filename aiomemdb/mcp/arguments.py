"""A tool's arguments, checked by the schema that it is listed with; errors in the words of the reference server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["BadArguments", "checked"]

_MISSING: Any = object()


class BadArguments(Exception):
    """The arguments are not what the tool takes."""


def checked(tool: str, schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments that the schema names; others are left out, wherever they are.

    Raises: BadArguments.
    """
    wrong: list[str] = []
    found: dict[str, Any] = _value(schema, dict(arguments), "", wrong)
    if wrong:
        raise BadArguments(
            f"MCP error -32602: Input validation error: Invalid arguments for tool {tool}: " + "\n".join(wrong)
        )
    return found


def _value(schema: Mapping[str, Any], value: Any, path: str, wrong: list[str]) -> Any:
    kinds = schema["type"]
    expected = kinds if isinstance(kinds, str) else next((kind for kind in kinds if _is(kind, value)), "|".join(kinds))
    if not _is(expected, value):
        place = f" at {path}" if path else ""
        wrong.append(f"Invalid input: expected {expected}, received {_kind(value)}{place}")
        return None
    if expected == "object":
        return _object(schema, value, path, wrong)
    if expected == "array":
        return [_value(schema["items"], item, f"{path}[{place}]", wrong) for place, item in enumerate(value)]
    allowed: Sequence[Any] | None = schema.get("enum")
    if allowed is not None and value not in allowed:
        wrong.append(f"Invalid option: expected one of {'|'.join(map(repr, allowed))} at {path}")
    low, high = schema.get("minimum"), schema.get("maximum")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        wrong.append(f"Invalid input: expected {bounds}, received {value} at {path}")
    return value


def _object(schema: Mapping[str, Any], value: Mapping[str, Any], path: str, wrong: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        one = value.get(name, _MISSING)
        if one is _MISSING and name not in required:
            continue
        found[name] = _value(part, one, f"{path}.{name}" if path else name, wrong)
    return found


def _is(expected: str, value: Any) -> bool:
    if expected == "string":
        return isinstance(value, str)
    if expected == "boolean":
        return isinstance(value, bool)
    if expected == "array":
        return isinstance(value, list)
    if expected == "object":
        return isinstance(value, dict)
    if expected == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return expected == "number" and isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if value is _MISSING:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
