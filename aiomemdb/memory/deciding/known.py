"""Entities and their names as a job knows them."""

from __future__ import annotations

from dataclasses import dataclass

from ..questions import Token
from ..records import entity_of
from ..values import Entity
from .moment import Line, Moment

__all__ = ["Alias", "KnownEntity"]


@dataclass(slots=True, eq=False)
class KnownEntity:
    """An entity as it is now, in the job that may have made it.

    Attributes:
        since: since when there is one; None: the job made it ...
        made: ... at this moment.
        established: since which line of the audit it is no implied one, as its store knows it; None: it is implied, or
            the job has established it ...
        line: ... by this line.
        other_names: its keys beside its own as the job begins, where its store keeps them with it for word search.
    """

    id: int
    namespace: str
    key: str
    name: str
    type: str | None
    type_key: str
    description: str
    attributes: str
    agent: str | None
    created_at: int
    since: Token | None = None
    established: Token | None = None
    other_names: str = ""
    made: Moment | None = None
    line: Line | None = None

    @property
    def implied(self) -> bool:
        """Whether relations alone have named it so far."""
        return self.established is None and self.line is None

    def value(self) -> Entity:
        return entity_of(
            self.id,
            self.namespace,
            self.name,
            self.type,
            self.description,
            self.attributes,
            self.agent,
            self.created_at,
            self.implied,
        )


@dataclass(slots=True, eq=False)
class Alias:
    """A name of an entity; ``type`` is "" or a type's key.

    Attributes:
        stored: the type that it had before the job; None: the job made it.
        gone: it is no name any more.
    """

    key: str
    type: str
    entity: KnownEntity
    stored: str | None = None
    gone: bool = False

    @property
    def id(self) -> int:
        return self.entity.id

    @property
    def type_key(self) -> str:
        return self.entity.type_key

    @property
    def implied(self) -> bool:
        return self.entity.implied
