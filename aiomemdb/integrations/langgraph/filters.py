"""Filters of a search: what a value must have. SQLite narrows down by what it compares as Python does; Python decides.

A filter names keys of the value, and for each a value, or operators: ``{"score": {"$gt": 3}, "color": "red"}``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["check_filter", "matches", "narrowed"]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = {"$eq", "$ne", *_ORDER}
_SQL = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
# A key that SQLite finds in JSON as it stands there.
_PLAIN = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]+')
_EXACT = 2**53  # whole numbers up to it are the same as fractions


def check_filter(filter: Mapping[str, Any]) -> None:
    """Raises: ValueError: an operator that there is not; TypeError: no mapping, or a key that is no text."""
    if not isinstance(filter, Mapping):
        raise TypeError(f"filter={filter!r}: a mapping")
    for key, wanted in filter.items():
        if not isinstance(key, str):
            raise TypeError(f"filter: {key!r} is no key: a str")
        for name in _operators(wanted):
            if name not in _OPERATORS:
                raise ValueError(f"filter: unknown operator {name!r} of {key!r}: use {', '.join(sorted(_OPERATORS))}")


def matches(value: Mapping[str, Any], filter: Mapping[str, Any]) -> bool:
    """Whether a value has all that the filter wants. What can't be compared does not match."""
    return all(_has(value.get(key), wanted) for key, wanted in filter.items())


def _operators(wanted: Any) -> list[str]:
    """The names of operators, where one stands among them."""
    if isinstance(wanted, dict) and any(isinstance(name, str) and name.startswith("$") for name in wanted):
        return list(wanted)
    return []


def _has(value: Any, wanted: Any) -> bool:
    if _operators(wanted):
        return all(_applies(value, name, to) for name, to in wanted.items())
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(_has(value.get(key), one) for key, one in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(wanted)
            and all(_has(one, other) for one, other in zip(value, wanted, strict=True))
        )
    return bool(value == wanted)


def _applies(value: Any, name: str, to: Any) -> bool:
    if name in ("$eq", "$ne"):
        return bool(value == to) is (name == "$eq")
    of_one_kind = any(isinstance(value, kind) and isinstance(to, kind) for kind in (int | float, str))
    return of_one_kind and _ORDER[name](value, to)


def narrowed(filter: Mapping[str, Any]) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Conditions on the column ``value``, with their parameters. They let through all that matches, and some more."""
    for key, wanted in filter.items():
        if not _PLAIN.fullmatch(key):
            continue
        path = f'$."{key}"'
        if names := _operators(wanted):
            for name in names:
                if (sign := _SQL.get(name)) and _is_whole(wanted[name]):
                    yield f"json_extract(CAST(value AS TEXT), ?) {sign} ?", (path, int(wanted[name]))
        elif _is_whole(wanted) or (isinstance(wanted, str) and _PLAIN.fullmatch(wanted)):
            yield "json_extract(CAST(value AS TEXT), ?) = ?", (path, wanted)
        elif isinstance(wanted, list | tuple):
            yield "json_type(CAST(value AS TEXT), ?) = 'array'", (path,)


def _is_whole(wanted: Any) -> bool:
    return isinstance(wanted, int) and abs(wanted) <= _EXACT
