"""The verbs that say who is who: entities, their names, and which of them are one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .core import Core
from .drafts import checked_json, checked_similarity
from .names import checked_name, checked_text
from .store import Scope
from .values import Entity, Name

__all__ = ["Naming"]


class Naming:
    """What a view of the memory can be told of entities. Each is one job, as all that ``Memory`` writes."""

    _core: Core
    _scope: Scope

    async def find_or_create_entity(
        self,
        name: str,
        type: str | None = None,
        description: str = "",
        *,
        similarity: float | None = None,
        strict: bool = False,
    ) -> Entity:
        """The entity of a name; made where there is none. All callers, of all tasks and processes, get the same one.

        Names are one if they are equal once normalised. No ``type``: the one entity of that name, whatever its type
        (several: the oldest). A type: the same type; else one without a type adopts it; else it is a new homonym
        ("Apple" the company, "Apple" the fruit). ``description`` is that of a new one: see ``update_entity``.

        With an embedder a new name is embedded once, outside the writer, and names near it are noted. ``similarity``
        merges it with the nearest one instead, from this cosine on, but never a single short word or names with
        different numbers in them. A threshold belongs to an embedder, so there is no default.

        Raises:
            AmbiguousEntity: several entities of that name, no type, and ``strict=True``.
            ValueError, TypeError: the name is empty, longer than 1,000 characters, or no text; no embedder for
                ``similarity``.
            EmbedderError, ModelChanged: the embedder's vectors can't be used; nothing was written. Names that are new
                at once are embedded by one call, and fail together if it does.
        Cancellation: harms no other caller; the entity may be made all the same.
        """
        wanted = self._core.drafter().name("name", Name(name, type, description))
        if similarity is not None:
            checked_similarity(similarity)
            if self._core.vectors is None:
                raise ValueError("similarity= compares vectors: open the memory with an embedder")
        wanted.similarity, wanted.strict = similarity, strict
        return await self._core.identity.find_or_create(self._scope, wanted)

    async def update_entity(
        self,
        entity: Entity,
        *,
        name: str | None = None,
        type: str | None = None,
        description: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Entity:
        """Changes what is given; None leaves it. The old name stays an alias, by which the entity is found as before,
        and facts keep their words.

        Raises: NotFound; ValueError: the new name or type makes it another entity's namesake (see ``merge``).
        """
        drafter, changes, vector = self._core.drafter(), dict[str, Any](), None
        if type is not None:
            changes["type"] = checked_name("type", type)
            changes["type_key"] = drafter.key("type", changes["type"])
        if name is not None:
            changes["name"] = checked_name("name", name)
            changes["key"] = drafter.key("name", changes["name"])
        if description is not None:
            changes["description"] = checked_text("description", description)
        if attributes is not None:
            changes["attributes"] = checked_json("attributes", attributes)
        if not changes:
            raise ValueError("nothing to change: give name=, type=, description= or attributes=")
        vectors = self._core.vectors
        if name is not None and vectors is not None:
            [vector] = await vectors.embed([changes["name"]])
        model = None if vectors is None else vectors.model
        return await self._core.writable_store.update_entity(self._scope, _id(entity), changes, vector, model)

    async def add_alias(self, entity: Entity, alias: str) -> Entity:
        """From now on ``alias`` means this entity too.

        Raises: NotFound; ValueError: it is the name of another one of the same type (see ``merge``).
        """
        key = self._alias_key(alias)
        return await self._core.writable_store.add_alias(self._scope, _id(entity), key)

    async def remove_alias(self, entity: Entity, alias: str) -> Entity:
        """Take a name from an entity: from now on ``alias`` does not mean it, in any type.

        It makes no difference whether ``add_alias``, a rename, a merge or ``similarity=`` made it an alias. Facts,
        mentions and near names stay as they are. The next call that uses the name makes a new entity; one with
        ``similarity=`` may make it an alias of this one again.

        Returns: the entity.
        Raises: NotFound, also where it is no alias of this entity; ValueError: it is the name by which the entity is
            shown, which ``update_entity`` changes.
        """
        key = self._alias_key(alias)
        return await self._core.writable_store.remove_alias(self._scope, _id(entity), key)

    def _alias_key(self, alias: str) -> str:
        return self._core.drafter().key("alias", checked_name("alias", alias))

    async def merge(self, keep: Entity, duplicate: Entity) -> Entity:
        """Two are one: aliases, facts and mentions of ``duplicate`` move to ``keep``, and its id goes on resolving.

        Facts that become the same unite their evidence and one is closed; so is a fact about itself that arises.
        Merging the same two again changes nothing.

        Raises: NotFound, also for one of another namespace; ValueError: one with itself, or in a circle.
        """
        return await self._core.writable_store.merge(self._scope, _id(keep), _id(duplicate))


def _id(entity: Entity) -> int:
    if not isinstance(entity, Entity):
        raise TypeError(f"{entity!r}: an Entity (a bare number is never an id)")
    return entity.id
