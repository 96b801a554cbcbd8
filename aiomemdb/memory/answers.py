"""What verbs return of several rows: what was added, and a whole graph. Frozen."""

from __future__ import annotations

from dataclasses import dataclass

from .values import Entity, Fact

__all__ = ["AddedEntity", "AddedFact", "Graph"]


@dataclass(frozen=True, slots=True)
class AddedFact:
    """What became of one statement of ``add_facts``."""

    fact: Fact
    """The fact that is believed now."""
    new: bool
    """Whether this statement made it. False: it was believed already, perhaps by an earlier statement of the call."""


@dataclass(frozen=True, slots=True)
class AddedEntity:
    """What became of one name of ``add_entities``."""

    entity: Entity
    """The entity of the name."""
    new: bool
    """Whether this name made it. Of all callers, of all tasks and processes, one alone is told True."""
    facts: tuple[Fact, ...] = ()
    """The facts that were stated of it, as it is new; in the order in which they were given."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Entities, and what is believed of them now, of one state."""

    entities: tuple[Entity, ...]
    """In the order in which they were created."""
    facts: tuple[Fact, ...]
    """By id: values of these entities, and facts with an object if at least one of their ends is among them."""
    others: tuple[Entity, ...]
    """The other ends, by id."""
