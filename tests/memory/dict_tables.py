"""The tables of the store in dicts: their rows, and what names a state of them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["KINDS", "PAST", "Row", "State", "Tables", "bare", "line_of", "within"]

KINDS = ("entity", "episode", "fact")
#: What was imported is known since a time, not a line: below all lines, in the order of times.
PAST = -(2**62)


@dataclass(frozen=True)
class Row:
    """A row, what it is where rules need it, and from which line of the audit to which it was believed."""

    namespace: str
    row: Any
    since: int
    until: int | None = None
    merged_into: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)

    def value(self) -> Any:
        return self.row.value_in(self.namespace) if hasattr(self.row, "value_in") else self.row.value()

    def counts(self, namespaces: Any, known: Any, as_of: int | None) -> bool:
        """Whether it is readable, believed in a state (None: now) and holding."""
        seen = known is None or known.has(self.since)
        now = seen and (self.until is None or not (known is None or known.has(self.until)))
        holds = as_of is None or not hasattr(self.row, "valid_at") or within(self.valid_at, as_of, self.invalid_at)
        return self.namespace in namespaces and self.merged_into is None and now and holds


def within(begin: int | None, when: int, end: int | None) -> bool:
    return (begin is None or begin <= when) and (end is None or end > when)


@dataclass(frozen=True, order=True)
class State:
    """A token."""

    event: int
    entity: int = field(default=0, compare=False)
    of: Any = field(default=None, compare=False)
    past: float = field(default=math.inf, compare=False)

    def has(self, line: int) -> bool:
        """Whether what a line made known was known."""
        return line <= self.event if line >= 0 else line - PAST <= self.past


class Tables(defaultdict[str, dict[Any, Any]]):
    """By name: entity, episode, fact, by id; alias, an id by (namespace, key, type); similar, a cosine by both ids;
    mention, by (entity, text); evidence, (id, support) by (fact, text, agent); vector, by (model, kind, ref); event, by
    id, (namespace, at, agent, operation, kind, ref, other, reason); space, an id by name; last, the last id by table.
    """

    def next(self, name: str) -> int:
        self["last"][name] = self["last"].get(name, 0) + 1
        return int(self["last"][name])

    def drop(self, name: str, gone: Any) -> int:
        keys = [key for key in self[name] if gone(key)]
        for key in keys:
            del self[name][key]
        return len(keys)


def bare(fact: Any) -> Any:
    """A fact without what only the job knows that made it."""
    return replace(fact, support={}, texts=set(), made=None, ended=None, heir_of=None, vector=None, founded=False)


def line_of(moment: Any, base: int) -> Any:
    """The first line of a call of a job before which there were so many."""
    if moment is None or moment.past is None:
        return moment and base + moment.before + 1
    return moment.past + PAST
